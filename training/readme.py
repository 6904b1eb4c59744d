"""The page that lies beside a trained checkpoint: what it is, what made it, what to do with it."""

from collections.abc import Mapping
from enum import Enum
from importlib.metadata import version

from huggingface_hub import ModelCard, ModelCardData

from catts.training.begun import Begun
from catts.training.config import CDRLConfig

_LIBRARIES = ("catts", "trl", "transformers", "torch")
_HOW_FAST = ("learning_rate", "lr_scheduler_type", "warmup_steps", "generation_batch_size",
             "max_grad_norm")  # fmt: skip
_WHOLE = "The same architecture and tokenizer."
_ADAPTER = "A LoRA adapter; its base is loaded with it."


def readme(
    name: str,
    base: str,
    data: str,
    begun: Begun,
    config: CDRLConfig,
    steps: int,
    *,
    on_hub: str | None = None,
    adapter: bool = False,
) -> str:
    """The page as Markdown, with the hub's header.

    Args:
        name: of the trained model.
        base: name of the model that it was trained from.
        data: the training questions, as they were named.
        begun: what the run was begun with.
        config: how it learns.
        steps: taken so far.
        on_hub: the base's hub id, if it has one.
        adapter: whether the weights are a LoRA adapter's.
    """
    header = ModelCardData(
        library_name="peft" if adapter else "transformers",
        pipeline_tag="image-text-to-text",
        base_model=on_hub,
        model_name=name,
        tags=["cdrl", "catts", "grpo", "trl"],
    )
    settings: dict[str, object] = {"data": data, "steps": steps}
    settings |= {one: getattr(config, one) for one in _HOW_FAST} | begun.settings
    made_by = "\n".join(f"- {library} {version(library)}" for library in _LIBRARIES)
    card = ModelCard(f"""---
{header.to_yaml()}
---

# {name}

`{on_hub or base}` after CDRL ([arXiv 2603.12149](https://arxiv.org/abs/2603.12149)): trained on so
that its confidence falls when the key region of a picture is noised, and is high where its answer
is right.
{_ADAPTER if adapter else _WHOLE}

    catts calibrate --base THIS_FOLDER --task TASK
    catts ask PICTURE QUESTION --base THIS_FOLDER
    catts study cdrl --base BASE --calibrated-base cdrl=THIS_FOLDER

The first fits what its confidence promises, the second asks it, the third measures what training
has changed. Nothing was measured when this page was written.

## Recipe

`catts train` on the base with the fingerprint `{begun.base}`:

{_table(settings)}

## Made by

{made_by}
""")
    return str(card)


def _table(settings: Mapping[str, object]) -> str:
    rows = [f"| {name} | {_cell(value)} |" for name, value in settings.items() if value is not None]
    return "\n".join(["| setting | value |", "|---|---|", *rows])


def _cell(value: object) -> str:
    text = " ".join(str(value.value if isinstance(value, Enum) else value).split())
    return text.replace("|", "\\|")
