import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catts.agents.failures import MAX_MESSAGE_CHARS, clean, http_status


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("see https://a.example:8000/v1/x?key=abc#f", "see https://a.example:8000"),
        ("at http://me:pw@10.0.0.1/x, sorry", "at http://10.0.0.1 sorry"),
        ("Incorrect API key provided: sk-proj-12345678.", "Incorrect API key provided: [key]"),
        ("api_key=abcdefgh1234", "api_key=[key]"),
        ("{'x-goog-api-key': 'abcdefgh1234'}", "{'x-goog-api-key': '[key]'}"),
        ("Authorization: Bearer abcdefgh", "Authorization: Bearer [key]"),
        ("AIzaSyA1234567890 is not valid", "[key] is not valid"),
        ("two\nlines\t here ", "two lines here"),
        ("API key not valid. Please pass a valid API key.", None),
        ("the token limit is 4096", None),
    ],
)
def test_keys_and_addresses_are_taken_out(text: str, cleaned: str | None) -> None:
    assert clean(text) == (text if cleaned is None else cleaned)


@settings(deadline=None)
@given(st.text(), st.text(min_size=4, alphabet="abcXYZ019-_"), st.text())
def test_a_known_key_never_survives(before: str, key: str, after: str) -> None:
    assert key not in clean(before + key + after, frozenset({key})).replace("[key]", "")


def test_a_message_stays_short() -> None:
    assert len(clean("word " * 1_000_000)) == MAX_MESSAGE_CHARS


def test_the_status_is_found_along_the_causes() -> None:
    inner = ValueError()
    inner.code = 503  # type: ignore[attr-defined]
    outer = RuntimeError()
    outer.__cause__ = inner
    assert http_status(outer) == 503
    assert http_status(RuntimeError()) is None
