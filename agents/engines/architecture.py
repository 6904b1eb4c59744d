"""Which checkpoints of transformers this engine can run; the others are refused by name."""

import inspect
from pathlib import Path
from typing import Any

from catts.errors import ModelSpecError

_GIVE = "give an image-text-to-text checkpoint with a chat template, such as a Qwen-VL or InternVL"


def check_architecture(folder: Path, config: Any) -> None:
    """Refuse what the engine cannot decode, before any weight is read.

    Args:
        folder: the checkpoint's, for the message.
        config: its configuration.

    Raises:
        ModelSpecError: it is no image-text-to-text model; or an encoder-decoder; or it reads
            pictures in layers of cross-attention; or it keeps a running state of its text.
    """
    from transformers import DynamicCache
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

    of = ", ".join(getattr(config, "architectures", None) or ()) or "no class that it names"
    named = f"{folder} is a {config.model_type} model ({of})"
    if type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise ModelSpecError(f"{named}, which transformers does not ask about pictures: {_GIVE}")
    if config.is_encoder_decoder:
        raise ModelSpecError(
            f"{named}, an encoder-decoder, and the engine extends one text only: {_GIVE}"
        )
    model_class = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING[type(config)]
    # a mask between every token and every picture would have to grow with each token written
    if {"cross_attention_mask", "image_attention_mask"} & {
        *inspect.signature(model_class.forward).parameters
    }:
        raise ModelSpecError(
            f"{named}, which reads pictures in layers of cross-attention, and the engine only "
            f"knows pictures among the tokens: {_GIVE}"
        )
    layers = DynamicCache(config=config).layers
    if model_class._is_stateful or any(hasattr(layer, "recurrent_states") for layer in layers):
        raise ModelSpecError(
            f"{named}, whose linear-attention, convolution or recurrent layers keep a running "
            f"state, which the engine cannot copy for several samples: {_GIVE}"
        )


def check_processor(folder: Path, processor: Any) -> None:
    """Refuse a processor that cannot show a picture and a question to a model.

    Raises:
        ModelSpecError: it takes no pictures, has no chat template, or one that shows no picture.
    """
    if not hasattr(processor, "image_processor") or not hasattr(processor, "tokenizer"):
        raise ModelSpecError(
            f"{folder} has no processor that takes pictures and text, but a "
            f"{type(processor).__name__}: add processor_config.json or preprocessor_config.json"
        )
    if not getattr(processor, "chat_template", None):
        raise ModelSpecError(f"{folder} has no chat template: add chat_template.jinja")
    content = [{"type": "image"}, {"type": "text", "text": "What is it?"}]
    try:
        prompt = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
    except Exception as error:  # a template is a program, and fails as it likes
        raise ModelSpecError(
            f"the chat template of {folder} cannot ask about a picture: {type(error).__name__}: "
            f"{error}; put the one of the model's own repository in its place"
        ) from error
    if getattr(processor, "image_token", "") not in prompt:
        raise ModelSpecError(
            f"the chat template of {folder} leaves pictures out, it writes no "
            f"{processor.image_token}: put the one of the model's own repository in its place"
        )
