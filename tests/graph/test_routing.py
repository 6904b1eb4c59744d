from typing import Any

import pytest

from catts.agents.protocol import Usage
from catts.calibration import ConfidenceMap
from catts.graph.context import Policy
from catts.graph.ledger import Ballot, sample_ballots
from catts.graph.records import CritiqueRecord, NodeRun, PlanRecord, SampleRecord
from catts.graph.routing import chosen, decide_route
from catts.graph.state import State
from catts.names import Worker
from catts.question import Question

FITTED = ConfidenceMap(kind="top_k_mean", x=(0.0, 4.0), y=(0.0, 1.0), fitted_on="test")
"""Half of the confidence's quarter: 2.0 is right with probability 0.5."""
SPLIT = (("3", 2.0), ("3", 2.0), ("4", 1.0))
PLAN = PlanRecord(order=("self_check", "critic", "voter"), source="planner")


def state(*done: Worker, said: tuple[tuple[str | None, float], ...] = SPLIT, **held: Any) -> State:
    samples = tuple(
        SampleRecord(text="", answer=a, confidence=c, confidence_kind="top_k_mean", weight=c)
        for a, c in said
    )
    runs = tuple(NodeRun(node=n, status="ok", usage=Usage(), seconds=0) for n in ("sampler", *done))
    ballots = sample_ballots(samples) + held.pop("cast", ())
    return State(question=Question(text="?"), samples=samples, ballots=ballots, runs=runs, **held)


def cast(source: str, answer: str, weight: float) -> Ballot:
    return Ballot(source=source, answer=answer, weight=weight, reason="")  # type: ignore[arg-type]


def test_paper_runs_every_module_once_in_the_planners_order() -> None:
    policy = Policy(routing="paper", accept=0.1, confidence_map=FITTED, reflect_below=0.0)
    critique = CritiqueRecord(text="no", answer="3")
    told = [
        decide_route(state(), policy),
        decide_route(state("planner", plan=PLAN), policy),
        decide_route(state("planner", "self_check", plan=PLAN), policy),
        decide_route(
            state("planner", "self_check", "critic", plan=PLAN, critique=critique), policy
        ),
        decide_route(
            state("planner", "self_check", "critic", "reanswer", plan=PLAN, critique=critique),
            policy,
        ),
        decide_route(
            state(
                "planner", "self_check", "critic", "reanswer", "voter", plan=PLAN, critique=critique
            ),
            policy,
        ),
    ]
    assert [d.to for d in told] == [
        ("planner",), ("self_check",), ("critic",), ("reanswer",), ("voter",), ("decide",),
    ]  # fmt: skip
    assert [d.rule for d in told] == ["plan", "module", "module", "reanswer", "module", "finished"]


def test_planned_accepts_a_clear_leader_before_any_expert_call() -> None:
    decision = decide_route(state(), Policy(accept=0.8))
    assert (decision.to, decision.rule) == (("decide",), "accept")
    assert decision.numbers == {"share": 0.8, "accept": 0.8}
    assert decide_route(state(), Policy(accept=0.81)).to == ("planner",)


def test_planned_visits_the_critic_only_below_the_threshold() -> None:
    plan = PlanRecord(order=("critic", "voter", "self_check"), source="planner")
    held = state("planner", plan=plan)
    below = decide_route(held, Policy(confidence_map=FITTED, reflect_below=0.51))
    at = decide_route(held, Policy(confidence_map=FITTED, reflect_below=0.5))
    assert (below.to, at.to) == (("critic",), ("voter",))
    assert "no critic" in at.reason
    assert at.numbers["certainty"] == 0.5


@pytest.mark.parametrize("policy", [Policy(), Policy(confidence_map=FITTED)])
def test_without_a_mapping_or_a_threshold_the_critic_is_always_asked(policy: Policy) -> None:
    """A model without a card: its raw confidence says nothing of the chance of being right."""
    plan = PlanRecord(order=("critic", "voter", "self_check"), source="planner")
    sure = state("planner", plan=plan, said=(("3", 99.0), ("4", 98.0)))
    assert decide_route(sure, policy).to == ("critic",)


def test_planned_stops_when_the_lead_exceeds_what_is_to_come() -> None:
    plan = PlanRecord(order=("voter", "self_check", "critic"), source="planner")
    policy = Policy(confidence_map=FITTED, reflect_below=0.0)
    voter = (cast("voter", "3", 0.45), cast("voter", "4", 0.05))
    decision = decide_route(state("planner", "voter", plan=plan, cast=voter), policy)
    assert (decision.to, decision.rule) == (("decide",), "settled")
    assert decision.numbers["lead"] == pytest.approx(1.0)
    assert decision.numbers["to_come"] == 0.5
    exactly = (cast("voter", "4", 0.1),)
    undecided = decide_route(state("planner", "voter", plan=plan, cast=exactly), policy)
    assert undecided.numbers["lead"] == pytest.approx(0.5)
    tied = decide_route(
        state("planner", "voter", said=(("3", 1.0), ("4", 1.0)), plan=plan, cast=voter), policy
    )
    assert tied.to == ("self_check",), "a lead of 0.4 can still be overtaken by 0.5"


