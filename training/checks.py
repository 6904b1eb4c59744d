"""What a run would pass over in silence, refused before anything is measured."""

from typing import Any

from trl.trainer.model_config import ModelConfig

from catts.errors import InputError

_CHANGED_LOGITS = ("final_logit_softcapping", "logit_scale", "logits_scaling")


def check_model_options(model: ModelConfig) -> None:
    """Refuse settings of TRL's that say how a model is loaded, and are not followed here.

    Raises:
        InputError: one of them is given.
    """
    refused = {
        "load_in_4bit": (model.load_in_4bit, "the base is trained in 16 or 32 bits"),
        "load_in_8bit": (model.load_in_8bit, "the base is trained in 16 or 32 bits"),
        "model_revision": (
            model.model_revision not in (None, "main"),
            "download the revision, and give its folder",
        ),
    }
    for name, (given, advice) in refused.items():
        if given:
            raise InputError(f"{name}: {advice}")
    if model.use_peft and not model.lora_target_modules:
        raise InputError(
            "use_peft: say which layers get an adapter, such as --lora_target_modules q_proj "
            "k_proj v_proj o_proj gate_proj up_proj down_proj"
        )


def check_head(model: Any) -> None:
    """Refuse a model whose logits are more than its last hidden states times its head.

    Args:
        model: without PEFT's wrapper.

    Raises:
        InputError: the head has a bias, an adapter or a copy that is trained, or the logits are
            scaled or capped: C and KL are computed from hidden states and the head's weights alone.
    """
    head = model.get_output_embeddings()
    text = model.config.get_text_config()
    changed = [name for name in _CHANGED_LOGITS if getattr(text, name, None) not in (None, 1)]
    if hasattr(head, "base_layer"):
        changed.append("an adapter on the output head")
    elif hasattr(head, "modules_to_save"):
        changed.append("a trained copy of the output head (lora_modules_to_save)")
    elif getattr(head, "bias", None) is not None:
        changed.append("a bias of the output head")
    if changed:
        raise InputError(
            f"a model with {changed[0]} cannot be trained: its confidence would be taken from "
            "other logits than it samples from"
        )
