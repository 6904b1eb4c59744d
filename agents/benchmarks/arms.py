"""What the sampler benchmark times: each arm as a call that returns its seconds."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from catts.agents.engines.contrast import contrastive_decode
from catts.agents.engines.inputs import Turn, collate, encode_turn
from catts.agents.engines.loading import LoadedModel, load_model
from catts.agents.engines.prefix import Prefix
from catts.agents.engines.sampling import decode
from catts.agents.protocol import ContrastParams, SamplingParams
from catts.confidence import TOP_K

Arm = Literal["sampler", "generate", "greedy", "contrast"]
"""`sampler` and `generate` draw n completions from a picture; `greedy` and `contrast` are timed
after the prefill."""
ARMS: tuple[Arm, ...] = get_args(Arm)


class Setting(NamedTuple):
    """What is timed."""

    folder: Path
    visual_tokens: int
    n: int
    new_tokens: int
    device: str


class Facts(NamedTuple):
    """What an arm says of itself after its first call."""

    parameters: int
    threads: int
    peak_bytes: int
    """Highest memory during that call above what was in use before it."""
    held_bytes: int
    """What it keeps per token to compute confidence: numbers, or scores."""


class _Run(NamedTuple):
    seconds: float
    held_bytes: int


def open_arm(arm: Arm, setting: Setting) -> tuple[Facts, Callable[[], float]]:
    """Load the checkpoint, make one call, and return what was seen and the call."""
    loaded = load_model(setting.folder, device=setting.device)
    side = 28 * round(setting.visual_tokens**0.5)
    rng = np.random.default_rng(0)
    pictures = [
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)) for _ in range(2)
    ]
    bodies = {"sampler": _sampler, "generate": _generate, "greedy": _greedy, "contrast": _contrast}

    def call() -> _Run:
        with torch.inference_mode():
            return bodies[arm](loaded, pictures, setting)

    before = _start_peak(loaded.device)
    held = call().held_bytes
    facts = Facts(
        parameters=sum(parameter.numel() for parameter in loaded.model.parameters()),
        threads=torch.get_num_threads(),
        peak_bytes=_peak(loaded.device) - before,
        held_bytes=held,
    )
    return facts, lambda: call().seconds


def _sampler(loaded: LoadedModel, pictures: list[Image.Image], setting: Setting) -> _Run:
    params = SamplingParams(n=setting.n, max_new_tokens=setting.new_tokens)
    started = _now(loaded.device)
    prefix = Prefix.read(loaded.model, _inputs(loaded, pictures[:1]))
    completions = decode(prefix, params, ["bench"], end_ids=(), suppressed=_suppressed(loaded))[0]
    seconds = _now(loaded.device) - started
    kept = sum(len(c.confidence) + len(c.logprobs) for c in completions)
    return _Run(seconds, kept * torch.float32.itemsize)


def _generate(loaded: LoadedModel, pictures: list[Image.Image], setting: Setting) -> _Run:
    started = _now(loaded.device)
    output = loaded.model.generate(
        **_inputs(loaded, pictures[:1]),
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        num_return_sequences=setting.n,
        max_new_tokens=setting.new_tokens,
        suppress_tokens=list(_suppressed(loaded)),
        output_scores=True,
        output_logits=False,
        return_dict_in_generate=True,
    )
    scores = torch.stack(output.scores, dim=1)
    logprobs = scores.float().log_softmax(dim=-1)
    confidence = -logprobs.topk(TOP_K, dim=-1).values.mean(dim=-1)
    taken = output.sequences[:, -setting.new_tokens :, None]
    chosen = logprobs.gather(-1, taken)
    confidence.tolist()
    chosen.tolist()
    seconds = _now(loaded.device) - started
    return _Run(seconds, sum(step.numel() * step.element_size() for step in output.scores))


def _greedy(loaded: LoadedModel, pictures: list[Image.Image], setting: Setting) -> _Run:
    params = SamplingParams(n=1, temperature=0, max_new_tokens=setting.new_tokens)
    prefix = Prefix.read(loaded.model, _inputs(loaded, pictures[:1]))
    started = _now(loaded.device)
    decode(prefix, params, ["bench"], end_ids=(), suppressed=_suppressed(loaded))
    return _Run(_now(loaded.device) - started, 0)


def _contrast(loaded: LoadedModel, pictures: list[Image.Image], setting: Setting) -> _Run:
    params = ContrastParams(max_new_tokens=setting.new_tokens)
    prefix = Prefix.read(loaded.model, _inputs(loaded, pictures))
    started = _now(loaded.device)
    contrastive_decode(prefix, params, end_ids=(), suppressed=_suppressed(loaded))
    return _Run(_now(loaded.device) - started, 0)


def _inputs(loaded: LoadedModel, pictures: list[Image.Image]) -> dict[str, Tensor]:
    """One prompt per picture, image processing included."""
    turns = [Turn("What do you see?", [picture], "bench") for picture in pictures]
    batch = collate(
        [encode_turn(turn, loaded.processor, loaded.vocabulary, loaded.dtype) for turn in turns],
        loaded.processor,
    )
    return {name: value.to(loaded.device) for name, value in batch.inputs.items()}


def _suppressed(loaded: LoadedModel) -> tuple[int, ...]:
    """What is never sampled here: also the tokens that end a turn, so lengths are equal."""
    return (*loaded.vocabulary.suppressed, *loaded.vocabulary.end_ids)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _start_peak(device: torch.device) -> int:
    """Restart the measurement of peak memory; returns the bytes in use."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the high-water mark
    return _status_bytes("VmRSS")


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _status_bytes("VmHWM")


def _status_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")
