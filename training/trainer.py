"""CDRL as a thin layer over TRL's GRPO: noised twins, confidences, and their gradient."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Sampler
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.utils import RepeatSampler

from catts.files import write_whole
from catts.training.checks import check_head
from catts.training.confidence_rewards import ConfidenceRewards, confidence_rewards
from catts.training.config import CDRLConfig
from catts.training.forward_terms import Listener
from catts.training.rewards import Normalisation
from catts.training.row_rewards import format_of, output_of
from catts.training.sharded import whole
from catts.training.token_terms import sequence_means
from catts.training.twin_sampler import TwinSampler

_PICTURES = (
    "pixel_values", "image_grid_thw", "num_images", "pixel_attention_mask", "spatial_shapes",
    "num_tiles", "image_sizes", "token_type_ids", "mm_token_type_ids", "image_position_ids",
)  # fmt: skip
"""What TRL hands to a forward pass beside the tokens, of whatever architecture."""


class CDRLTrainer(GRPOTrainer):
    """Trains on pairs of rows (`catts.training.data.twins`).

    The gradient of E[r] has two parts, E[A grad log pi] and E[grad R_conf]. TRL takes the first,
    with the confidence's reward in the advantage. The second is added to the loss as
    - sum of (dR_conf / dC_j) C_j: the derivatives are taken where the completions are scored, so a
    batch may be shuffled and cut into pieces, and its pairs torn apart, and the sum stays exact.
    """

    def __init__(
        self,
        *,
        args: CDRLConfig,
        normalisation: Normalisation,
        readme: Callable[[int], str] | None = None,
        **options: Any,
    ) -> None:
        """See `GRPOTrainer`; the reward functions are CDRL's.

        Args:
            args: the settings.
            normalisation: of the base's confidence, see `catts.training.normalise`.
            readme: page about the model after so many steps, in the place of TRL's, which knows
                neither the base nor CDRL.
            options: model, train_dataset, processing_class, peft_config, callbacks, ...
        """
        if (processor := options.get("processing_class")) is not None:
            # TRL pads prompts on the left, and takes the processor to do so
            getattr(processor, "tokenizer", processor).padding_side = "left"
        super().__init__(reward_funcs=[output_of, format_of], args=args, **options)
        self._normalisation, self.readme = normalisation, readme
        self._group = args.group
        # TRL keeps a reference and asks it where beta is not 0, and then adds an estimate of the KL
        # to its loss: so it is 0 but while completions are scored
        self._anchor, self.beta = self.beta, 0.0
        policy = self.model.get_base_model() if hasattr(self.model, "peft_config") else self.model
        listened = [policy] if self.ref_model is None else [policy, self.ref_model]
        check_head(policy)
        self._listener = Listener(listened, k=args.confidence_k)
        self._given = torch.zeros(0, 2)

    def create_model_card(self, *names: Any, **more: Any) -> None:
        """The page in the folder of the run, which is that of the hub when a run is pushed."""
        if self.readme is None:
            super().create_model_card(*names, **more)
        elif self.is_world_process_zero():
            page = self.readme(self.state.global_step)
            write_whole(Path(self.args.output_dir) / "README.md", page)

    def _get_train_sampler(self, dataset: Any = None) -> Sampler[int]:
        dataset = self.train_dataset if dataset is None else dataset
        both = 2 * self._group
        inner = RepeatSampler(
            data_source=range(len(dataset) // 2),
            mini_repeat_count=both,
            batch_size=self.args.generation_batch_size // both,
            repeat_count=self.num_iterations * self.args.steps_per_generation,
            shuffle=bool(self.shuffle_dataset),
            seed=self.args.seed,
        )
        return TwinSampler(inner, self._group)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Weights by the names that they were saved under.

        transformers renames a vision-language model's weights when it saves and when it loads, but
        not where a run resumes: there nothing would fit, and the run go on from the base's weights.
        """
        target = self.model if model is None else model
        if hasattr(target, "peft_config") or self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        stored = type(target).from_pretrained(resume_from_checkpoint, dtype=target.dtype)
        target.load_state_dict(stored.state_dict())

    def _generate(self, prompts: list[Any]) -> tuple[Any, ...]:
        """Completions of all prompts, those of twins that are scored again being the clean ones."""
        if self.args.twin == "fresh":
            return super()._generate(prompts)  # type: ignore[no-any-return]
        group = self._group
        clean = [p for place, p in enumerate(prompts) if place // group % 2 == 0]
        ids, completion_ids, tools, completions, logprobs, extra, images, tool_images = (
            super()._generate(clean)
        )

        def doubled(rows: Sequence[Any] | None) -> list[Any] | None:
            if rows is None:
                return None
            return [
                row
                for start in range(0, len(rows), group)
                for _ in range(2)
                for row in rows[start : start + group]
            ]

        if images is not None:
            images = [_pictures(prompt) for prompt in prompts]
        return (
            doubled(ids), doubled(completion_ids), doubled(tools), doubled(completions),
            doubled(logprobs), extra, images, tool_images,
        )  # fmt: skip

    def _calculate_rewards(self, *args: Any) -> Tensor:
        """TRL's, kept for `_generate_and_score_completions`."""
        self._given = super()._calculate_rewards(*args)
        return self._given

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        keep: int,
        *args: Any,
        **kw: Any,
    ) -> Any:
        self._listener.begin(keep)
        return super()._get_per_token_logps_and_entropies(
            model, input_ids, attention_mask, keep, *args, **kw
        )

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self.beta = self._anchor
        try:
            with self._listener.hidden_states():
                output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        finally:
            self.beta = 0.0
        if self._anchor:
            output["reference_hidden"] = self._listener.take_hidden()
        confidence = self._confidences(output)
        first = self.accelerator.process_index * len(inputs)
        right, form = self._given[first : first + len(inputs)].unbind(-1)
        clean = torch.arange(len(inputs), device=right.device) // self._group % 2 == 0
        terms = confidence_rewards(confidence, right, clean, self.args, self._normalisation)
        output["path"] = terms.slope
        output["clean"] = clean
        output["advantages"] = self._advantages(terms.total, right, form, clean)
        tokens = self.accelerator.gather(output["completion_mask"][clean].sum()).sum()
        # each process takes its share of the sum over all, as TRL does for its own loss
        output["clean_tokens"] = tokens.clamp(min=1) / self.accelerator.num_processes
        self._tell(confidence, right, clean, terms)
        if self.log_completions:
            self._tell_columns(confidence, output["advantages"], terms)
        return output

    @torch.no_grad()
    def _confidences(self, output: dict[str, Any]) -> Tensor:
        """C of every completion under its own picture."""
        ids = torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1)
        mask = torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1)
        with self._listener.terms():
            self._get_per_token_logps_and_entropies(
                self.model, ids, mask, output["completion_ids"].size(1),
                batch_size=self.args.per_device_train_batch_size,
                **{name: output[name] for name in _PICTURES if name in output},
            )  # fmt: skip
        found = self._listener.take_terms().confidence
        return sequence_means(found, output["completion_mask"])

    def _advantages(self, conf: Tensor, right: Tensor, form: Tensor, clean: Tensor) -> Tensor:
        """Of each group by itself, as TRL has it."""
        weights = self.reward_weights.to(right.device)
        total = conf + weights[0] * right + weights[1] * form
        groups = total.view(-1, self._group)
        centred = groups - groups.mean(1, keepdim=True)
        deviation = groups.std(1, keepdim=True)
        self._tell_rewards(total, deviation.expand_as(groups).flatten(), clean)
        if self.scale_rewards != "none":
            centred = centred / (deviation + 1e-4)
        advantages = centred.flatten()
        if self.args.twin == "rescored":
            # none of these was drawn under its picture; TRL counts their tokens all the same
            advantages = 2 * advantages * clean
        return advantages

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        reference = None
        if self._anchor:
            reference = (inputs["reference_hidden"], self._reference_head())
        with self._listener.terms(reference):
            loss: Tensor = super()._compute_loss(model, inputs)  # type: ignore[no-untyped-call]
        found = self._listener.take_terms()
        mask = inputs["completion_mask"]
        steps = self.current_gradient_accumulation_steps
        # a completion that is scored again makes two rows
        rows = 1 if self.args.twin == "fresh" else 2
        completions = self.args.per_device_train_batch_size * steps / rows
        if self.args.gradient == "whole":
            confidence = sequence_means(found.confidence, mask)
            # its gradient alone: the value would say nothing
            moved = confidence - confidence.detach()
            loss = loss - (inputs["path"] * moved).sum() / completions
        if found.divergence is not None:
            kl = (found.divergence * mask * inputs["clean"][:, None]).sum()
            kl = kl / (inputs["clean_tokens"] * steps / self.args.steps_per_generation)
            loss = loss + self._anchor * kl
            self._log_mean("kl", kl.detach() * steps)
        return loss

    def _reference_head(self) -> Tensor:
        model = self.model if self.ref_model is None else self.ref_model
        weight: Tensor = self.accelerator.unwrap_model(model).get_output_embeddings().weight
        with torch.no_grad():
            return whole(weight)

    def _tell(
        self, confidence: Tensor, right: Tensor, clean: Tensor, terms: ConfidenceRewards
    ) -> None:
        fall = confidence[clean].mean() - confidence[~clean].mean()
        numbers = {
            "rewards/perception/mean": terms.perception[clean],
            "rewards/calibration/mean": terms.calibration[self._drawn(clean)],
            "confidence/clean": confidence[clean],
            "confidence/noised": confidence[~clean],
            "confidence/fall": fall[None] / self._normalisation.deviation,
            "accuracy/clean": right[clean],
        }
        if self.args.twin == "fresh":
            numbers["accuracy/noised"] = right[~clean]
        for name, values in numbers.items():
            self._log_mean(name, values)

    def _drawn(self, clean: Tensor) -> Tensor:
        """Rows whose completion was drawn under their own picture."""
        return torch.ones_like(clean) if self.args.twin == "fresh" else clean

    def _tell_rewards(self, total: Tensor, deviation: Tensor, clean: Tensor) -> None:
        """In the place of TRL's numbers, which lack R_conf."""
        drawn = self._drawn(clean)
        rewards = self.accelerator.gather(total[drawn].float())
        still = self.accelerator.gather((deviation[drawn] < 1e-6).float())
        metrics = self._numbers
        metrics["reward"][-1] = rewards.mean().item()
        metrics["reward_std"][-1] = rewards.std().item()
        metrics["frac_reward_zero_std"][-1] = still.mean().item()
        metrics["frac_groups_without_signal"].append(still.mean().item())

    def _tell_columns(
        self, confidence: Tensor, advantages: Tensor, terms: ConfidenceRewards
    ) -> None:
        """Columns of the completions that TRL logs, and the advantages in the place of its own."""
        logs: Any = self._logs
        told = logs["advantages"]
        gathered = self.accelerator.gather(advantages).tolist()
        for _ in gathered:
            told.pop()
        told.extend(gathered)
        for name, values in {
            "confidence": confidence, "perception": terms.perception,
            "calibration": terms.calibration,
        }.items():  # fmt: skip
            logs["extra"][name].extend(self.accelerator.gather(values).tolist())

    def _log_mean(self, name: str, values: Tensor) -> None:
        mean = self.accelerator.gather(values.float().mean())
        self._numbers[name].append(mean.mean().item())

    @property
    def _numbers(self) -> Any:
        """TRL's lists of what is logged next, by name."""
        return self._metrics["train" if self.model.training else "eval"]


def _pictures(prompt: Sequence[dict[str, Any]]) -> list[Any]:
    return [
        part["image"]
        for message in prompt
        if isinstance(message["content"], list)
        for part in message["content"]
        if part["type"] == "image"
    ]
