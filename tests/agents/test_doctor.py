"""What `catts doctor` finds out of an installation, an expert and a base."""

import pytest
import torch
from rich.console import Console

from catts.agents.doctor import describe, examine


def says(text, finish="stop"):
    message = {"role": "assistant", "content": text}
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("body", "http", "status"),
    [
        (says('{"probabilities": [0.9, 0.1]}'), 200, "replies"),
        (says("Red."), 200, "malformed"),
        (says("", finish="content_filter"), 200, "refused"),
        ({"error": {"message": "no such key"}}, 401, "unreachable"),
    ],
)
async def test_the_expert_is_asked_for_one_vote(standin, monkeypatch, body, http, status):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    standin.says(body, http)
    report = await examine("qwen", url=standin.url)
    assert report.expert.status == status
    assert report.expert.detail
    assert report.healthy is (status == "replies")


@pytest.mark.models
@pytest.mark.parametrize("expert", ["embedded", "base"])
async def test_the_shipped_models_reply(expert):
    report = await examine(expert)
    assert (report.expert.status, report.healthy) == ("replies", True)


@pytest.mark.parametrize("kept", [True, False])
async def test_an_installation_that_is_compiled_at_every_start_is_told(
    standin, tmp_path, monkeypatch, kept
):
    standin.says(says('{"probabilities": [0.9, 0.1]}'))
    compiled = tmp_path / "torch.pyc"
    monkeypatch.setattr("importlib.util.cache_from_source", {torch.__file__: str(compiled)}.get)
    if kept:
        compiled.touch()
    report = await examine("qwen", url=standin.url)
    assert (report.bytecode, report.healthy) == (kept, True)
    console = Console(record=True, width=200)
    console.print(describe(report))
    assert ("unset PYTHONDONTWRITEBYTECODE" in console.export_text()) is not kept


def draws(count):
    """A completion of one token, with its `count` likeliest ones."""
    top = [{"token": f"t{n}", "logprob": -1.0 - n} for n in range(count)]
    token = {"token": "t0", "logprob": -1.0, "top_logprobs": top}
    choice = {
        "index": 0, "message": {"content": "t0"}, "token_ids": [5], "finish_reason": "length",
        "logprobs": {"content": [token]},
    }  # fmt: skip
    return {"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}


@pytest.mark.parametrize(("logprobs", "enough"), [(21, True), (5, False)])
async def test_a_server_as_base_is_asked_for_one_token(standin, monkeypatch, logprobs, enough):
    """It has no plugin, and no --enable-scale-out."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    standin.pages["/v1/models"] = {"data": [{"id": "m", "max_model_len": 4096}]}
    standin.says({"error": {"message": "Not Found"}}, 404)
    standin.says(draws(logprobs))
    standin.says(says('{"probabilities": [0.9, 0.1]}'))
    report = await examine("qwen", url=standin.url, base=f"vllm:{standin.url}/v1")
    base = report.base
    assert base is not None
    assert (base.name, base.context, base.enough_logprobs) == ("m", 4096, enough)
    assert base.servers == (standin.url.removeprefix("http://"),)
    assert base.self_check == "candidate_scoring"
    assert "catts serve" in base.advice
    assert report.healthy is enough
    assert ("--max-logprobs 21" in base.problem) is not enough
    console = Console(width=200)
    with console.capture() as shown:
        console.print(describe(report))
    assert "self-check by candidate_scoring" in shown.get()
    assert base.problem in shown.get()


async def test_a_base_that_is_not_there_is_told(standin):
    standin.says(says('{"probabilities": [0.9, 0.1]}'))
    report = await examine("qwen", url=standin.url, base="vllm:http://127.0.0.1:9")
    assert report.base is not None
    assert "no vLLM server answers at 127.0.0.1:9" in report.base.problem
    assert (report.expert.status, report.healthy) == ("replies", False)


async def test_a_base_that_is_loaded_here_is_asked_too(standin, tiny_checkpoint):
    standin.says(says('{"probabilities": [0.9, 0.1]}'))
    report = await examine("qwen", url=standin.url, base=str(tiny_checkpoint))
    assert report.base is not None
    assert report.base.name == tiny_checkpoint.name
    assert (report.base.self_check, report.base.advice) == ("lock_step", "")
    assert report.healthy