def test_paper_never_stops_early() -> None:
    plan = PlanRecord(order=("voter", "self_check", "critic"), source="planner")
    voter = (cast("voter", "3", 5.0),)
    policy = Policy(routing="paper")
    assert decide_route(state("planner", "voter", plan=plan, cast=voter), policy).to == (
        "self_check",
    )


def test_parallel_runs_all_modules_side_by_side_without_a_planner() -> None:
    policy = Policy(routing="parallel", accept=0.0)
    assert decide_route(state(), policy).to == ("voter", "critic", "self_check")
    critique = CritiqueRecord(text="no", answer="3")
    after = state("voter", "critic", "self_check", critique=critique)
    assert decide_route(after, policy).to == ("reanswer",)
    done = state("voter", "critic", "self_check", "reanswer", critique=critique)
    assert decide_route(done, policy).to == ("decide",)


@pytest.mark.parametrize("routing", ["paper", "planned", "parallel"])
def test_a_failed_critic_has_no_reanswer(routing: Any) -> None:
    policy = Policy(routing=routing)
    done = state("planner", "voter", "critic", "self_check", plan=PLAN)
    assert decide_route(done, policy).to == ("decide",)


@pytest.mark.parametrize("routing", ["paper", "planned", "parallel"])
def test_nothing_to_vote_on_goes_straight_to_decide(routing: Any) -> None:
    decision = decide_route(state(said=((None, 1.0),)), Policy(routing=routing))
    assert (decision.to, decision.rule) == (("decide",), "no_candidates")


def test_a_decision_says_what_it_came_after_and_the_router_reads_it() -> None:
    policy = Policy(routing="paper")
    first = decide_route(state(), policy)
    assert (first.step, first.after) == (0, ("sampler",))
    second = decide_route(state("planner", plan=PLAN, route=(first,)), policy)
    assert (second.step, second.after) == (1, ("planner",))
    assert chosen(state("planner", plan=PLAN, route=(first, second))) == ["self_check"]


def test_a_decision_gives_the_numbers_that_it_saw() -> None:
    accepted = decide_route(state(), Policy(accept=0.8))
    assert accepted.reason == "the leader holds 0.80 of the samples' votes"
    planned = decide_route(state(), Policy(accept=0.9))
    assert (planned.rule, planned.numbers) == ("plan", {"share": 0.8})


def test_a_decision_says_in_words_why_it_was_taken() -> None:
    plan = PlanRecord(order=("critic", "voter", "self_check"), source="planner")
    critique = CritiqueRecord(text="no", answer="3")
    modules: tuple[Worker, ...] = ("voter", "critic", "self_check")
    fitted = Policy(confidence_map=FITTED, reflect_below=0.5)
    paper, parallel = Policy(routing="paper"), Policy(routing="parallel")
    unasked = State(question=Question(text="?"))
    assert [
        decide_route(unasked, paper).reason,
        decide_route(state(said=((None, 1.0),)), paper).reason,
        decide_route(state(), paper).reason,
        decide_route(state("planner", plan=plan), paper).reason,
        decide_route(state("planner", plan=plan), fitted).reason,
        decide_route(state("planner", "critic", plan=plan, critique=critique), paper).reason,
        decide_route(state("planner", *modules, plan=plan), paper).reason,
        decide_route(state(), parallel).reason,
        decide_route(state(*modules, critique=critique), parallel).reason,
        decide_route(state(*modules), parallel).reason,
    ] == [
        "a question begins with its samples",
        "no sample can vote",
        "the expert orders the modules",
        "next in the plan",
        "next in the plan; no critic: the leader is right with probability 0.5",
        "the critique is in",
        "no module is left",
        "the modules run side by side",
        "the critique is in",
        "every module has run",
    ]
    sure = Policy(confidence_map=FITTED, reflect_below=0.5, tau1=0.1, tau3=0.2)
    assert decide_route(state("planner", plan=plan), sure).reason == (
        "a lead of 0.60 exceeds the 0.30 to come; "
        "no critic: the leader is right with probability 0.5"
    )


def test_the_rules_of_parallel() -> None:
    policy = Policy(routing="parallel")
    critique = CritiqueRecord(text="no", answer="3")
    modules: tuple[Worker, ...] = ("voter", "critic", "self_check")
    told = [
        decide_route(state(), policy),
        decide_route(state(*modules, critique=critique), policy),
        decide_route(state(*modules, "reanswer", critique=critique), policy),
    ]
    assert [d.rule for d in told] == ["side_by_side", "reanswer", "finished"]
