import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core import exceptions as langchain

from catts.agents.failures import MAX_MESSAGE_CHARS, clean, http_status, is_transient


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
        ("token eyJhbGciOi.eyJzdWIi.c2lnbmF0 expired", "token [key] expired"),
        ("access_token=abcdefgh1234 expired", "access_token=[key] expired"),
        ("AKIAIOSFODNN7EXAMPLE has no access", "[key] has no access"),
        ("ghp_0123456789abcdef was revoked", "[key] was revoked"),
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


def with_status(status: int) -> Exception:
    error = ValueError()
    error.status_code = status  # type: ignore[attr-defined]
    return error


def of_aiohttp(name: str) -> Exception:
    """An error that looks like one of aiohttp's, which is not installed with every provider."""
    error: Exception = type(name, (Exception,), {"__module__": "aiohttp.client_exceptions"})()
    return error


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (langchain.ModelRateLimitError(), True),
        (langchain.ModelAPIError(), True),
        (langchain.ModelConnectionError(), True),
        (langchain.ModelTimeoutError(), True),
        (langchain.ModelAuthenticationError(), False),
        (langchain.ModelInvalidRequestError(), False),
        (langchain.ContextOverflowError(), False),
        (httpx.ConnectError("refused"), True),
        (httpx.ReadTimeout("slow"), True),
        (httpx.RemoteProtocolError("hung up"), True),
        (httpx.DecodingError("no gzip"), False),
        (of_aiohttp("ClientConnectionError"), True),
        (of_aiohttp("ClientPayloadError"), True),
        (of_aiohttp("InvalidURL"), False),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (with_status(408), True),
        (with_status(429), True),
        (with_status(502), True),
        (with_status(400), False),
        (with_status(403), False),
        (with_status(501), True),
        (ValueError("no such field"), False),
    ],
)
def test_what_may_pass_by_itself_is_told_from_what_will_not(error: Exception, wanted: bool) -> None:
    assert is_transient(error) is wanted
    outer = RuntimeError("request failed")
    outer.__cause__ = error
    assert is_transient(outer) is wanted


def test_the_first_of_langchains_classes_decides() -> None:
    refused = langchain.ModelAuthenticationError()
    refused.__cause__ = with_status(503)
    assert not is_transient(refused)
