"""What a run cost, node by node on a line of time."""

from typing import Any

from catts.agents.protocol import Usage
from catts.evals.pages.text import finite
from catts.graph.records import NodeRun
from catts.graph.trace import Trace
from catts.names import PARTS

_NODE = {part.node: part.title for part in PARTS}


def cost(trace: Trace) -> dict[str, Any]:
    """Totals, and each node's tokens, calls and place on the line, in seconds from the start."""
    usage = trace.usage
    runs = sorted(usage.nodes, key=lambda run: run.started)
    starts = _starts(runs)
    return {
        "read": f"{usage.total.prompt_tokens:,}",
        "written": f"{usage.total.completion_tokens:,}",
        "expertCalls": usage.expert_calls,
        "paid": paid(usage.total),
        "seconds": f"{usage.latency or usage.seconds:.2f}",
        "span": max(
            (s + finite(r.seconds) for s, r in zip(starts, runs, strict=True)), default=0.0
        ),
        "nodes": [
            {
                "title": _NODE[run.node],
                "failed": run.status == "failed",
                "start": start,
                "length": finite(run.seconds),
                "seconds": f"{run.seconds:.2f}",
                "read": f"{run.usage.prompt_tokens:,}",
                "written": f"{run.usage.completion_tokens:,}",
                "calls": run.usage.calls,
                "paid": paid(run.usage),
                "attempts": run.attempts,
                "replies": run.replies,
            }
            for start, run in zip(starts, runs, strict=True)
        ],
    }


def paid(usage: Usage) -> str:
    """What providers charge, for people; empty where nothing was asked of them."""
    unknown = f"{usage.unpriced} unpriced" if usage.unpriced else ""
    return " + ".join(filter(None, (f"${usage.dollars:.4f}" if usage.dollars else "", unknown)))


def _starts(runs: list[NodeRun]) -> list[float]:
    """Seconds from the first start; one after another in traces that hold no times."""
    if all(run.started for run in runs):
        first = min((run.started for run in runs), default=0.0)
        return [finite(run.started - first) for run in runs]
    starts, at = [], 0.0
    for run in runs:
        starts.append(at)
        at += finite(run.seconds)
    return starts
