"""A local model behind its queue: calls in, what was asked and what it cost out."""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

import torch

from catts.agents.call_queue import BatchLimits, Call, CallQueue
from catts.agents.inputs import Turn
from catts.agents.loading import LoadedModel
from catts.agents.local_model import Drawn, LocalModel
from catts.agents.protocol import (
    Contrast,
    ContrastParams,
    Generation,
    SamplingParams,
    Score,
    Usage,
)
from catts.agents.sampling import Leavers
from catts.errors import EngineError

_T = TypeVar("_T")
_A = TypeVar("_A")


class Account:
    """What calls have cost, added up from any thread."""

    def __init__(self) -> None:
        self.total = Usage()
        self._lock = threading.Lock()

    def add(self, usage: Usage) -> None:
        """Add the cost of a call."""
        with self._lock:
            self.total += usage


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

        def work(calls: Sequence[Call[list[Generation]]]) -> list[list[Generation]]:
            turns = [turn for call in calls for turn in call.encoded]
            drawn = iter(self._model.sample(turns, params, _leavers(calls)))
            return [
                [
                    Generation(samples=each.samples, usage=self._spend(call, each))
                    for each in islice(drawn, call.parts)
                ]
                for call in calls
            ]

        copies = 1 if params.temperature == 0 else params.n
        return self._queue.submit(
            Call(
                work=partial(_guarded, work),
                kind=("generate", params),
                turns=turns,
                parts=len(turns),
                rows=len(turns) * copies,
                new_tokens=params.max_new_tokens,
            )
        )

    def contrast(
        self,
        clean: Sequence[Turn],
        noised: Sequence[Turn],
        params: ContrastParams,
    ) -> Call[list[Contrast]]:
        """Decode each clean turn against its noised one; batched like `generate`."""

        def work(calls: Sequence[Call[list[Contrast]]]) -> list[list[Contrast]]:
            seen = [turn for call in calls for turn in call.encoded[: call.parts]]
            blurred = [turn for call in calls for turn in call.encoded[call.parts :]]
            drawn = iter(self._model.contrast(seen, blurred, params, _leavers(calls)))
            return [
                [
                    Contrast(
                        sample=each.samples[0], method="lock_step", usage=self._spend(call, each)
                    )
                    for each in islice(drawn, call.parts)
                ]
                for call in calls
            ]

        return self._queue.submit(
            Call(
                work=partial(_guarded, work),
                kind=("contrast", params),
                turns=[*clean, *noised],
                parts=len(clean),
                rows=2 * len(clean),
                new_tokens=params.max_new_tokens,
            )
        )

    def score(
        self,
        turn: Turn,
        completions: Sequence[Sequence[int]],
    ) -> Call[tuple[Score, ...]]:
        """Score completions of one turn; goes alone."""

        def work(calls: Sequence[Call[tuple[Score, ...]]]) -> list[tuple[Score, ...]]:
            (call,) = calls
            scores, read = self._model.score(call.encoded[0], completions, _leavers(calls))
            self._spend(call, Drawn((), read))
            return [scores]

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


def _leavers(calls: Sequence[Call[_T]]) -> Leavers:
    """Which of the calls' turns, or pairs, nobody waits for any more."""
    owners = [call for call in calls for _ in range(call.parts)]
    return lambda: [index for index, call in enumerate(owners) if call.gone()]


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
