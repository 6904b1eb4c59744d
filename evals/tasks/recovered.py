"""Samples that Inspect brought back from its buffer after a kill, made whole again.

The buffer holds a sample's events and scores, and neither its store nor its output: what was
answered before the kill and not yet in the log's file comes back without its trace. The events tell
what was put into the store.
"""

from pathlib import Path
from typing import Any

from inspect_ai.event import StoreEvent
from inspect_ai.log import EvalSample, read_eval_log, resolve_sample_attachments, write_eval_log
from inspect_ai.model import ModelOutput

from catts.evals.tasks.solver import TRACE


def make_whole(path: Path) -> int:
    """Give the samples of a log that have no trace the one that their events tell of.

    Returns:
        How many were mended; the log is written anew, as a whole, where there are any.
    """
    log = read_eval_log(str(path))
    mended = sum(_mended(sample) for sample in log.samples or ())
    if mended:
        write_eval_log(log, str(path))
    return mended


def _mended(sample: EvalSample) -> bool:
    if sample.error is not None or TRACE in sample.store:
        return False
    trace = _told(resolve_sample_attachments(sample, "full"))
    if trace is None:
        return False
    sample.store[TRACE] = trace
    said = trace["answer_text"]
    if said is not None and not sample.output.completion:
        sample.output = ModelOutput.from_content(trace["engine"], said)
    return True


def _told(sample: EvalSample) -> dict[str, Any] | None:
    for event in reversed(sample.events):
        if isinstance(event, StoreEvent):
            for change in event.changes:
                if change.path == f"/{TRACE}" and isinstance(change.value, dict):
                    return change.value
    return None
