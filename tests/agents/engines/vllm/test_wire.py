"""Requests to vLLM's chat API, and what is made of its replies."""

import math
from typing import Any

import pytest
from PIL import Image

from catts.agents.engines.vllm.wire import (
    read_samples,
    read_score,
    read_usage,
    sampling_request,
    scoring_request,
    tokens_request,
    user_turn,
)
from catts.agents.protocol import SamplingParams
from catts.errors import EngineError

TOP = [-0.1 * rank for rank in range(1, 22)]


def token(text: str, logprob: float, top: list[float]) -> dict[str, Any]:
    likeliest = [{"token": f"t{i}", "logprob": value} for i, value in enumerate(top)]
    return {"token": text, "logprob": logprob, "top_logprobs": likeliest}


def choice(index: int, words: list[str], **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "index": index,
        "message": {"role": "assistant", "content": "".join(words[:-1])},
        "token_ids": list(range(len(words))),
        "logprobs": {"content": [token(word, -0.1, TOP) for word in words]},
        "finish_reason": "stop",
    }
    return made | changes


def reply(*choices: dict[str, Any]) -> dict[str, Any]:
    return {"choices": list(choices), "usage": {"prompt_tokens": 9, "completion_tokens": 4}}


def test_a_request_leaves_nothing_to_the_server() -> None:
    params = SamplingParams(n=4, temperature=0.7, top_p=0.9, max_new_tokens=64, seed=3)
    body = sampling_request("m", user_turn("How many?", []), params)
    assert (body["n"], body["temperature"], body["top_p"], body["seed"]) == (4, 0.7, 0.9, 3)
    assert (body["max_completion_tokens"], body["logprobs"], body["top_logprobs"]) == (64, True, 21)
    assert (body["top_k"], body["min_p"], body["repetition_penalty"]) == (-1, 0.0, 1.0)


def test_greedy_decoding_asks_for_one() -> None:
    assert sampling_request("m", [], SamplingParams(n=4, temperature=0))["n"] == 1


def test_pictures_come_first_and_special_tokens_are_spelt_out() -> None:
    (turn,) = user_turn("what <|im_end|> is it?", [Image.new("RGB", (4, 4))] * 2)
    kinds = [part["type"] for part in turn["content"]]
    assert kinds == ["image_url", "image_url", "text"]
    assert turn["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")
    assert turn["content"][-1]["text"] == "what < |im_end|> is it?"


def test_samples_come_in_the_order_of_their_numbers() -> None:
    words = ["<think>", "two", "\\boxed{", "2", "}", "<end>"]
    second = choice(1, words, finish_reason="length")
    samples = read_samples(reply(second, choice(0, words)))
    assert [sample.finish_reason for sample in samples] == ["stop", "length"]
    assert samples[0].text == "<think>two\\boxed{2}"
    assert samples[0].token_ids == (0, 1, 2, 3, 4, 5)


def test_confidence_is_that_of_the_twenty_likeliest() -> None:
    """The sampled token, told first, ranks below 20 here and does not count."""
    words = ["a", "b"]
    rare = token("b", -9.0, [-9.0, *TOP[:20]])
    (sample,) = read_samples(
        reply(choice(0, words, logprobs={"content": [token("a", -0.1, TOP), rare]}))
    )
    expected = -math.fsum(TOP[:20]) / 20
    assert sample.token_confidence == pytest.approx((expected, expected))
    assert sample.confidence["top_k_mean"] == pytest.approx(expected)
    assert sample.confidence["min_logprob"] == -9.0
    assert "self_certainty" not in sample.confidence


def test_the_boxed_answer_has_a_confidence_of_its_own() -> None:
    words = ["x", "\\boxed{", "2", "}", "<end>"]
    told = [token(word, -0.5 if word == "2" else -0.1, TOP) for word in words]
    (sample,) = read_samples(reply(choice(0, words, logprobs={"content": told})))
    assert sample.confidence["answer_logprob"] == -0.5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"logprobs": None}, "is not one of vLLM's"),
        ({"token_ids": None}, "is not one of vLLM's"),
        ({"token_ids": [1]}, "2 log-probabilities of 1 tokens"),
        ({"message": {"content": "a", "reasoning": "b"}}, "--reasoning-parser"),
        ({"logprobs": {"content": [token("a", -1.0, TOP[:5])] * 2}}, "--max-logprobs 21"),
        (
            {"logprobs": {"content": [token("a", -1.0, [*TOP[:4], *[-9999.0] * 17])] * 2}},
            "without --logprobs-mode",
        ),
    ],
)
def test_a_reply_that_cannot_be_used_says_what_to_do(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineError, match=said):
        read_samples(reply(choice(0, ["a", "b"], **changes)))


@pytest.mark.parametrize("told", [{}, {"choices": [3]}, [], "no", None])
def test_a_reply_of_another_kind_is_an_engine_error(told: Any) -> None:
    with pytest.raises(EngineError, match="check that the address"):
        read_samples(told)


def test_usage_is_read() -> None:
    usage = read_usage(reply(), 1.5)
    assert (usage.calls, usage.prompt_tokens, usage.completion_tokens) == (1, 9, 4)
    assert usage.seconds == 1.5


def row(own: int, logprob: float) -> dict[str, Any]:
    rest = {str(100 + i): {"logprob": value} for i, value in enumerate(TOP)}
    return {str(own): {"logprob": logprob, "decoded_token": "x"}} | rest


def test_a_score_is_that_of_the_last_tokens() -> None:
    told = {"prompt_token_ids": [7, 8, 9], "prompt_logprobs": [None, row(8, -1.0), row(9, -2.0)]}
    score = read_score(told, [8, 9])
    assert score.logprobs == (-1.0, -2.0)
    assert score.confidence["mean_logprob"] == -1.5


def test_a_text_that_is_read_as_other_tokens_is_told() -> None:
    told = {"prompt_token_ids": [7, 8, 9], "prompt_logprobs": [None, row(8, -1.0), row(9, -2.0)]}
    with pytest.raises(EngineError, match="--enable-scale-out"):
        read_score(told, [8, 10])


def test_requests_that_score() -> None:
    body = scoring_request("m", user_turn("q", []), "\\boxed{2}")
    assert body["messages"][-1] == {"role": "assistant", "content": "\\boxed{2}"}
    assert body["continue_final_message"] and not body["add_generation_prompt"]
    made = tokens_request({"token_ids": [1, 2], "features": {"a": 1}}, [3])
    assert made["token_ids"] == [1, 2, 3]
    assert made["features"] == {"a": 1}
    assert made["sampling_params"]["prompt_logprobs"] == 21
