"""The grid of weights: ballots scaled as if they had been cast so."""

import pytest
from asked import MAP, Told, item, run, said
from scripted_models import ScriptedExpert

from catts.evals.studies import weights
from catts.evals.studies.result import Estimate
from catts.evals.studies.votes import Voted
from catts.graph.ledger import leader, tally
from catts.names import Source

TAUS = (0.5, 0.5, 0.5)


async def vote(**policy: object) -> Voted:
    """Samples for 4, the voter for 3, the critic for 5, the self-check for 3."""
    told = Told({"one": [said(a, 2.0) for a in "443"]}, reanswer="5", contrast="3")
    expert = ScriptedExpert(votes={"3": 0.9, "4": 0.1})
    return await run(item(), told, expert, **({"samples": 3} | policy))


async def test_the_run_s_own_taus_reproduce_its_votes_and_its_answer() -> None:
    made = await vote()
    ballots = weights.scaled(made, TAUS)
    assert ballots == list(made.trace.ballots)
    assert tally(ballots) == made.trace.votes
    standing = leader(ballots)
    assert standing is not None
    assert standing.answer == made.trace.answer


@pytest.mark.parametrize("taus", [(1.0, 0.25, 2.0), (0.0, 2.0, 0.0), (0.25, 0.0, 1.0)])
async def test_scaled_ballots_are_those_of_a_run_with_these_taus(
    taus: tuple[float, float, float],
) -> None:
    made = await vote()
    real = await vote(**dict(zip(("tau1", "tau2", "tau3"), taus, strict=True)))
    ballots = weights.scaled(made, taus)
    assert tally(ballots) == pytest.approx(real.trace.votes)
    assert made.winner(weights._ALL, ballots) == real.answered


@pytest.mark.parametrize("taus", [(0.0, 0.0, 0.0), (4.0, 0.1, 1.0)])
async def test_samples_keep_their_ballots(taus: tuple[float, float, float]) -> None:
    made = await vote()
    own = [b for b in made.trace.ballots if b.source == "sample"]
    assert [b for b in weights.scaled(made, taus) if b.source == "sample"] == own


async def test_a_tau_of_zero_cannot_be_scaled() -> None:
    with pytest.raises(ValueError, match="tau2 is 0"):
        weights.scaled(await vote(tau2=0.0), TAUS)


async def test_a_line_for_each_point_of_the_grid_against_the_default() -> None:
    made = await vote()
    lines = weights.weights({"raw": [made, made]}, grid=(0.0, 0.5, 2.0))
    assert len(lines) == 3**3
    found = {line.label: line for line in lines}
    own = found["0.5, 0.5, 0.5"]
    assert (own.group, own.cells["tau1"], own.cells["tau3"]) == ("raw", 0.5, 0.5)
    accuracy, against = own.cells["accuracy"], own.cells["vs default"]
    assert isinstance(accuracy, Estimate)
    assert isinstance(against, Estimate)
    assert (accuracy.value, against.value) == (made.answered, 0.0)
    # 4 has 2/3, 3 has 1/3, 5 has the critic's 2
    only_critic = found["0, 2, 0"].cells["accuracy"]
    assert isinstance(only_critic, Estimate)
    assert only_critic.value == 0.0


async def test_curves_change_one_tau_and_keep_the_others() -> None:
    made = await vote()
    curves = weights.curves({"raw": [made, made]}, grid=(0.0, 0.5, 2.0))
    assert list(curves) == [
        "raw vote weight: tau1 (voter)",
        "raw vote weight: tau2 (critic)",
        "raw vote weight: tau3 (self-check)",
    ]
    table = {line.label: line for line in weights.weights({"raw": [made]}, grid=(0.0, 0.5, 2.0))}
    for name, place in zip(curves, range(3), strict=True):
        for value, point in curves[name]:
            taus = [f"{value:g}" if i == place else "0.5" for i in range(3)]
            cell = table[", ".join(taus)].cells["accuracy"]
            assert isinstance(cell, Estimate)
            assert point.value == cell.value, taus


async def test_mapped_is_put_against_raw() -> None:
    # raw: 4 + 4 > 7; mapped by a step: 0 + 0 < 1
    told = Told({"one": [said("4", 4.0), said("4", 4.0), said("3", 7.0)]}, contrast="4")
    steep = MAP.model_copy(update={"x": (6.0, 7.0), "y": (0.0, 1.0)})
    runs = {
        weight: [await run(item(), told, samples=3, vote_weight=weight, confidence_map=steep)] * 2
        for weight in ("raw", "mapped")
    }
    lines = weights.weights(runs, grid=(0.5,))
    assert [line.group for line in lines] == ["raw", "mapped", *["mapped against raw"] * 2]
    alone = lines[2].cells["vs raw"]
    assert isinstance(alone, Estimate)
    assert (lines[2].label, alone.value) == ("samples alone", 1.0)
    sources: tuple[Source, ...] = ("sample", "voter", "critic", "self_check")
    every = lines[3].cells["vs raw"]
    assert isinstance(every, Estimate)
    assert every.value == runs["mapped"][0].winner(sources) - runs["raw"][0].winner(sources)
