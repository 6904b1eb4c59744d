"""CA-TTS as a node of another LangGraph graph, which has a context of its own.

`python examples/as_node.py IMAGE "QUESTION"`
"""

import asyncio
import sys
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from catts import as_node, open_context


class State(TypedDict, total=False):
    """What travels through this application's graph."""

    image: str
    question: str
    answer_text: str | None
    trace: dict[str, Any]
    report: str


class Reporting(TypedDict):
    """This application's own context."""

    language: str


async def report(state: State, runtime: Runtime[Reporting]) -> State:
    verdict = {"en": "The answer is", "de": "Die Antwort ist"}[runtime.context["language"]]
    failed = state["trace"]["failed_nodes"]
    return {
        "report": f"{verdict} {state['answer_text']}." + (f" Without: {failed}" if failed else "")
    }


async def main(image: str, question: str) -> dict[str, Any]:
    async with open_context(base="embedded", expert="embedded") as context:
        builder = StateGraph(State, context_schema=Reporting)
        builder.add_node("look", as_node(context))
        builder.add_node("report", report)
        builder.add_edge(START, "look")
        builder.add_edge("look", "report")
        builder.add_edge("report", END)
        asked: State = {"image": image, "question": question}
        result = await builder.compile().ainvoke(asked, context={"language": "en"})
    print(result["report"])
    return result


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
