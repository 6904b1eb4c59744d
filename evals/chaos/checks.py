"""What a trace has to hold after a storm, worked out from what was said to whom.

Every check returns what it found, in words; an empty list is what it should return.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from catts.agents.expert import Candidate
from catts.evals.chaos.outcome import Outcome
from catts.evals.chaos.script import Call, Case, EngineFault
from catts.evals.chaos.server import RETRY_AFTER_S, Said
from catts.graph.ledger import (
    Ballot,
    candidates,
    critic_ballots,
    leader,
    sample_ballots,
    self_check_ballots,
    voter_ballots,
)
from catts.graph.trace import Trace
from catts.names import PARTS, Role, Source, Worker

_MARK = re.compile(r"\[[0-9a-f]{12}\]")
_SOURCES: dict[Worker, Source] = {p.node: p.source for p in PARTS if p.source is not None} | {
    "critic": "critic"
}
"""The ballots that fall away with a node: without a critique there is no answer under it."""


class Witness(NamedTuple):
    """What the script's side knows of a question."""

    case: Case
    said: Mapping[Role, Sequence[Said]]
    """The server's replies, in order."""
    done: Mapping[Call, Sequence[EngineFault | None]]
    """The base model's calls."""
    doomed: frozenset[Worker]
    """Nodes that were asked and whose fault is for good."""

    def good(self, role: Role) -> Iterator[Said]:
        """The well-formed replies of a role."""
        return (said for said in self.said.get(role, ()) if said.fields is not None)


def checked(
    outcomes: Sequence[Outcome],
    witness_of: Callable[[Case], Witness],
    strays: Sequence[str],
    node_timeout: float,
) -> defaultdict[str, list[str]]:
    """What every check found, by its name in `catts.evals.chaos.report.FAULTS`.

    Args:
        outcomes: of all questions.
        witness_of: what the script's side knows of one.
        strays: requests to the server that were about no question.
        node_timeout: seconds, of a node of a hurried question.
    """
    found: defaultdict[str, list[str]] = defaultdict(list)
    marks = frozenset(outcome.case.mark for outcome in outcomes)
    for case, trace, cancelled, error in outcomes:
        what: dict[str, list[str]] = {}
        if error is not None:
            what["ended in an error"] = [f"{type(error).__name__}: {error}"]
        if trace is None and not cancelled:
            what["without a trace"] = ["no trace"]
        if not cancelled:  # one asked again knows nothing of what it was told before
            what["early"] = early(witness_of(case))
        if trace is not None:
            witness = witness_of(case)
            what["misnamed"] = misnamed(trace, witness, node_timeout)
            what["garbage"] = from_garbage(trace, witness)
            what["winner"] = changed_winner(trace, witness)
            what["cross-talk"] = crossed(trace, case, marks)
        for name, each in what.items():
            found[name] += [f"{case.id}: {words}" for words in each]
    found["cross-talk"] += [f"a stray request: {text[:200]}" for text in strays]
    return found


def misnamed(trace: Trace, witness: Witness, node_timeout: float) -> list[str]:
    """Nodes that failed for good and are not named, and nodes named that did not.

    A node that has used up the short limit of a hurried question may be named beside them.
    """
    named = {failure.node: failure for failure in trace.failures}
    seconds = {run.node: run.seconds for run in trace.usage.nodes}
    found = [f"{node} failed for good and is not named" for node in witness.doomed - named.keys()]
    for node in named.keys() - witness.doomed:
        failure = named[node]
        late = witness.case.hurried and seconds.get(node, 0.0) >= node_timeout
        if not (late and failure.error == "NodeTimeoutError"):
            found.append(f"{node} is named: {failure.error}: {failure.message}")
    found += [f"{node} is named twice" for node, n in _named(trace).items() if n > 1]
    if set(trace.failed_nodes) != named.keys():
        found.append(f"failed_nodes are {trace.failed_nodes}, the failures' {sorted(named)}")
    return found


def from_garbage(trace: Trace, witness: Witness) -> list[str]:
    """Ballots, and a plan, that stand on no well-formed reply."""
    unexplained = Counter(map(_key, trace.ballots)) - Counter(map(_key, _derived(trace, witness)))
    found = [f"a ballot of the {source}: {weight} for {a}" for source, a, weight in unexplained]
    if trace.plan is not None and trace.plan.source == "planner":
        orders = [tuple((said.fields or {})["order"]) for said in witness.good("planner")]
        if trace.plan.order not in orders:
            found.append(f"the plan {trace.plan.order}")
    return found


def changed_winner(trace: Trace, witness: Witness) -> list[str]:
    """The winner, where the ballots of what did not fail, derived anew, have another."""
    lost = {_SOURCES[node] for node in trace.failed_nodes if node in _SOURCES}
    kept = [ballot for ballot in _derived(trace, witness) if ballot.source not in lost]
    standing = leader(kept)
    winner = None if standing is None else standing.answer
    found = [] if winner == trace.answer else [f"{trace.answer} won, and {winner} should have"]
    cast = [ballot for ballot in trace.ballots if ballot.source in lost]
    return found + [f"the {ballot.source} failed and cast a ballot" for ballot in cast]


def crossed(trace: Trace, case: Case, marks: Collection[str]) -> list[str]:
    """Marks of other questions in a question's record."""
    text = trace.model_dump_json()
    strange = {mark for mark in _MARK.findall(text) if mark != case.mark and mark in marks}
    return [f"the mark {mark} of another question" for mark in sorted(strange)]


def early(witness: Witness) -> list[str]:
    """Requests of a role that came before the pause had passed which a reply of 429 asked for.

    Those that were under way before that reply had ended could not know of it.
    """
    return [
        f"the {role} asked again {later.began - limited.ended:.2f} s after a reply of 429"
        for role, said in witness.said.items()
        for limited, later in pairwise(said)
        if limited.ended is not None and 0 <= later.began - limited.ended < RETRY_AFTER_S
    ]


def _named(trace: Trace) -> Counter[Worker]:
    return Counter(failure.node for failure in trace.failures)


def _derived(trace: Trace, witness: Witness) -> list[Ballot]:
    """The ballots that follow from the samples, the well-formed replies and the base's answers."""
    policy, field = trace.policy, candidates(trace.samples)
    ballots = list(sample_ballots(trace.samples))
    told = _probabilities(trace, witness, field)
    if told is not None:
        ballots += voter_ballots(field, told, policy.tau1, trace.expert)
    critique = trace.critique
    critiques = [(said.fields or {})["critique"] for said in witness.good("critic")]
    if trace.reanswer is not None and critique is not None and critique.text in critiques:
        ballots += critic_ballots(trace.reanswer.answer, critique.answer, policy.tau2)
    if trace.self_check is not None and None in witness.done.get("contrast", ()):
        checked, method = trace.self_check.sample.answer, trace.self_check.method
        ballots += self_check_ballots(checked, policy.tau3, method, policy.noise_t)
    return ballots


def _probabilities(
    trace: Trace, witness: Witness, field: Sequence[Candidate]
) -> tuple[float, ...] | None:
    """What the voter said, where it said so; a single candidate has all, and nobody is asked."""
    if trace.vote is None:
        return None
    if len(field) == 1:
        return (1.0,)
    for said in witness.good("voter"):
        given: list[float] = (said.fields or {})["probabilities"]
        if len(given) == len(field):
            return tuple(p / math.fsum(given) for p in given)
    return None


def _key(ballot: Ballot) -> tuple[Source, str, float]:
    return ballot.source, ballot.answer, round(ballot.weight, 9)
