"""What is sent to vLLM's chat API and what comes back: requests out, samples and scores in.

vLLM takes log-probabilities from the raw distribution at temperature 1, before any filter, unless
it was started with another `--logprobs-mode`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from PIL.Image import Image

from catts.agents.engines.answer_span import answer_tokens
from catts.agents.engines.vllm.pairs import Half
from catts.agents.pictures import encode
from catts.agents.protocol import Sample, SamplingParams, Score, Usage
from catts.confidence import TOP_K, sequence_confidences
from catts.errors import EngineError

CHAT, RENDER, GENERATE = (
    "/v1/chat/completions",
    "/v1/chat/completions/render",
    "/inference/v1/generate",
)
"""Paths on the server; the last two are there with `--enable-scale-out`."""
ASKED_LOGPROBS = TOP_K + 1
"""The sampled token comes first, wherever it ranks: for the 20 likeliest, 21 have to be asked."""
LOGPROBS_FLAG = f"--max-logprobs {ASKED_LOGPROBS}"
"""What lets a server tell so many."""
_NEVER = -9999.0
"""vLLM's log-probability of a token that was masked."""
_SPECIAL = re.compile(r"<(?=\|)")


def user_turn(text: str, images: Sequence[Image]) -> list[dict[str, Any]]:
    """One user turn, the images first and then the text, without the spelling of special tokens.

    Pictures are sent as `catts.agents.pictures.encode` makes them, in the request itself.
    """
    sent = [encode(image) for image in images]
    content: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": f"data:{e.mime_type};base64,{e.base64}"}}
        for e in sent
    ]
    # the server's tokenizer would read these as what they spell, and open a turn or fake an image
    content.append({"type": "text", "text": _SPECIAL.sub("< ", text)})
    return [{"role": "user", "content": content}]


def sampling_request(
    model: str, messages: Sequence[Mapping[str, Any]], params: SamplingParams
) -> dict[str, Any]:
    """The body of a request for completions, with every setting that the server has a default for.

    Greedy decoding asks for one completion, of which the caller takes copies.
    """
    return {
        **_plainly(model, messages),
        "n": 1 if params.temperature == 0 else params.n,
        "temperature": params.temperature,
        "top_p": params.top_p,
        "seed": params.seed,
        "max_completion_tokens": params.max_new_tokens,
        "logprobs": True,
        "top_logprobs": ASKED_LOGPROBS,
        "return_token_ids": True,
    }


def scoring_request(
    model: str, messages: Sequence[Mapping[str, Any]], completion: str
) -> dict[str, Any]:
    """The body of a request that reads `completion` behind the messages, to tell its log-probs."""
    return {
        **_plainly(model, [*messages, {"role": "assistant", "content": completion}]),
        "add_generation_prompt": False,
        "continue_final_message": True,
        "temperature": 0,
        "max_completion_tokens": 1,
        "prompt_logprobs": ASKED_LOGPROBS,
        "return_token_ids": True,
    }


