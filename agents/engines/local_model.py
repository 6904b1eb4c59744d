"""A loaded checkpoint at work: turns in; samples, contrasts and scores out; blocking."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol

import torch

from catts.agents.engines.answer_span import answer_tokens
from catts.agents.engines.contrast import contrastive_decode
from catts.agents.engines.delivery import Completion
from catts.agents.engines.inputs import Encoded, Turn, collate, encode_turn
from catts.agents.engines.loading import LoadedModel
from catts.agents.engines.prefix import Prefix
from catts.agents.engines.room import context_of
from catts.agents.engines.sampling import decode
from catts.agents.engines.scoring import score_completions
from catts.agents.protocol import ContrastParams, Sample, SamplingParams, Score
from catts.confidence import ConfidenceKind, sequence_confidences
from catts.errors import EngineError


class Drawn(NamedTuple):
    """The samples of one turn, and the tokens that were read for them."""

    samples: tuple[Sample, ...]
    prompt_tokens: int


class DrawnAudience(Protocol):
    """Who waits for the turns, or pairs of turns, of a batch; they are named by their index."""

    def left(self) -> Collection[int]:
        """Those that nobody waits for any more; asked at every step."""

    def served(self, turn: int, drawn: Drawn) -> None:
        """Take what was drawn for one, as soon as it has ended or was cut."""


class _Translated(NamedTuple):
    """An audience of samples as one of plain completions."""

    audience: DrawnAudience
    drawn: Callable[[int, list[Completion]], Drawn]

    def left(self) -> Collection[int]:
        return self.audience.left()

    def served(self, prompt: int, completions: list[Completion]) -> None:
        self.audience.served(prompt, self.drawn(prompt, completions))


class LocalModel:
    """What `TransformersEngine` asks of its checkpoint, without threads, prompts or accounts."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self.context = context_of(loaded.model.config)
        """Tokens that the model takes, prompt and completion together; None if untold."""

    def encode(self, turn: Turn) -> Encoded:
        """A turn as the model's inputs, on the CPU.

        Raises:
            EngineError: it leaves no room in the model's context for a single token.
        """
        loaded, context = self._loaded, self.context
        made = encode_turn(turn, loaded.processor, loaded.vocabulary, loaded.dtype)
        if context is not None and made.length >= context:
            raise EngineError(
                f"the question and its pictures take {made.length} tokens, and {loaded.name} has "
                f"room for {context} with its answer: ask more briefly, or show fewer or smaller "
                "pictures (max_pixels)"
            )
        return made

    @torch.inference_mode()
    def sample(
        self, turns: Sequence[Encoded], params: SamplingParams, audience: DrawnAudience
    ) -> None:
        """Draw `params.n` completions of each turn, all turns as one batch, for the audience."""
        vocabulary = self._loaded.vocabulary
        repeats = params.n if params.temperature == 0 else 1

        def drawn(turn: int, completions: list[Completion]) -> Drawn:
            return Drawn(tuple(map(self._sample, completions)) * repeats, turns[turn].length)

        decode(
            self._read(turns),
            params,
            [turn.key for turn in turns],
            end_ids=vocabulary.end_ids,
            suppressed=vocabulary.suppressed,
            audience=_Translated(audience, drawn),
            room=self._room(turns),
        )

    @torch.inference_mode()
    def contrast(
        self,
        clean: Sequence[Encoded],
        noised: Sequence[Encoded],
        params: ContrastParams,
        audience: DrawnAudience,
    ) -> None:
        """Decode each clean turn in lock-step against its noised one, all pairs as one batch."""
        vocabulary = self._loaded.vocabulary

        def drawn(pair: int, completions: list[Completion]) -> Drawn:
            read = clean[pair].length + noised[pair].length
            return Drawn(tuple(map(self._sample, completions)), read)

        contrastive_decode(
            self._read([*clean, *noised]),
            params,
            end_ids=vocabulary.end_ids,
            suppressed=vocabulary.suppressed,
            audience=_Translated(audience, drawn),
            room=self._room(clean, noised),
        )

    @torch.inference_mode()
    def score(
        self,
        turn: Encoded,
        completions: Sequence[Sequence[int]],
        given_up: Callable[[], bool],
    ) -> tuple[tuple[Score, ...], int]:
        """Scores of the completions of one turn, and the tokens that were read for them.

        Raises:
            EngineError: a token id lies outside the vocabulary, or the scoring is given up.
        """
        prefix = self._read([turn])
        vocabulary = prefix.logits.shape[-1]
        if any(not 0 <= token < vocabulary for ids in completions for token in ids):
            raise EngineError(f"a token id lies outside the vocabulary of {vocabulary} tokens")
        scored = score_completions(
            prefix, completions, end_ids=self._loaded.vocabulary.end_ids, given_up=given_up
        )
        scores = tuple(
            Score(logprobs=completion.logprobs, confidence=self._confidence(completion))
            for completion in scored
        )
        return scores, turn.length + sum(map(len, completions))

    def _room(self, *branches: Sequence[Encoded]) -> list[int] | None:
        """Tokens that the context leaves to each turn, or to the longest of each pair of them."""
        if self.context is None:
            return None
        pairs = zip(*branches, strict=True)
        return [self.context - max(turn.length for turn in pair) for pair in pairs]

    def _read(self, turns: Sequence[Encoded]) -> Prefix:
        batch = collate(turns, self._loaded.processor)
        inputs = {name: value.to(self._loaded.device) for name, value in batch.inputs.items()}
        return Prefix.read(self._loaded.model, inputs)

    def _sample(self, completion: Completion) -> Sample:
        ids = completion.token_ids
        return Sample(
            text=self._text(ids[:-1] if completion.ended else ids),
            token_ids=ids,
            confidence=self._confidence(completion),
            token_confidence=completion.confidence,
            finish_reason="stop" if completion.ended else "length",
        )

    def _confidence(self, completion: Completion) -> dict[ConfidenceKind, float]:
        span = answer_tokens(completion.token_ids, self._text)
        return sequence_confidences(
            completion.confidence, completion.logprobs, span, completion.self_certainty
        )

    def _text(self, token_ids: Sequence[int]) -> str:
        text: str = self._loaded.processor.tokenizer.decode(
            list(token_ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text
