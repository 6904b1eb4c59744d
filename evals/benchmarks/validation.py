"""Which questions a model may be fitted on, and which of them its benchmark reports as well."""

from catts.evals.benchmarks.by_name import TUNING_SPLITS, TaskName

VALIDATION: dict[TaskName, str] = {
    "mathvista": "testmini",
    "mathvision": "testmini",
    "mmstar": "val",
    **TUNING_SPLITS,
}
"""The labelled split on which a model is calibrated unless told otherwise. Only the
tuning splits share no question with what the benchmark reports; see `overlap`."""

_OVERLAPS: dict[tuple[TaskName, str], str] = {
    ("embedded", "test"): "is what embedded reports; take validation",
    ("mathvista", "testmini"): "is what MathVista reports, and its only split with labels",
    ("mathvision", "testmini"): "is a part of test, which MathVision reports",
    ("mathvision", "test"): "is what MathVision reports",
    ("mmstar", "val"): "is what MMStar reports, and its only split",
    ("mmmu", "validation"): "is what MMMU reports; take dev",
}


def overlap(name: TaskName, split: str) -> str | None:
    """Why a fit on this split has seen questions that the benchmark reports; None if it has not.

    A file of one's own is read whatever the split, and what it holds is not known here.
    """
    why = _OVERLAPS.get((name, split))
    return None if why is None else f"{name}: {split} {why}"
