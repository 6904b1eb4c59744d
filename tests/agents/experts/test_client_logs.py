"""What providers' clients log while they ask again holds no key, whatever the server says."""

import logging

import pytest
from pydantic import SecretStr

from catts.agents.expert import Candidate
from catts.agents.experts.client_logs import keep_out_of_logs
from catts.agents.spec import resolve_expert
from catts.errors import RoleError
from catts.question import Question

KEYS = ("AIzaFakeKey0123456789abcdef", "planted0123456789abcdef")
CANDIDATES = (
    Candidate(answer="2", count=5, confidence=2.5, share=0.7),
    Candidate(answer="3", count=3, confidence=1.2, share=0.3),
)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("spec", ["google_genai:gemini-2.5-pro", "gpt-4o"])
async def test_a_key_that_a_server_repeats_stays_out_of_the_logs(
    standin, no_waiting, caplog, spec, key
):
    caplog.set_level(logging.DEBUG)
    error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": f"too often by {key}"}
    standin.says({"error": error}, 429)
    # Google's client counts all attempts, OpenAI's those after the first
    settings = {"max_retries": 2 if spec.startswith("google") else 1}
    expert = resolve_expert(spec, url=standin.url, api_key=SecretStr(key), settings=settings)
    with pytest.raises(RoleError):
        await expert.vote(Question(text="How many?"), [], CANDIDATES)
    assert len(standin.requests) == 10
    assert "Retrying" in caplog.text, "the client tells that it asks again"
    assert key not in caplog.text


def test_a_line_without_a_key_stays_as_it_was(caplog):
    keep_out_of_logs(["planted0123456789abcdef"])
    caplog.set_level(logging.DEBUG)
    logger = logging.getLogger("google_genai._api_client")
    logger.info("asked %s, %d times", "again", 2)
    logger.info("by %s", "planted0123456789abcdef")
    first, second = caplog.records
    assert (first.msg, first.args) == ("asked %s, %d times", ("again", 2))
    assert second.getMessage() == "by [key]"
