"""Which tokens end a turn, and which are never written by a model."""

from typing import Any, NamedTuple

_CONFIG_TOKENS = (
    "image_token_id",
    "video_token_id",
    "vision_start_token_id",
    "vision_end_token_id",
)

_PROCESSOR_TOKENS = ("image_token", "video_token")
"""Texts in the place of which a processor puts a picture's tokens, special or not."""


class Vocabulary(NamedTuple):
    """The tokens of a checkpoint that are more than text."""

    end_ids: tuple[int, ...]
    """Tokens that end a turn."""
    suppressed: tuple[int, ...]
    """Tokens that are never sampled: vision, chat and padding tokens, and ids without a text."""
    reserved: tuple[str, ...]
    """Texts that stand for special tokens or for a picture, longest first."""

    def plain(self, text: str) -> str:
        """The text with a space in whatever spells a special token.

        So neither a user nor a model's critique can open a turn or fake an image.
        """
        for spelling in self.reserved:
            text = text.replace(spelling, f"{spelling[0]} {spelling[1:]}")
        return text


def read_vocabulary(model: Any, processor: Any) -> Vocabulary:
    """Collect the special tokens of a checkpoint.

    What ends a turn is told by the generation configuration and the tokenizer. Every other token
    that the tokenizer or the model's configuration marks as special is suppressed: a sampled image
    token would ask for an image that is not there. Tokens such as `<think>` are ordinary added
    tokens, not special ones, and stay.
    """
    tokenizer = processor.tokenizer
    ends = {tokenizer.eos_token_id}
    configured = model.generation_config.eos_token_id
    ends.update(configured if isinstance(configured, list) else [configured])
    end_ids = {int(token) for token in ends if token is not None}
    special = {
        token: added.content
        for token, added in tokenizer.added_tokens_decoder.items()
        if added.special
    }
    marked = {getattr(model.config, name, None) for name in _CONFIG_TOKENS}
    nameless = range(len(tokenizer), model.get_output_embeddings().weight.shape[0])
    placeholders = {getattr(processor, name, None) for name in _PROCESSOR_TOKENS}
    spelled = {*special.values(), *placeholders} - {None, ""}
    suppressed = {*special, *nameless, *(int(t) for t in marked if t is not None)} - end_ids
    return Vocabulary(
        tuple(sorted(end_ids)),
        tuple(sorted(suppressed)),
        tuple(sorted(map(str, spelled), key=lambda text: (-len(text), text))),
    )
