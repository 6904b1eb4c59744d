"""A loaded checkpoint at work: turns in; samples, contrasts and scores out; blocking."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL.Image import Image

from catts.agents.answer_span import answer_tokens
from catts.agents.contrast import contrastive_decode
from catts.agents.inputs import Batch, Turn, encode, seen_size
from catts.agents.loading import LoadedModel
from catts.agents.prefix import Prefix
from catts.agents.protocol import ContrastParams, Sample, SamplingParams, Score
from catts.agents.sampling import Completion, decode
from catts.agents.scoring import score_completions
from catts.confidence import ConfidenceKind, sequence_confidences
from catts.errors import EngineError


class Drawn(NamedTuple):
    """The samples of one turn, and the tokens that were read for them."""

    samples: tuple[Sample, ...]
    prompt_tokens: int


class LocalModel:
    """What `TransformersEngine` asks of its checkpoint, without threads, prompts or accounts."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded

    def seen_size(self, image: Image) -> tuple[int, int]:
        """Width and height in pixels at which the model sees `image`."""
        return seen_size(image, self._loaded.processor)

    @torch.inference_mode()
    def sample(self, turns: Sequence[Turn], params: SamplingParams) -> list[Drawn]:
        """Draw `params.n` completions of each turn, all turns as one batch."""
        if not turns:
            return []
        batch = self._encode(turns)
        vocabulary = self._loaded.vocabulary
        decoded = decode(
            Prefix.read(self._loaded.model, batch.inputs),
            params,
            [turn.key for turn in turns],
            end_ids=vocabulary.end_ids,
            suppressed=vocabulary.suppressed,
        )
        return [
            Drawn(tuple(map(self._sample, completions)), length)
            for completions, length in zip(decoded, batch.lengths, strict=True)
        ]

    @torch.inference_mode()
    def contrast(
        self, clean: Sequence[Turn], noised: Sequence[Turn], params: ContrastParams
    ) -> list[Drawn]:
        """Decode each clean turn in lock-step against its noised one, all pairs as one batch."""
        if not clean:
            return []
        batch = self._encode([*clean, *noised])
        vocabulary = self._loaded.vocabulary
        completions = contrastive_decode(
            Prefix.read(self._loaded.model, batch.inputs),
            params,
            end_ids=vocabulary.end_ids,
            suppressed=vocabulary.suppressed,
        )
        return [
            Drawn((self._sample(completion),), sum(batch.lengths[i :: len(clean)]))
            for i, completion in enumerate(completions)
        ]

    @torch.inference_mode()
    def score(
        self, turn: Turn, completions: Sequence[Sequence[int]]
    ) -> tuple[tuple[Score, ...], int]:
        """Scores of the completions of one turn, and the tokens that were read for them.

        Raises:
            EngineError: a token id lies outside the vocabulary.
        """
        batch = self._encode([turn])
        prefix = Prefix.read(self._loaded.model, batch.inputs)
        vocabulary = prefix.logits.shape[-1]
        if any(not 0 <= token < vocabulary for ids in completions for token in ids):
            raise EngineError(f"a token id lies outside the vocabulary of {vocabulary} tokens")
        scored = score_completions(prefix, completions, end_ids=self._loaded.vocabulary.end_ids)
        scores = tuple(
            Score(logprobs=completion.logprobs, confidence=self._confidence(completion))
            for completion in scored
        )
        return scores, batch.lengths[0] + sum(map(len, completions))

    def _encode(self, turns: Sequence[Turn]) -> Batch:
        loaded = self._loaded
        batch = encode(turns, loaded.processor, loaded.vocabulary.reserved, loaded.dtype)
        inputs = {name: value.to(loaded.device) for name, value in batch.inputs.items()}
        return batch._replace(inputs=inputs)

    def _sample(self, completion: Completion) -> Sample:
        ids = completion.token_ids
        return Sample(
            text=self._text(ids[:-1] if completion.ended else ids),
            token_ids=ids,
            confidence=self._confidence(completion),
            finish_reason="stop" if completion.ended else "length",
        )

    def _confidence(self, completion: Completion) -> dict[ConfidenceKind, float]:
        span = answer_tokens(completion.token_ids, self._text)
        return sequence_confidences(completion.confidence, completion.logprobs, span)

    def _text(self, token_ids: Sequence[int]) -> str:
        text: str = self._loaded.processor.tokenizer.decode(
            list(token_ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text
