"""What this installation has: versions, device, models, keys, a base and an expert that reply."""

import asyncio
import importlib.util
import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from PIL import Image, ImageDraw
from rich.table import Table
from rich.text import Text

from catts.agents.addresses import place_of
from catts.agents.card import read_card
from catts.agents.engines.vllm.engine import VLLMEngine
from catts.agents.engines.vllm.wire import LOGPROBS_FLAG
from catts.agents.expert import Candidate
from catts.agents.protocol import Engine, SamplingParams
from catts.agents.spec import Shipped, embedded_folder, resolve_base, resolve_expert
from catts.errors import CattsError, EngineError, ModelSpecError, RoleError
from catts.images import ImageStore
from catts.prompts import load_prompts
from catts.question import Question
from catts.records import Record

_KEY_VARIABLES = ("GOOGLE_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY")
_PACKAGES = (
    "catts", "torch", "torchvision", "transformers", "langgraph", "langchain", "math-verify",
    "langchain-google-genai", "langchain-openai", "peft", "langgraph-checkpoint-sqlite",
    "matplotlib", "scikit-learn",
)  # fmt: skip


class FoundModel(Record):
    """A model that the package ships, as it lies on this machine."""

    which: Shipped
    name: str = ""
    path: Path | None = None
    megabytes: float = 0.0
    """Size of its weights."""
    prompts: str = ""
    """The prompt set it reads."""
    problem: str = ""
    """Why it cannot be used as it should; empty when all is well."""


class FoundBase(Record):
    """A base model that was asked for one token, with a picture."""

    spec: str
    name: str = ""
    servers: tuple[str, ...] = ()
    """Host and port of each replica; empty for a model that is loaded here."""
    context: int | None = None
    """Longest prompt and completion together, in tokens, as servers tell it."""
    enough_logprobs: bool | None = None
    """Whether its log-probabilities suffice for the confidence; None where it is not known."""
    self_check: Literal["lock_step", "candidate_scoring"] | None = None
    """How it contrasts with the noised picture."""
    advice: str = ""
    """What would make the self-check better."""
    problem: str = ""
    """Why it cannot be used; empty when all is well."""


ExpertStatus = Literal["replies", "malformed", "refused", "unreachable"]
"""`malformed`: it can be reached, but twice its reply was not what the role asks for; `refused`: it
can be reached, and would not reply to what it was asked."""


class ExpertReply(Record):
    """What came of asking the expert for one vote."""

    spec: str
    name: str = ""
    status: ExpertStatus
    detail: str = ""
    seconds: float = 0.0
    """From asking to reply, without loading."""


class Report(Record):
    """What `catts doctor` shows."""

    python: str
    platform: str
    versions: dict[str, str | None]
    """Distribution to version; None when it is not installed."""
    device: str
    """Where models run unless told otherwise."""
    threads: int
    """CPU threads that torch uses."""
    bytecode: bool
    """Whether torch is kept compiled; if not, every process compiles it and transformers anew."""
    models: tuple[FoundModel, ...]
    keys: dict[str, bool]
    """Environment variable to whether it is set; never its value."""
    base: FoundBase | None = None
    """The base model that was named, if one was."""
    expert: ExpertReply

    @property
    def healthy(self) -> bool:
        """Whether the shipped models are there, the base can be used, and the expert replies."""
        problems = [model.problem for model in self.models]
        if self.base is not None:
            problems.append(self.base.problem)
        return self.expert.status == "replies" and not any(problems)


_STATUS_OF: dict[str, ExpertStatus] = {"ReplyError": "malformed", "Refused": "refused"}


async def examine(
    expert: str = "embedded", *, url: str | None = None, base: str | None = None
) -> Report:
    """Look at the installation, and ask `expert` (see `resolve_expert`) for one small vote.

    `base` (see `resolve_base`) is asked for one token, where it is given.
    """
    import torch

    gpu = torch.cuda.is_available()
    engine, found = None, None
    if base is not None or expert == "base":
        engine, found = await _try_base(base or "embedded")
    try:
        reply = await _ask(expert, url, engine)
    finally:
        if engine is not None:
            await engine.aclose()
    return Report(
        python=platform.python_version(),
        platform=platform.platform(),
        versions={name: _version(name) for name in _PACKAGES},
        device=f"cuda ({torch.cuda.get_device_name()})" if gpu else "cpu",
        threads=torch.get_num_threads(),
        bytecode=_kept(torch.__file__),
        models=(_found("base"), _found("cdrl"), _found("expert")),
        keys={name: bool(os.environ.get(name)) for name in _KEY_VARIABLES},
        base=None if base is None else found,
        expert=reply,
    )


def _kept(module: str) -> bool:
    return Path(importlib.util.cache_from_source(module)).is_file()


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _found(which: Shipped) -> FoundModel:
    try:
        folder = embedded_folder(which)
        card = read_card(folder)
        stale = card.prompt_hash not in (None, load_prompts(card.prompt_set).hash)
    except CattsError as error:
        return FoundModel(which=which, problem=str(error))
    return FoundModel(
        which=which,
        name=card.name,
        path=folder,
        megabytes=sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e6,
        prompts=card.prompt_set,
        problem="trained on another wording of its prompts; train it again" if stale else "",
    )


