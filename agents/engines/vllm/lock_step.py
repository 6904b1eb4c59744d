"""Contrastive decoding inside vLLM: two requests of a pair, decoded as one.

    --logits-processors catts.agents.engines.vllm.lock_step:LockStep
    --scheduler-cls catts.agents.engines.vllm.lock_step.PairScheduler

The processor makes one distribution of a pair's two; the scheduler holds the request that is ahead
back until the other has come as far, since both have to be in one step. Runs in vLLM's processes
(0.32, Model Runner V1: `VLLM_USE_V2_MODEL_RUNNER=0` where there is a GPU), so it imports nothing of
ours that needs more than torch and pydantic.
"""

import math
import time
from typing import Any

import torch
from torch import Tensor
from vllm import SamplingParams
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.sample.logits_processor import LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates

from catts.agents.engines.contrast import contrastive_scores
from catts.agents.engines.vllm.pairs import Half, read_half
from catts.agents.protocol import ContrastParams

_PATIENCE_S = 60.0
"""So long a request waits for its other half to come, before it goes on and is told broken."""


class LockStep(LogitsProcessor):
    """Makes one distribution of a pair's two: (1 + a) log p(y | i, q) - a log p(y | i', q)."""

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Refuse what would let the halves of a pair drift apart.

        Raises:
            ValueError: a pair's arguments are incomplete, or it is sampled, repeated or penalised.
        """
        if read_half(sampling_params.extra_args) is None:
            return
        drifting = (
            sampling_params.temperature > 0
            or sampling_params.n != 1
            or sampling_params.presence_penalty
            or sampling_params.frequency_penalty
            or sampling_params.repetition_penalty != 1.0
        )
        if drifting:
            raise ValueError("a contrastive pair is greedy, n = 1, and has no penalties")

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self._rows: dict[int, tuple[Half, list[int]]] = {}
        """Row of the batch to the half that stands there, and what it has written so far."""

    def is_argmax_invariant(self) -> bool:
        """It decides greedy rows, too."""
        return False

    def update_state(self, batch_update: Any) -> None:
        """Follow the rows as vLLM moves them."""

        def new(
            params: SamplingParams, prompt: list[int] | None, output: list[int]
        ) -> tuple[Half, list[int]] | None:
            half = read_half(params.extra_args)
            return None if half is None else (half, output)

        process_dict_updates(self._rows, batch_update, new)

    def apply(self, logits: Tensor) -> Tensor:
        """Logits of the batch, shape (rows, V), each pair's two rows made one."""
        standing: dict[str, dict[str, int]] = {}
        for row, (half, written) in self._rows.items():
            if written:
                standing.setdefault(half.pair, {})[half.role] = row
            else:
                _force(logits, row, half.first)
        for rows in standing.values():
            if len(rows) == 2 and self._together(rows["clean"], rows["noised"]):
                half, _ = self._rows[rows["clean"]]
                both = contrastive_scores(
                    logits[rows["clean"]].float(),
                    logits[rows["noised"]].float(),
                    torch.ones_like(logits[0], dtype=torch.bool),
                    ContrastParams(alpha=half.alpha, beta=half.beta),
                )
                logits[rows["clean"]] = logits[rows["noised"]] = both
            else:
                for row in rows.values():
                    _force(logits, row, self._rows[row][0].broken)
        return logits

    def _together(self, clean: int, noised: int) -> bool:
        return self._rows[clean][1] == self._rows[noised][1]


def _force(logits: Tensor, row: int, token: int) -> None:
    logits[row] = -math.inf
    logits[row, token] = 0.0


class PairScheduler(Scheduler):
    """vLLM's scheduler; the half of a pair that is ahead waits for the other."""

    def schedule(self, *args: Any, **options: Any) -> Any:
        """The next step, in which pairs decode together or not at all."""
        pairs: dict[str, list[Any]] = {}
        for request in self.requests.values():
            params = request.sampling_params
            half = None if params is None else read_half(params.extra_args)
            if half is not None:
                pairs.setdefault(half.pair, []).append(request)
        front = self._hold_back(pairs) if pairs else set()
        # stable: a long prefill between them must not take the second half's place in the step
        self.running.sort(key=lambda request: request.request_id not in front)
        return super().schedule(*args, **options)

    def _hold_back(self, pairs: dict[str, list[Any]]) -> set[str]:
        """Let those wait that are ahead; the requests that decode together now."""
        seen: dict[str, tuple[float, bool]] = self.__dict__.setdefault("_catts_seen", {})
        for gone in [pair for pair in seen if pair not in pairs]:
            del seen[gone]
        now, front = time.monotonic(), set()
        for pair, halves in pairs.items():
            since, complete = seen.get(pair, (now, False))
            complete = complete or len(halves) == 2
            seen[pair] = since, complete
            # tokens behind the prompt that have been computed; below 0 in prefill
            places = [half.num_computed_tokens - half.num_prompt_tokens for half in halves]
            together = len(halves) == 2 and places[0] == places[1] >= 0
            alone = len(halves) == 1 and (complete or now - since > _PATIENCE_S)
            for half, place in zip(halves, places, strict=True):
                ahead = place >= 0 and not together and not alone
                behind = len(halves) == 2 and place < max(places)
                # the step that is about to be made has the next number
                half.next_decode_eligible_step = (
                    self.current_step + 2 if ahead and not behind else 0
                )
                if together:
                    front.add(half.request_id)
        return front
