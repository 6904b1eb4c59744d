"""The scripted server: real requests of real clients, faults as scripted, strays told of."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image
from pydantic import SecretStr

from catts.agents.expert import Candidate, Expert
from catts.agents.spec import resolve_expert
from catts.errors import RoleError
from catts.evals.chaos.formats import OPENINGS
from catts.evals.chaos.script import FAULTS, PASSING, Case, Course, Fault, Script
from catts.evals.chaos.server import RETRY_AFTER_S, ScriptedServer
from catts.images import image_digest
from catts.names import MODULES, ROLES, Role
from catts.prompts import load_prompts
from catts.question import Question

PICTURE = Image.new("RGB", (8, 8), "teal")
QUESTION = Question(text="How many dots?", images=(image_digest(PICTURE),))
CANDIDATES = (
    Candidate(answer="3", count=2, confidence=2.5, share=0.7),
    Candidate(answer="4", count=1, confidence=1.2, share=0.3),
)
SPECS = {"gemini": ("google_genai:gemini-2.5-pro", ""), "openai": ("gpt-4o", "/v1")}
KEY = "planted0123456789abcdef"


class Fixed(Script):
    """Every role of every question has the same course."""

    def __init__(self, fault: Fault | None, final: bool = True) -> None:
        super().__init__(0)
        self._course = Course(fault, final)

    def course(self, case: Case, role: Role) -> Course:
        return self._course


@pytest.fixture(params=SPECS)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def serve() -> Iterator[Any]:
    opened = []

    def start(script: Script, **options: Any) -> tuple[ScriptedServer, Case]:
        server = ScriptedServer(script, **options)
        serving = server.serving()
        serving.__enter__()
        opened.append(serving)
        case = script.case(0)
        server.register(case, QUESTION.images[0], QUESTION.text)
        return server, case

    yield start
    for serving in opened:
        serving.__exit__(None, None, None)


def expert_at(server: ScriptedServer, provider: str, timeout: float = 20) -> Expert:
    spec, path = SPECS[provider]
    url = server.url + path
    return resolve_expert(spec, url=url, api_key=SecretStr(KEY), timeout=timeout)


async def ask(expert: Expert, role: Role, question: Question = QUESTION) -> Any:
    if role == "planner":
        return (await expert.plan(question, [PICTURE], CANDIDATES)).reply
    if role == "voter":
        return (await expert.vote(question, [PICTURE], CANDIDATES)).reply
    return (await expert.criticise(question, [PICTURE], "3", "three")).reply


def test_the_roles_are_told_by_how_their_prompts_begin() -> None:
    prompts = load_prompts("default")
    for role in ROLES:
        fields = {"candidates": ""} if role != "critic" else {"answer": "", "reasoning": ""}
        assert prompts.ask(role, "q", (), **fields).startswith(OPENINGS[role])


async def test_good_replies_are_about_the_question_that_was_asked(serve, provider) -> None:
    server, case = serve(Fixed(None))
    expert = expert_at(server, provider)
    plan, vote, critique = [await ask(expert, role) for role in ROLES]
    assert sorted(plan.order) == sorted(MODULES)
    assert plan.reason == f"3 leads {case.mark}"
    given = server.script.probabilities(case, 2)
    assert vote.probabilities == pytest.approx([p / sum(given) for p in given])
    assert critique.text == f"See again whether it is 3 {case.mark}."
    for role in ROLES:
        (said,) = server.said(case, role)
        assert said.fault is None
        assert said.candidates[0].split(":")[0] == "3"
    assert dict(server.keys) == {KEY: 3}
    assert server.strays == []


@pytest.mark.parametrize("fault", [f for f in FAULTS if f not in ("rate-limited", "server error")])
async def test_a_final_fault_fails_the_role_and_tells_no_key(
    serve, provider, fault, no_waiting
) -> None:
    server, case = serve(Fixed(fault))
    expert = expert_at(server, provider, timeout=1.5 if fault == "stalls" else 60)
    errors = await asyncio.gather(*(ask(expert, role) for role in ROLES), return_exceptions=True)
    for role, error in zip(ROLES, errors, strict=True):
        assert isinstance(error, RoleError)
        assert error.role == role
        assert KEY not in f"{error!r} {error.__cause__!r}"
        assert {said.fault for said in server.said(case, role)} == {fault}


@pytest.mark.parametrize("fault", ["cut off", "no JSON", "other JSON", "bad numbers"])
async def test_after_a_passing_fault_the_role_is_heard(serve, provider, fault, no_waiting) -> None:
    assert fault in PASSING
    server, case = serve(Fixed(fault, final=False))
    for role in ROLES:
        await ask(expert_at(server, provider), role)
        assert [said.fault for said in server.said(case, role)] == [fault, None]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["rate-limited", "server error"])
async def test_the_provider_s_client_asks_again(serve, provider, fault) -> None:
    server, case = serve(Fixed(fault, final=False))
    expert = expert_at(server, provider)
    await asyncio.gather(*(ask(expert, role) for role in ROLES))
    for role in ROLES:
        first, second = server.said(case, role)
        assert [first.fault, second.fault] == [fault, None]
        assert second.ended is None
        if fault == "rate-limited":
            assert first.began <= first.ended <= second.began - RETRY_AFTER_S
        else:
            assert first.ended is None


async def test_a_request_about_something_else_is_a_stray(serve) -> None:
    server, case = serve(Fixed(None))
    expert = expert_at(server, "openai")
    with pytest.raises(RoleError):
        await ask(expert, "voter", Question(text="How many stars?", images=QUESTION.images))
    async with httpx.AsyncClient() as client:
        body = {"messages": [{"content": [{"text": "hello"}]}]}
        assert (
            await client.post(f"{server.url}/v1/chat/completions", json=body)
        ).status_code == 400
    assert len(server.strays) == 2
    assert "How many stars?" in server.strays[0]
    assert server.said(case, "voter") == []


async def test_a_stall_ends_with_whoever_asked(serve) -> None:
    server, case = serve(Fixed("stalls"))
    with pytest.raises(RoleError, match=r"no reply in 0\.3 s"):
        await ask(expert_at(server, "openai", timeout=0.3), "voter")
    assert len(server.said(case, "voter")) == 1


def test_a_script_depends_on_seed_and_question_alone() -> None:
    first, again, other = Script(1), Script(1), Script(2)
    cases = [first.case(i) for i in range(200)]
    assert cases == [again.case(i) for i in reversed(range(200))][::-1]
    courses = [first.course(case, role) for case in cases for role in ROLES]
    assert courses == [again.course(case, role) for case in cases for role in ROLES]
    assert courses != [other.course(case, role) for case in cases for role in ROLES]
    assert {course.fault for course in courses} == {None, *FAULTS}
    assert all(course.final for course in courses if course.fault not in (None, *PASSING))
    assert len({case.mark for case in cases}) == 200
    said = {tuple(first.probabilities(case, 3)) for case in cases}
    assert len(said) == 200, "no two voters say alike"
