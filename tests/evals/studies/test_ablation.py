"""The ablation: its lines, and that each is measured on the ballots of the runs."""

from itertools import pairwise

from asked import Told, item, run, said
from scripted_models import ScriptedExpert

from catts.evals.studies.ablation import COLUMNS, ablation, subsets
from catts.evals.studies.result import Estimate, Line
from catts.evals.studies.votes import Voted
from catts.names import MODULES


async def runs() -> list[Voted]:
    """Right by the voter; right by the majority; tied samples and a right self-check."""
    cases = [
        (("4", "4", "3"), {"3": 1.0, "4": 0.0}, "4", "4"),
        (("3", "3", "4"), {"3": 0.5, "4": 0.5}, "3", "3"),
        (("4", "3", ""), {"3": 0.5, "4": 0.5}, "5", "3"),
    ]
    made = []
    for answers, votes, under, against in cases:
        told = Told({"one": [said(a, 2.0) for a in answers]}, reanswer=under, contrast=against)
        made.append(await run(item(), told, ScriptedExpert(votes=votes), samples=3))
    return made


def value(line: Line, column: str) -> float:
    cell = line.cells[column]
    assert isinstance(cell, Estimate)
    return cell.value


def test_every_subset_of_the_modules_is_a_line_from_none_to_all() -> None:
    lines = subsets()
    assert len(lines) == len({frozenset(sources) for sources in lines.values()}) == 2**3
    assert list(lines) == [
        "confidence-weighted", "+ voter", "+ critic", "+ self-check", "+ voter + critic",
        "+ voter + self-check", "+ critic + self-check", "CA-TTS (all modules)",
    ]  # fmt: skip
    assert lines["CA-TTS (all modules)"] == ("sample", *MODULES)
    assert all(sources[0] == "sample" for sources in lines.values())
    assert all(len(a) <= len(b) for a, b in pairwise(lines.values()))


async def test_the_numbers_by_hand() -> None:
    made = await runs()
    lines = {line.label: line for line in ablation({"mine": made})}
    assert [line.group for line in lines.values()] == ["mine"] * 10
    thirds = {
        "pass@1": (1 + 2 + 1) / 3,
        "majority": 0 + 1 + 0.5,
        "confidence-weighted": 0 + 1 + 1,  # the tie goes to the answer that sorts first
        "+ voter": 3,  # 1/3 + 1/2 > 2/3
        "+ critic": 0 + 1 + 1,
        "+ self-check": 0 + 1 + 1,
        "+ voter + critic": 0 + 1 + 1,  # 1/3 + 1/2 < 2/3 + 1/2
        "CA-TTS (all modules)": 0 + 1 + 1,
    }
    for label, right in thirds.items():
        assert abs(value(lines[label], "accuracy") - right / 3) < 1e-12, label
    assert value(lines["+ voter"], "vs majority") == (3 - 1.5) / 3
    assert abs(value(lines["+ voter"], "vs samples") - 1 / 3) < 1e-12
    for label in ("majority", "pass@1", "confidence-weighted"):
        assert lines[label].cells["vs samples"] is None
    assert lines["majority"].cells["vs majority"] is None
    assert all(set(line.cells) == set(COLUMNS) for line in lines.values())


async def test_all_modules_are_the_run_s_own_answer() -> None:
    for vote in await runs():
        assert vote.winner(subsets()["CA-TTS (all modules)"]) == vote.answered


async def test_a_subset_is_the_run_without_the_others() -> None:
    """A weight of 0 takes a module out of a run; a tally over the others' ballots agrees."""
    told = Told({"one": [said(a, 2.0) for a in ("4", "4", "3")]}, reanswer="4", contrast="4")
    expert = ScriptedExpert(votes={"3": 1.0, "4": 0.0})
    whole = await run(item(), told, expert, samples=3)
    alone = await run(item(), told, expert, samples=3, tau2=0.0, tau3=0.0)
    assert whole.answered == 0.0
    assert alone.answered == whole.winner(subsets()["+ voter"]) == 1.0


async def test_each_base_and_expert_is_a_group_of_its_own() -> None:
    made = await runs()
    lines = ablation({"expert": made, "itself": made[:2]})
    assert [line.group for line in lines] == ["expert"] * 10 + ["itself"] * 10
    assert value(lines[11], "accuracy") == 0.5, "majority of the first two"
