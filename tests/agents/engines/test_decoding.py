"""The decoding loops on a model whose logits are known: a table from image and last token."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from catts.agents.engines.contrast import contrastive_decode, contrastive_scores
from catts.agents.engines.prefix import Prefix
from catts.agents.engines.room import FIRST_COLUMNS
from catts.agents.engines.sampling import RandomStreams, choose, decode
from catts.agents.engines.scoring import score_completions
from catts.agents.engines.token_confidence import allowed_tokens
from catts.agents.protocol import ContrastParams, SamplingParams
from catts.errors import EngineError

END, IMAGE_PAD = 0, 1
VOCABULARY = 30


class RowCache:
    """Remembers which image each row looks at."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def batch_repeat_interleave(self, n: int) -> None:
        self.images = self.images.repeat_interleave(n)

    def batch_select_indices(self, rows: Tensor) -> None:
        self.images = self.images[rows]


class Table(torch.nn.Module):
    """Next-token logits are `table[image, last token]`; a prompt is (image, last token)."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = table
        self.rows_seen: list[int] = []

    def forward(
        self, input_ids: Tensor, past_key_values: RowCache | None = None, **_: Any
    ) -> SimpleNamespace:
        self.rows_seen.append(len(input_ids))
        if past_key_values is None:
            past_key_values, input_ids = RowCache(input_ids[:, 0]), input_ids[:, 1:]
        logits = self.table[past_key_values.images[:, None], input_ids]
        return SimpleNamespace(logits=logits, past_key_values=past_key_values)


def read(model: Table, prompts: list[tuple[int, int]]) -> Prefix:
    ids = torch.tensor(prompts)
    return Prefix.read(model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)})


def random_table(images: int = 2, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    table = 2 * torch.randn(images, VOCABULARY, VOCABULARY, generator=generator)
    table[..., IMAGE_PAD] = 9  # what the model would say, were it let
    return table


def greedy_path(table: Tensor, start: int, steps: int) -> tuple[int, ...]:
    path, last = [], start
    for _ in range(steps):
        row = table[last].clone()
        row[IMAGE_PAD] = -math.inf
        last = int(row.argmax())
        path.append(last)
        if last == END:
            break
    return tuple(path)


def by_hand(logits: Tensor, token: int) -> tuple[float, float]:
    logprobs = sorted(logits.double().log_softmax(-1).tolist(), reverse=True)
    return -sum(logprobs[:20]) / 20, float(logits.double().log_softmax(-1)[token])


def test_greedy_follows_the_table_and_reports_the_raw_distribution() -> None:
    table = random_table()
    params = SamplingParams(n=3, temperature=0, max_new_tokens=12)
    rows = decode(
        read(Table(table), [(0, 5)]), params, ["k"], end_ids=(END,), suppressed=(IMAGE_PAD,)
    )[0]
    assert rows[0] == rows[1] == rows[2]
    assert rows[0].token_ids == greedy_path(table[0], 5, 12)
    last = 5
    for token, confidence, logprob in zip(*rows[0][:3], strict=True):
        expected = by_hand(table[0, last], token)
        assert (confidence, logprob) == pytest.approx(expected, abs=1e-5)
        last = token


def test_suppressed_tokens_are_never_taken() -> None:
    params = SamplingParams(n=16, max_new_tokens=20)
    rows = decode(
        read(Table(random_table()), [(0, 5), (1, 6)]),
        params,
        ["a", "b"],
        end_ids=(END,),
        suppressed=(IMAGE_PAD, VOCABULARY + 3),
    )
    assert [len(group) for group in rows] == [16, 16]
    tokens = [t for group in rows for completion in group for t in completion.token_ids]
    assert IMAGE_PAD not in tokens
    assert len(set(tokens)) > 10


def test_rows_that_ended_leave_and_decoding_stops_with_the_last() -> None:
    table = random_table()
    table[..., END] = 6  # rows end early, at different steps
    model = Table(table)
    params = SamplingParams(n=32, max_new_tokens=500)
    rows = decode(read(model, [(0, 5)]), params, ["k"], end_ids=(END,), suppressed=(IMAGE_PAD,))[0]
    lengths = [len(row.token_ids) for row in rows]
    assert len(set(lengths)) > 3
    assert all(row.ended and row.token_ids[-1] == END for row in rows)
    assert all(END not in row.token_ids[:-1] for row in rows)
    assert len(model.rows_seen) == max(lengths)  # the prefill gives the first token
    assert sum(model.rows_seen[1:]) < 32 * (max(lengths) - 1)
    for row in rows:
        last = 5
        for token, confidence, logprob in zip(*row[:3], strict=True):
            expected = by_hand(table[0, last], token)
            assert (confidence, logprob) == pytest.approx(expected, abs=1e-5)
            last = token


def test_cut_completions_are_not_ended() -> None:
    table = random_table()
    table[..., END] = -100
    params = SamplingParams(n=2, max_new_tokens=7)
    rows = decode(read(Table(table), [(0, 5)]), params, ["k"], end_ids=(END,), suppressed=())[0]
    assert [(len(row.token_ids), row.ended) for row in rows] == [(7, False)] * 2


def test_draws_hang_on_seed_key_and_row_alone() -> None:
    def draw(n: int, keys: list[str], seed: int = 0, length: int = 9) -> Tensor:
        params = SamplingParams(n=n, seed=seed, max_new_tokens=length)
        streams, rows = (
            RandomStreams(keys, params, torch.device("cpu")),
            torch.arange(n * len(keys)),
        )
        return torch.stack([streams.at(rows, step) for step in range(length)], dim=1)

    both = draw(4, ["a", "b"])
    assert torch.equal(both[4:], draw(4, ["b"]))
    assert torch.equal(both[:2], draw(2, ["a"]))
    assert torch.equal(both[:, :5], draw(4, ["a", "b"], length=5))
    assert len(torch.unique(torch.cat([both, draw(4, ["a", "b"], seed=1)]))) == 2 * both.numel()


def test_draws_are_the_same_however_far_they_go() -> None:
    params = SamplingParams(n=1, seed=3, max_new_tokens=10**9)
    streams, row = RandomStreams(["k"], params, torch.device("cpu")), torch.zeros(1, dtype=int)
    drawn = torch.cat([streams.at(row, step) for step in range(5 * FIRST_COLUMNS)])
    short = params.model_copy(update={"max_new_tokens": FIRST_COLUMNS - 1})
    once = RandomStreams(["k"], short, torch.device("cpu"))
    assert torch.equal(
        drawn[: FIRST_COLUMNS - 1],
        torch.cat([once.at(row, step) for step in range(FIRST_COLUMNS - 1)]),
    )
    assert len(torch.unique(drawn)) > 0.999 * len(drawn)


def test_what_is_written_grows_with_what_is_said() -> None:
    table = random_table()
    table[..., END] = -100
    longest = 2 * FIRST_COLUMNS + 7
    params = SamplingParams(n=2, max_new_tokens=10**9)
    rows = decode(
        read(Table(table), [(0, 5)]),
        params,
        ["k"],
        end_ids=(END,),
        suppressed=(IMAGE_PAD,),
        room=[longest],
    )[0]
    for row in rows:
        assert [len(column) for column in row[:3]] == [longest] * 3
        assert not row.ended
        last = 5
        for token, confidence, logprob in zip(*row[:3], strict=True):
            assert (confidence, logprob) == pytest.approx(by_hand(table[0, last], token), abs=1e-5)
            last = token


def test_each_prompt_is_cut_where_its_context_ends() -> None:
    table = random_table()
    table[..., END] = 1.5  # some rows end before
    prompts, keys, room = [(0, 5), (1, 6), (0, 7), (1, 8)], ["a", "b", "c", "d"], [9, 3, 40, 3]

    def drawn(chosen: list[int], longest: int, bounded: bool) -> list[list[Any]]:
        return decode(
            read(model, [prompts[i] for i in chosen]),
            SamplingParams(n=5, max_new_tokens=longest),
            [keys[i] for i in chosen],
            end_ids=(END,),
            suppressed=(IMAGE_PAD,),
            room=[room[i] for i in chosen] if bounded else None,
        )

    model = Table(table)
    together = drawn([0, 1, 2, 3], 20, True)
    rows_of_both, model.rows_seen = model.rows_seen, []
    for i, completions in enumerate(together):
        most = min(room[i], 20)
        assert completions == drawn([i], most, False)[0]
        assert any(len(c.token_ids) == most and not c.ended for c in completions)
        assert all(c.ended for c in completions if len(c.token_ids) < most)
    assert rows_of_both[2] > 10
    assert rows_of_both[3] <= 10, "after three tokens two of the four prompts have left"


def test_a_pair_is_cut_where_its_context_ends() -> None:
    table = random_table()
    table[..., END] = -100
    prompts, params = [(0, 5), (1, 6)], ContrastParams(max_new_tokens=12, beta=0.0)

    def decoded(pairs: list[tuple[int, int]], room: list[int] | None) -> list[Any]:
        noised = [(1 - image, last) for image, last in pairs]
        return contrastive_decode(
            read(Table(table), [*pairs, *noised]),
            params,
            end_ids=(END,),
            suppressed=(IMAGE_PAD,),
            room=room,
        )

    whole = decoded(prompts, None)
    short, long = decoded(prompts, [4, 100])
    assert (short.token_ids, short.ended) == (whole[0].token_ids[:4], False)
    assert (long.token_ids, long.ended) == (whole[1].token_ids, False)


def test_choose_draws_from_the_distribution() -> None:
    logits = torch.tensor([2.0, 1.0, 0.0, 5.0, -1.0])
    allowed = allowed_tokens(5, (3,), torch.device("cpu"))
    draw = (torch.arange(20_000) + 0.5) / 20_000
    taken = choose(logits.expand(20_000, 5), allowed, SamplingParams(temperature=0.7), draw)
    expected = (logits.masked_fill(~allowed, -torch.inf) / 0.7).softmax(-1)
    assert torch.bincount(taken, minlength=5) / 20_000 == pytest.approx(expected, abs=1e-4)


@given(st.floats(0.05, 1.0), st.integers(0, 1000))
def test_top_p_keeps_the_smallest_sufficient_set(top_p: float, seed: int) -> None:
    logits = torch.randn(12, generator=torch.Generator().manual_seed(seed))
    allowed = allowed_tokens(12, (), torch.device("cpu"))
    draw = (torch.arange(4000) + 0.5) / 4000
    taken = choose(logits.expand(4000, 12), allowed, SamplingParams(top_p=top_p), draw)
    probabilities = logits.double().softmax(-1)
    kept: dict[int, float] = {}
    for token in logits.argsort(descending=True).tolist():
        if sum(kept.values()) >= top_p - 1e-6:
            break
        kept[token] = float(probabilities[token])
    shares = torch.bincount(taken, minlength=12) / 4000
    expected = torch.tensor([kept.get(t, 0.0) / sum(kept.values()) for t in range(12)])
    assert shares == pytest.approx(expected, abs=1e-3)


@given(st.sampled_from([0.0, 1 - 2**-24]), st.integers(0, 500))
def test_the_ends_of_the_unit_interval_take_allowed_tokens(draw: float, seed: int) -> None:
    logits = 30 * torch.randn(1, 40, generator=torch.Generator().manual_seed(seed))
    allowed = allowed_tokens(40, (0, 1, 38, 39), torch.device("cpu"))
    taken = int(choose(logits, allowed, SamplingParams(top_p=0.9), torch.tensor([draw])))
    assert 2 <= taken < 38


def contrast(table: Tensor, alpha: float, beta: float, steps: int = 15) -> tuple[int, ...]:
    return contrastive_decode(
        read(Table(table), [(0, 5), (1, 5)]),
        ContrastParams(alpha=alpha, beta=beta, max_new_tokens=steps),
        end_ids=(END,),
        suppressed=(IMAGE_PAD,),
    )[0].token_ids


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.1), (0.5, 0.01), (2.0, 0.5), (1.0, 0.0)])
def test_contrast_follows_its_formula_in_lock_step(seed: int, alpha: float, beta: float) -> None:
    table = random_table(seed=seed)
    path, last = [], 5
    while len(path) < 15 and path[-1:] != [END]:
        clean, noised = (table[i, last].double().log_softmax(-1).tolist() for i in (0, 1))
        top = max(p for token, p in enumerate(clean) if token != IMAGE_PAD)
        floor = math.log(beta) + top if beta else -math.inf
        last = max(
            (t for t in range(VOCABULARY) if t != IMAGE_PAD and clean[t] >= floor),
            key=lambda t: (1 + alpha) * clean[t] - alpha * noised[t],
        )
        path.append(last)
    assert contrast(table, alpha, beta) == tuple(path)


@pytest.mark.parametrize("seed", range(8))
def test_without_strength_contrast_is_greedy(seed: int) -> None:
    table = random_table(seed=seed)
    assert contrast(table, 0.0, 0.1) == contrast(table, 0.0, 0.0) == greedy_path(table[0], 5, 15)


def test_contrast_changes_the_answer_that_noise_leaves_likely() -> None:
    clean = torch.tensor([-9.0, -9.0, 2.0, 1.8, -5.0])  # 2 is the prior's answer, 3 is what is seen
    noised = torch.tensor([-9.0, -9.0, 2.0, -1.0, -15.0])
    allowed = allowed_tokens(5, (), torch.device("cpu"))

    def best(alpha: float, beta: float) -> int:
        params = ContrastParams(alpha=alpha, beta=beta)
        return int(contrastive_scores(clean, noised, allowed, params).argmax())

    assert best(0.0, 0.1) == 2
    assert best(1.0, 0.1) == 3
    assert best(1.0, 0.0) == 4, "without the mask an implausible token wins"


def test_contrast_reports_the_clean_branch() -> None:
    table = random_table()
    (completion,) = contrastive_decode(
        read(Table(table), [(0, 5), (1, 5)]),
        ContrastParams(max_new_tokens=6),
        end_ids=(END,),
        suppressed=(IMAGE_PAD,),
    )
    last = 5
    for token, confidence, logprob in zip(*completion[:3], strict=True):
        expected = by_hand(table[0, last], token)
        assert (confidence, logprob) == pytest.approx(expected, abs=1e-5)
        last = token


@pytest.mark.parametrize("at_once", [1, 200, 10**9])
def test_scores_are_the_table_s_in_as_few_forwards_as_fit(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catts.agents.engines.scoring._LOGITS_AT_ONCE", at_once)
    model = Table(random_table())
    completions = [(3, 4, 5, 6, END), (), (7,), (8, 2, 9)]
    scored = score_completions(read(model, [(1, 5)]), completions, end_ids=(END,))
    assert [row.token_ids for row in scored] == completions
    assert [row.ended for row in scored] == [True, False, False, False]
    assert len(model.rows_seen) == 1 + {1: 4, 200: 4, 10**9: 1}[at_once]
    for row in scored:
        last = 5
        for token, confidence, logprob in zip(*row[:3], strict=True):
            expected = by_hand(model.table[1, last], token)
            assert (confidence, logprob) == pytest.approx(expected, abs=1e-5)
            last = token


def test_pairs_in_a_batch_are_what_each_is_alone() -> None:
    table = random_table(seed=3)
    params = ContrastParams(max_new_tokens=12)
    starts = (5, 9, 14)
    together = contrastive_decode(
        read(Table(table), [(0, s) for s in starts] + [(1, s) for s in starts]),
        params,
        end_ids=(END,),
        suppressed=(IMAGE_PAD,),
    )
    for start, completion in zip(starts, together, strict=True):
        (alone,) = contrastive_decode(
            read(Table(table), [(0, start), (1, start)]),
            params,
            end_ids=(END,),
            suppressed=(IMAGE_PAD,),
        )
        assert completion == alone


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("params", [{}, {"top_p": 0.9}, {"temperature": 0.0}])
def test_logits_that_are_no_numbers_are_an_error_in_sampling(
    value: float, params: dict[str, float]
) -> None:
    table = random_table()
    table[0, 3, 7] = value
    table[0, 5, 3] = 100.0  # the second step reads row 3
    settings = SamplingParams(n=4, max_new_tokens=6, **params)
    with pytest.raises(EngineError, match=r"NaN or infinite.*dtype"):
        decode(read(Table(table), [(0, 5)]), settings, ["k"], end_ids=(END,), suppressed=())


def test_rows_without_numbers_take_tokens_of_the_vocabulary_and_end() -> None:
    table = random_table()
    table[:, :] = math.nan
    model = Table(table)  # which would raise IndexError for a token outside its table
    with pytest.raises(EngineError):
        decode(
            read(model, [(0, 5), (1, 5)]),
            SamplingParams(n=4, max_new_tokens=500),
            ["a", "b"],
            end_ids=(END,),
            suppressed=(IMAGE_PAD,),
        )
    assert len(model.rows_seen) == 1, "no step follows one that gave no numbers"


@pytest.mark.parametrize("branch", [0, 1])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_logits_that_are_no_numbers_are_an_error_in_contrast(value: float, branch: int) -> None:
    table = random_table()
    table[branch, 5, 7] = value
    with pytest.raises(EngineError, match="NaN or infinite"):
        contrast(table, 1.0, 0.1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_logits_that_are_no_numbers_are_an_error_in_scoring(value: float) -> None:
    table = random_table()
    table[1, 4, 7] = value
    completions = [(3, 4, 5), (7,), ()]
    with pytest.raises(EngineError, match="NaN or infinite"):
        score_completions(read(Table(table), [(1, 5)]), completions, end_ids=(END,))
    table[1, 4, 7] = 0.0
    table[1, 0, 7] = value  # after padding, and after the last token: read, and used for nothing
    scored = score_completions(read(Table(table), [(1, 5)]), completions, end_ids=(END,))
    assert [len(row.logprobs) for row in scored] == [3, 1, 0]
