"""Which node comes next: pure functions of the state and the policy.

The node `route` calls `decide_route` and records the decision with its reason and numbers; the
conditional edge behind it, `chosen`, only reads that record. So the route that a run took and the
route that its trace shows are one thing.

Modules: `voter`, `critic` (which continues into `reanswer`) and `self_check`.
"""

from catts.agents.expert import Candidate
from catts.graph.context import Policy
from catts.graph.ledger import candidates, leader
from catts.graph.records import Decision, Rule
from catts.graph.state import State
from catts.names import MODULES, Module, Step, Worker


def chosen(state: State) -> list[Step]:
    """The nodes that the latest decision names."""
    return list(state.route[-1].to)


def decide_route(state: State, policy: Policy) -> Decision:
    """The next edge from what has been done so far. Pure: the same state gives the same edge."""
    if "sampler" not in finished(state):
        return _decision(state, "sample", ("sampler",), "a question begins with its samples")
    field = candidates(state.samples)
    if not field:
        return _decision(state, "no_candidates", ("decide",), "no sample can vote")
    if policy.routing == "parallel":
        return _side_by_side(state)
    if policy.routing == "planned" and field[0].share >= policy.accept:
        return _decision(
            state,
            "accept",
            ("decide",),
            f"the leader holds {field[0].share:.2f} of the samples' votes",
            share=field[0].share,
            accept=policy.accept,
        )
    if state.plan is None:
        return _decision(
            state, "plan", ("planner",), "the expert orders the modules", share=field[0].share
        )
    return _in_order(state, policy, field[0], state.plan.order)


def finished(state: State) -> frozenset[Worker]:
    """The nodes that ran, failed ones included."""
    return frozenset(run.node for run in state.runs)


def next_step(state: State, module: Module) -> Step | None:
    """The node with which `module` starts or goes on; None when it has done all it can."""
    done = finished(state)
    if module not in done:
        return module
    if module == "critic" and state.critique is not None and "reanswer" not in done:
        return "reanswer"
    return None


def _side_by_side(state: State) -> Decision:
    steps = tuple(step for m in MODULES if (step := next_step(state, m)) is not None)
    if not steps:
        return _decision(state, "finished", ("decide",), "every module has run")
    if steps == ("reanswer",):
        return _decision(state, "reanswer", steps, "the critique is in")
    return _decision(state, "side_by_side", steps, "the modules run side by side")


def _in_order(
    state: State, policy: Policy, first: Candidate, order: tuple[Module, ...]
) -> Decision:
    if next_step(state, "critic") == "reanswer":
        return _decision(state, "reanswer", ("reanswer",), "the critique is in")
    numbers: dict[str, float] = {}
    to_come = [m for m in order if next_step(state, m) is not None]
    skipped = ""
    if policy.routing == "planned":
        certainty = policy.certainty(first.confidence)
        if certainty is not None and policy.reflect_below is not None:
            numbers = {"certainty": certainty, "reflect_below": policy.reflect_below}
            if "critic" in to_come and certainty >= policy.reflect_below:
                to_come.remove("critic")
                skipped = f"; no critic: the leader is right with probability {certainty:.3g}"
        if to_come:
            standing = leader(state.ballots)
            numbers["lead"] = standing.lead if standing else 0.0
            numbers["to_come"] = sum(_power(policy, m) for m in to_come)
            if numbers["lead"] > numbers["to_come"]:
                reason = (
                    f"a lead of {numbers['lead']:.2f} exceeds the {numbers['to_come']:.2f} to come"
                )
                return _decision(state, "settled", ("decide",), reason + skipped, **numbers)
    if not to_come:
        return _decision(state, "finished", ("decide",), "no module is left" + skipped, **numbers)
    step = next_step(state, to_come[0])
    if step is None:
        raise AssertionError("a module to come has a next step")
    return _decision(state, "module", (step,), f"next in the plan{skipped}", **numbers)


def _power(policy: Policy, module: Module) -> float:
    """The most that a module can take off a lead: all its votes to one rival."""
    return {"voter": policy.tau1, "critic": policy.tau2, "self_check": policy.tau3}[module]


def _decision(
    state: State, rule: Rule, to: tuple[Step, ...], reason: str, **numbers: float
) -> Decision:
    told = {node for decision in state.route for node in decision.after}
    return Decision(
        step=len(state.route),
        after=tuple(run.node for run in state.runs if run.node not in told),
        to=to,
        rule=rule,
        reason=reason,
        numbers=numbers,
    )
