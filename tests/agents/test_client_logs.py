"""What providers' clients log while they ask again holds no key, whatever the server says."""

import logging

import pytest
from langchain.chat_models import init_chat_model

from catts.agents.client_logs import keep_out_of_logs
from catts.agents.expert import Candidate
from catts.agents.experts.roles import ChatExpert
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
    provider, retries = ("google_genai", 2) if spec.startswith("google") else ("openai", 1)
    expert = ChatExpert.single(
        init_chat_model(
            spec.removeprefix("google_genai:"),
            model_provider=provider,
            base_url=standin.url,
            api_key=key,
            max_retries=retries,
        ),
        attempts=5,
    )
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


async def test_the_login_of_an_address_stays_out_of_the_logs(standin, caplog):
    for logger in ("", "httpx", "httpx2"):  # whose level another test's library may have raised
        caplog.set_level(logging.DEBUG, logger)
    standin.says({"error": {"message": "no"}}, 400)
    place = standin.url.removeprefix("http://")
    expert = resolve_expert("qwen", url=f"http://bob:hunter22secret@{place}/v1")
    with pytest.raises(RoleError):
        await expert.vote(Question(text="How many?"), [], CANDIDATES)
    assert place in caplog.text, "the client tells what it asks"
    assert "hunter22secret" not in caplog.text


def test_a_traceback_with_a_key_is_logged_without_it(caplog):
    keep_out_of_logs(["planted0123456789abcdef"])
    caplog.set_level(logging.DEBUG)
    try:
        raise ValueError("by planted0123456789abcdef")
    except ValueError:
        logging.getLogger("openai._base_client").exception("it failed")
    assert "ValueError: by [key]" in caplog.text
    assert "planted0123" not in caplog.text
