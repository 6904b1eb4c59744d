"""A local model behind its queue: calls in, what was asked and what it cost out."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

import torch

from catts.agents.engines.call_queue import BatchLimits, Call, CallQueue
from catts.agents.engines.inputs import Turn
from catts.agents.engines.loading import LoadedModel
from catts.agents.engines.local_model import Drawn, LocalModel
from catts.agents.protocol import (
    Contrast,
    ContrastParams,
    Generation,
    SamplingParams,
    Score,
    Usage,
)
from catts.agents.spending import Account
from catts.errors import EngineError

_T = TypeVar("_T")
_A = TypeVar("_A")


class ServedModel:
    """What `TransformersEngine` asks of its checkpoint: serves calls in turn, from any thread.

    Calls end in an `EngineError` where the model cannot do what was asked. Cancelling one takes
    its rows out of the batch at the next step.
    """

    def __init__(self, loaded: LoadedModel, limits: BatchLimits, account: Account) -> None:
        self._model = LocalModel(loaded)
        self._queue = CallQueue(loaded.name, partial(_guarded, self._model.encode), limits)
        self._account = account

    def close(self) -> None:
        """Wait for the calls being served; those that wait end in an `EngineError`."""
        self._queue.close()

    def generate(self, turns: Sequence[Turn], params: SamplingParams) -> Call[list[Generation]]:
        """Draw completions of each turn; calls that wait with equal `params` go as one batch."""

        def work(calls: Sequence[Call[list[Generation]]]) -> None:
            turns = [turn for call in calls for turn in call.encoded]
            self._model.sample(turns, params, _Parts(calls, generation))

        def generation(call: Call[list[Generation]], drawn: Drawn) -> Generation:
            return Generation(samples=drawn.samples, usage=self._spend(call, drawn))

        copies = 1 if params.temperature == 0 else params.n
        return self._submit(
            Call(
                work=partial(_guarded, work),
                kind=("generate", params),
                turns=turns,
                parts=len(turns),
                rows=len(turns) * copies,
                new_tokens=self._longest(params.max_new_tokens),
            )
        )

    def contrast(
        self,
        clean: Sequence[Turn],
        noised: Sequence[Turn],
        params: ContrastParams,
    ) -> Call[list[Contrast]]:
        """Decode each clean turn against its noised one; batched like `generate`."""

        def work(calls: Sequence[Call[list[Contrast]]]) -> None:
            seen = [turn for call in calls for turn in call.encoded[: call.parts]]
            blurred = [turn for call in calls for turn in call.encoded[call.parts :]]
            self._model.contrast(seen, blurred, params, _Parts(calls, contrast))

        def contrast(call: Call[list[Contrast]], drawn: Drawn) -> Contrast:
            (sample,), usage = drawn.samples, self._spend(call, drawn)
            return Contrast(sample=sample, method="lock_step", usage=usage)

        return self._submit(
            Call(
                work=partial(_guarded, work),
                kind=("contrast", params),
                turns=[*clean, *noised],
                parts=len(clean),
                rows=2 * len(clean),
                new_tokens=self._longest(params.max_new_tokens),
            )
        )

    def score(
        self,
        turn: Turn,
        completions: Sequence[Sequence[int]],
    ) -> Call[tuple[Score, ...]]:
        """Score completions of one turn; goes alone."""

        def work(calls: Sequence[Call[tuple[Score, ...]]]) -> None:
            (call,) = calls
            scores, read = self._model.score(call.encoded[0], completions, call.gone)
            self._spend(call, Drawn((), read))
            call.finish(scores)

        return self._queue.submit(
            Call(
                work=partial(_guarded, work),
                kind=None,
                turns=[turn],
                parts=1,
                rows=len(completions),
                new_tokens=max(map(len, completions)),
            )
        )

    def _longest(self, new_tokens: int) -> int:
        """Most tokens that a completion can have, for the account of a batch."""
        context = self._model.context
        return new_tokens if context is None else min(new_tokens, context)

    def _submit(self, call: Call[list[_T]]) -> Call[list[_T]]:
        if not call.turns:
            call.finish([])
            return call
        return self._queue.submit(call)

    def _spend(self, call: Call[_T], drawn: Drawn) -> Usage:
        """The share of one turn, or pair of them, in what its call has cost so far."""
        usage = Usage(
            calls=1,
            prompt_tokens=drawn.prompt_tokens,
            completion_tokens=sum(len(sample.token_ids) for sample in drawn.samples),
            seconds=(time.perf_counter() - call.asked) / call.parts,
            queued=call.waited / call.parts,
        )
        self._account.add(usage)
        return usage


class _Parts(Generic[_T]):
    """The audience of a batch: each call gets its results together, once the last is there."""

    def __init__(
        self, calls: Sequence[Call[list[_T]]], result: Callable[[Call[list[_T]], Drawn], _T]
    ) -> None:
        self._owners = [call for call in calls for _ in range(call.parts)]
        self._result = result
        self._results: dict[int, _T] = {}

    def left(self) -> list[int]:
        return [index for index, call in enumerate(self._owners) if call.gone()]

    def served(self, turn: int, drawn: Drawn) -> None:
        owner = self._owners[turn]
        self._results[turn] = self._result(owner, drawn)
        own = [index for index, call in enumerate(self._owners) if call is owner]
        if all(index in self._results for index in own):
            owner.finish([self._results[index] for index in own])


def _guarded(work: Callable[[_A], _T], given: _A) -> _T:
    """Run model work; what fails inside the model is an `EngineError`."""
    try:
        return work(given)
    except torch.OutOfMemoryError as error:
        raise EngineError(
            "out of GPU memory: ask for fewer samples, fewer questions at once, smaller images, "
            "or a 16-bit dtype"
        ) from error
    except (RuntimeError, ValueError, IndexError) as error:
        raise EngineError(f"the model failed: {type(error).__name__}: {error}") from error