async def _try_base(spec: str) -> tuple[Engine | None, FoundBase]:
    """The base model, if it can be loaded or reached, and what it says to one real request."""
    try:
        engine = await asyncio.to_thread(resolve_base, spec)
    except ModelSpecError as error:
        return None, FoundBase(spec=spec, problem=str(error))
    lock_step = engine.capabilities.lock_step_contrast
    facts: dict[str, Any] = {
        "spec": spec,
        "name": engine.name,
        "self_check": "lock_step" if lock_step else "candidate_scoring",
        "advice": "" if lock_step else _ADVICE,
    }
    if isinstance(engine, VLLMEngine):
        facts["servers"] = tuple(map(place_of, engine.served.urls))
        facts["context"] = engine.served.context
    question, store = _board_question()
    params = SamplingParams(n=1, temperature=0, max_new_tokens=1)
    try:
        await engine.sample(question, [store.get(question.images[0])], params)
    except EngineError as error:
        facts["problem"] = str(error)
        facts["enough_logprobs"] = False if LOGPROBS_FLAG in str(error) else None
    else:
        facts["enough_logprobs"] = True
    return engine, FoundBase(**facts)


_ADVICE = "`catts serve` prints a command that has it decode token by token under both pictures"


async def _ask(spec: str, url: str | None, base: Engine | None) -> ExpertReply:
    """One real request in the voter's role, with a picture: all that a run needs of an expert.

    The shipped models know boards of shapes and nothing else, so the picture is one.
    """
    try:
        expert = resolve_expert(spec, url=url, base_engine=base)
    except ModelSpecError as error:
        return ExpertReply(spec=spec, status="unreachable", detail=str(error))
    question, store = _board_question()
    field = [Candidate(answer=number, count=4, confidence=1.0, share=0.5) for number in ("1", "2")]
    start = time.perf_counter()
    status: ExpertStatus = "replies"
    try:
        vote = (
            await expert.vote(question, [store.get(question.images[0])], field)
        ).reply.probabilities
        detail = ", ".join(f"{c.answer} {p:.2f}" for c, p in zip(field, vote, strict=True))
    except RoleError as error:
        status = _STATUS_OF.get(error.cause, "unreachable")
        detail = error.message
    finally:
        await expert.aclose()
    seconds = time.perf_counter() - start
    return ExpertReply(spec=spec, name=expert.name, status=status, detail=detail, seconds=seconds)


def _board_question() -> tuple[Question, ImageStore]:
    store = ImageStore()
    digest = store.put(_board())
    return Question(text="How many red squares are there?", images=(digest,)), store


def _board() -> Image.Image:
    board = Image.new("RGB", (112, 112), (242, 242, 242))
    pen = ImageDraw.Draw(board)
    pen.rectangle((12, 12, 28, 28), fill=(220, 60, 60))
    pen.rectangle((62, 62, 78, 78), fill=(60, 90, 220))
    return board


_NO_BYTECODE = (
    "not kept, so every start compiles torch and transformers anew: unset PYTHONDONTWRITEBYTECODE, "
    "or install with `uv pip install --compile-bytecode`"
)


def describe(report: Report) -> Table:
    """The report as a table for a terminal."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("python", f"{report.python} on {report.platform}")
    table.add_row("device", f"{report.device}, {report.threads} CPU threads")
    table.add_row("bytecode", "kept" if report.bytecode else Text(_NO_BYTECODE, "yellow"))
    for name, number in report.versions.items():
        table.add_row(name, Text("not installed", "yellow") if number is None else number)
    for model in report.models:
        here = f"{model.name}, {model.megabytes:.1f} MB, prompts {model.prompts}: {model.path}"
        shown = Text(model.problem, "red") if model.problem else Text(here)
        table.add_row(f"{model.which} model", shown)
    for variable, is_set in report.keys.items():
        table.add_row(variable, "set" if is_set else "not set")
    if report.base is not None:
        table.add_row("base", _told(report.base))
    expert = report.expert
    style = "green" if expert.status == "replies" else "red"
    said = f"{expert.name or expert.spec} {expert.status} ({expert.seconds:.2f} s): {expert.detail}"
    table.add_row("expert", Text(said, style))
    return table


def _told(base: FoundBase) -> Text:
    """What was found of the base, in one cell."""
    parts = [base.name or base.spec]
    if base.servers:
        parts.append(f"on vLLM at {', '.join(base.servers)}")
    if base.context is not None:
        parts.append(f"{base.context} tokens of context")
    if base.enough_logprobs:
        parts.append("log-probabilities suffice")
    if base.self_check is not None:
        parts.append(f"self-check by {base.self_check}")
    said = Text(", ".join(parts), "red" if base.problem else "green")
    for note, style in ((base.advice, "yellow"), (base.problem, "red")):
        if note:
            said.append(f"\n{note}", style)
    return said
