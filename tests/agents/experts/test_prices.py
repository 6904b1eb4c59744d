"""What requests cost: the shipped table, a table of one's own, and what is not known."""

import re
from pathlib import Path

import pytest

from catts.agents.experts.prices import FREE, Price, Prices, priced, read_prices, shipped_prices
from catts.agents.protocol import Usage
from catts.errors import InputError

PRICE = Price(input=1.25, output=10)
USED = Usage(calls=2, prompt_tokens=4000, completion_tokens=300, seconds=1.5)


def test_the_shipped_table_is_one_and_knows_the_papers_expert():
    assert shipped_prices().of("google_genai:gemini-2.5-pro") == PRICE


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("openai:gpt-4o", True),
        ("openai:gpt-4o-2024-08-06", True),
        ("openai:gpt-4o-latest", True),
        ("google_genai:gemini-2.5-pro-001", True),
        ("google_genai:models/gemini-2.5-pro", True),
        ("google_genai:gemini-2.5-pro-preview-06-05", True),
        ("google_genai:gemini-3-pro-preview", True),
        ("anthropic:claude-sonnet-4-5@20250929", True),
        ("anthropic:claude-sonnet-4-5-20250929", True),
        ("anthropic:claude-sonnet-4", False),
        ("openai:gpt-4o-mini", True),
        ("openai:gpt-4o-audio-preview", False),
        ("openai:gpt-4", False),
        ("gpt-4o", False),
        ("Qwen/Qwen2.5-VL-7B-Instruct", False),
    ],
)
def test_a_version_costs_what_its_model_does_and_another_model_is_not_known(model, known):
    found = shipped_prices().of(model)
    assert (found is not None) is known
    if model == "openai:gpt-4o-mini":
        assert found != shipped_prices().of("openai:gpt-4o")


def test_the_longest_name_counts():
    prices = Prices(prices={"m:opus-4": Price(input=15, output=75), "m:opus-4-5": PRICE})
    assert prices.of("m:opus-4-5-20251101") == PRICE
    assert prices.of("m:opus-4-20250514").output == 75
    assert prices.of("m:opus-4-1") is None


def test_every_provider_s_model_that_people_read_of_has_a_price():
    root = Path(__file__).parents[3]
    pages = [root / "README.md", *(root / "docs").glob("*.md"), root / "core" / "options.py"]
    named = {
        name
        for page in pages
        for name in re.findall(r"google_genai:gemini-[\w.-]*\w", page.read_text("utf-8"))
    }
    assert named
    assert [name for name in named if shipped_prices().of(name) is None] == []


def test_tokens_cost_what_the_table_says():
    usage = priced(USED, PRICE)
    assert usage.dollars == pytest.approx((4000 * 1.25 + 300 * 10) / 1e6)
    assert usage.model_copy(update={"dollars": 0.0}) == USED


def test_what_is_not_known_is_counted_and_never_a_silent_zero():
    assert priced(USED, None).unpriced == 2
    assert priced(Usage(calls=1), PRICE).unpriced == 1, "the provider told no tokens"
    assert priced(USED, FREE) == USED


def test_costs_add_up():
    total = priced(USED, PRICE) + priced(USED, PRICE) + priced(USED, None)
    assert total.dollars == pytest.approx(2 * priced(USED, PRICE).dollars)
    assert total.unpriced == 2


def test_a_table_of_ones_own_is_read(tmp_path):
    table = tmp_path / "mine.toml"
    table.write_text('[prices]\n"openai:gpt-9" = { input = 1, output = 2.5 }\n')
    assert read_prices(table) == Prices(prices={"openai:gpt-9": Price(input=1, output=2.5)})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot read .*No such file"),
        ("[prices", "is no TOML"),
        ('[prices]\nx = { input = 1 }\n', "is no table of prices: prices.x.output"),
        ('[prices]\nx = { input = -1, output = 1 }\n', "greater than or equal to 0"),
        ('x = 1\n', "is no table of prices"),
    ],
)  # fmt: skip
def test_a_table_that_is_none_is_refused(tmp_path, text, says):
    table = tmp_path / "mine.toml"
    if text is not None:
        table.write_text(text)
    with pytest.raises(InputError, match=says):
        read_prices(table)
