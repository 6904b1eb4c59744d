"""Scaling: one set of samples for every n, exact majorities, and slopes."""

import numpy as np
import pytest
from asked import Told, item, run, said
from hypothesis import given, settings
from hypothesis import strategies as st

from catts.agents.protocol import SamplingParams
from catts.evals.studies import scaling
from catts.evals.studies.result import Estimate, Line
from catts.evals.studies.scaling import FirstSamples
from catts.question import Question

QUESTION = Question(text="one: how many?")


def value(line: Line, column: str) -> float:
    cell = line.cells[column]
    assert isinstance(cell, Estimate)
    return cell.value


async def test_the_first_samples_are_those_of_one_draw() -> None:
    told = Told({"one": [said(str(n), tokens=[1.0] * (n + 1)) for n in range(8)]})
    first = FirstSamples(told, 4)
    whole = await first.sample(QUESTION, [], SamplingParams(n=4))
    two = await first.sample(QUESTION, [], SamplingParams(n=2, seed=3))
    more = await first.sample(QUESTION, [], SamplingParams(n=6))
    assert [p.n for p in told.params] == [4, 4, 6], "one draw serves every smaller n"
    assert told.params[1].seed == 3
    assert two.samples == whole.samples[:2]
    assert len(more.samples) == 6
    assert (two.usage.completion_tokens, whole.usage.completion_tokens) == (1 + 2, 1 + 2 + 3 + 4)
    assert two.usage.prompt_tokens == whole.usage.prompt_tokens
    assert first.fingerprint == told.fingerprint, "it is the same model"


async def test_a_line_for_each_n_and_the_slopes() -> None:
    answers = {"one": [said(a, 2.0) for a in ("4", "3", "3", "3")]}
    runs = {
        n: [await run(item(), FirstSamples(Told(answers, contrast="3"), 4), samples=n)] * 2
        for n in (1, 2, 4)
    }
    lines = scaling.scaling(runs)
    assert [line.label for line in lines] == ["n = 1", "n = 2", "n = 4", "slope per doubling"]
    # all subsets: 3 of 4; 3 pairs of 3 3 and 3 that tie; all four
    majority = [0.75, (3 + 3 / 2) / 6, 1.0]
    assert [value(line, "majority") for line in lines[:3]] == pytest.approx(majority)
    weighted = [0.0, 1.0, 1.0]  # the first n of them; the tie of 2 goes to what sorts first
    assert [value(line, "confidence-weighted") for line in lines[:3]] == weighted
    graph = [runs[n][0].answered for n in (1, 2, 4)]
    assert [value(line, "CA-TTS") for line in lines[:3]] == graph
    assert value(lines[0], "CA-TTS vs majority") == pytest.approx(graph[0] - 0.75)
    for way, hits in (("majority", majority), ("confidence-weighted", weighted)):
        assert value(lines[3], way) == pytest.approx(np.polyfit([0, 1, 2], hits, 1)[0])
    both = value(lines[3], "CA-TTS") - value(lines[3], "majority")
    assert value(lines[3], "CA-TTS vs majority") == pytest.approx(both)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=2, max_size=5, unique=True),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_the_mean_slope_is_the_slope_of_the_means(powers, questions, random) -> None:  # type: ignore[no-untyped-def]
    hits = {2**p: [[random.random()] for _ in range(questions)] for p in powers}
    slopes = scaling._slopes(hits)
    means = [np.mean(hits[2**p]) for p in sorted(powers)]
    expected = np.polyfit(sorted(powers), means, 1)[0]
    assert np.mean(slopes) == pytest.approx(expected, abs=1e-9)
    assert len(slopes) == questions


async def test_the_slope_has_an_interval_over_questions() -> None:
    rising = {"one": [said("4", 2.0), said("3", 9.0), said("3", 9.0), said("3", 9.0)]}
    flat = {"one": [said("3", 2.0)] * 4}
    runs = {
        n: [await run(item(), FirstSamples(Told(a), 4), samples=n) for a in [rising, flat] * 4]
        for n in (1, 4)
    }
    slope = scaling.scaling(runs)[-1].cells["confidence-weighted"]
    assert isinstance(slope, Estimate)
    assert (slope.value, 0 <= slope.low < 0.25 < slope.high <= 0.5) == (0.25, True)