def render_request(model: str, messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The body of a request for the tokens and picture data that the messages become."""
    return {"model": model, "messages": list(messages)}


def read_rendered(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """A reply to `render_request`, as it is.

    Raises:
        EngineError: it holds no tokens.
    """
    with _reading():
        if not [int(token) for token in reply["token_ids"]]:
            raise ValueError("there are none")
        return reply


def tokens_request(rendered: Mapping[str, Any], token_ids: Sequence[int]) -> dict[str, Any]:
    """The body of a request that reads these tokens behind a rendered prompt, to tell log-probs."""
    return {
        **rendered,
        "token_ids": [*rendered["token_ids"], *token_ids],
        "return_token_ids": True,
        "sampling_params": {"temperature": 0, "max_tokens": 1, "prompt_logprobs": ASKED_LOGPROBS},
    }


def half_request(rendered: Mapping[str, Any], half: Half, max_new_tokens: int) -> dict[str, Any]:
    """The body of one request of a contrastive pair (`catts.agents.engines.vllm.pairs`)."""
    return {
        **rendered,
        "token_ids": rendered["token_ids"][:-1],
        "return_token_ids": True,
        "output_mode": "text",
        "sampling_params": {
            "temperature": 0,
            # the first is the prompt's last
            "max_tokens": max_new_tokens + 1,
            "logprobs": ASKED_LOGPROBS,
            "stop_token_ids": [half.broken],
            "extra_args": half.arguments(),
        },
    }


def read_pair(clean: Mapping[str, Any], noised: Mapping[str, Any], half: Half) -> Sample | None:
    """The completion that both halves of a pair wrote; None where they did not go together.

    Raises:
        EngineError: a reply is not one of vLLM's.
    """
    with _reading():
        (seen,), (unseen,) = clean["choices"], noised["choices"]
        ids = [int(token) for token in seen["token_ids"]]
        if ids != [int(token) for token in unseen["token_ids"]] or half.broken in ids:
            return None
        if ids[:1] != [half.first]:
            raise EngineError("the server's plugin for contrastive decoding is of another version")
        opening = str(seen["logprobs"]["content"][0]["token"])
        return _sample(
            {
                "token_ids": ids[1:],
                "logprobs": {"content": seen["logprobs"]["content"][1:]},
                "finish_reason": seen["finish_reason"],
                "message": {"content": str(seen["text"]).removeprefix(opening)},
            }
        )


def read_samples(reply: Mapping[str, Any]) -> tuple[Sample, ...]:
    """The completions of a reply, in the order of their numbers.

    Raises:
        EngineError: the reply is not one of vLLM's chat API, or lacks log-probabilities.
    """
    with _reading():
        choices = sorted(reply["choices"], key=lambda choice: int(choice["index"]))
        return tuple(_sample(choice) for choice in choices)


def read_usage(reply: Mapping[str, Any], seconds: float) -> Usage:
    """What a request cost.

    Raises:
        EngineError: the reply is not one of vLLM's chat API.
    """
    with _reading():
        told = reply["usage"]
        return Usage(
            calls=1,
            prompt_tokens=told["prompt_tokens"],
            completion_tokens=told.get("completion_tokens") or 0,
            seconds=seconds,
        )


def read_score(reply: Mapping[str, Any], token_ids: Sequence[int]) -> Score:
    """How likely the last tokens of the prompt are, which have to be `token_ids`.

    Raises:
        EngineError: they are others, since the server reads the text in its own way; or the reply
            is not one of vLLM's chat API.
    """
    with _reading():
        read = [int(token) for token in reply["prompt_token_ids"]]
        if read[len(read) - len(token_ids) :] != list(token_ids):
            raise EngineError(
                "the server reads this completion's text as other tokens than were sampled: start "
                "vLLM with --enable-scale-out, which scores the tokens themselves"
            )
        told = reply["prompt_logprobs"][-len(token_ids) :]
        taken, confidence, texts = [], [], []
        for token, row in zip(token_ids, told, strict=True):
            own = row[str(token)]
            taken.append(min(0.0, float(own["logprob"])))
            confidence.append(_token_confidence([each["logprob"] for each in row.values()]))
            texts.append(own.get("decoded_token") or "")
        span = answer_tokens(texts, "".join)
        return Score(
            logprobs=tuple(taken), confidence=sequence_confidences(confidence, taken, span)
        )


def _plainly(model: str, messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "model": model,
        "messages": list(messages),
        "top_k": -1,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
    }


def _sample(choice: Mapping[str, Any]) -> Sample:
    message = choice["message"]
    if message.get("reasoning"):
        raise EngineError(
            "the server cuts the reasoning out of its completions: start vLLM without "
            "--reasoning-parser"
        )
    ids = tuple(int(token) for token in choice["token_ids"])
    told = choice["logprobs"]["content"]
    if len(told) != len(ids):
        raise EngineError(f"the server tells {len(told)} log-probabilities of {len(ids)} tokens")
    taken = [min(0.0, float(token["logprob"])) for token in told]
    confidence = [
        _token_confidence([top["logprob"] for top in token["top_logprobs"]]) for token in told
    ]
    span = answer_tokens([str(token["token"]) for token in told], "".join)
    return Sample(
        text=message["content"] or "",
        token_ids=ids,
        confidence=sequence_confidences(confidence, taken, span),
        token_confidence=tuple(confidence),
        finish_reason="length" if choice["finish_reason"] == "length" else "stop",
    )


def _token_confidence(logprobs: Sequence[float]) -> float:
    """c_t of `catts.confidence`, from the taken token's log-probability and the likeliest ones'."""
    best = sorted(map(float, logprobs), reverse=True)[:TOP_K]
    if len(best) < TOP_K:
        raise EngineError(
            f"the server tells {len(best)} log-probabilities of a token where {TOP_K} are needed: "
            f"start vLLM with {LOGPROBS_FLAG}"
        )
    if best[-1] <= _NEVER:
        raise EngineError(
            "the server tells log-probabilities after its filters: start vLLM without "
            "--logprobs-mode, for the raw ones"
        )
    return max(0.0, -sum(best) / TOP_K)


@contextmanager
def _reading() -> Iterator[None]:
    """A reply is what a server says: where it is built otherwise, that is an `EngineError`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise EngineError(
            "the server's reply is not one of vLLM's chat API: check that the address is that of "
            "a vLLM server"
        ) from error
