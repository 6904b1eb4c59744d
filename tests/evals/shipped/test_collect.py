from pathlib import Path

import pytest

from catts.agents.engines.transformers_engine import TransformersEngine
from catts.agents.expert import Candidate
from catts.agents.protocol import SamplingParams
from catts.evals.shipped import collect
from catts.evals.shipped.collect import Collection
from catts.evals.shipped.items import load_items

PARAMS = SamplingParams(n=2, max_new_tokens=5, seed=1)


@pytest.fixture(scope="module")
def engine(tiny_checkpoint):
    return TransformersEngine.load(tiny_checkpoint)


def test_what_was_collected_is_not_asked_again(engine, tmp_path):
    items = load_items("test", 3)
    first = Collection(tmp_path, items, quiet=True).answers(engine, PARAMS)
    calls = engine.usage.calls
    second = Collection(tmp_path, items, quiet=True).answers(engine, PARAMS)
    assert second == first
    assert engine.usage.calls == calls
    assert [len(row) for row in first] == [2, 2, 2]


def test_other_settings_are_asked_anew(engine, tmp_path):
    data = Collection(tmp_path, load_items("test", 2), quiet=True)
    data.answers(engine, PARAMS)
    data.answers(engine, PARAMS.model_copy(update={"seed": 2}))
    shown = [item.noised(900, key_region=True) for item in data.items]
    data.answers(engine, PARAMS, images=shown, shown="key 900")
    Collection(tmp_path, load_items("test", 3), quiet=True).answers(engine, PARAMS)
    assert len(list(tmp_path.glob("answers-*.jsonl"))) == 4


def test_a_killed_collection_leaves_nothing_half_done(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(collect, "_ROWS", 4)  # two questions of two samples make a batch
    data = Collection(tmp_path, load_items("test", 5), quiet=True)
    ask = engine.sample_many_sync
    batches = []

    def die(questions, *rest):
        batches.append(len(questions))
        if len(batches) == 3:
            raise KeyboardInterrupt
        return ask(questions, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(engine, "sample_many_sync", die)
        with pytest.raises(KeyboardInterrupt):
            data.answers(engine, PARAMS)
    assert batches == [2, 2, 1]
    assert not list(tmp_path.iterdir())
    whole = data.answers(engine, PARAMS)
    monkeypatch.setattr(collect, "_ROWS", 256)
    at_once = Collection(tmp_path / "other", data.items, quiet=True).answers(engine, PARAMS)
    assert [[s.token_ids for s in row] for row in whole] == [
        [s.token_ids for s in row] for row in at_once
    ]


def test_a_collection_that_dies_while_it_is_written_is_asked_again(engine, tmp_path, monkeypatch):
    data = Collection(tmp_path, load_items("test", 2), quiet=True)

    def full(self, target):
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="disk full"):
            data.answers(engine, PARAMS)
    calls = engine.usage.calls
    assert len(data.answers(engine, PARAMS)) == 2
    assert engine.usage.calls == calls + 2


def test_a_malformed_reply_is_no_vote(engine, tmp_path):
    """Random weights write nonsense: every role fails, none is made up."""
    data = Collection(tmp_path, load_items("test", 2), quiet=True)
    params = SamplingParams(n=1, temperature=0, max_new_tokens=5)
    assert data.critiques(engine, [("1", "because")] * 2, params) == [None, None]
    two = tuple(Candidate(answer=a, count=1, confidence=1.0, share=0.5) for a in "12")
    assert data.votes(engine, [two, two], params) == [None, None]


def test_a_single_candidate_needs_no_voter(engine, tmp_path):
    data = Collection(tmp_path, load_items("test", 2), quiet=True)
    params = SamplingParams(n=1, temperature=0, max_new_tokens=5)
    alone = (Candidate(answer="1", count=8, confidence=1.0, share=1.0),)
    calls = engine.usage.calls
    assert data.votes(engine, [alone, alone], params) == [(1.0,), (1.0,)]
    assert engine.usage.calls == calls
