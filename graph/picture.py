"""The picture of the graph, drawn from the compiled graph itself."""

from catts.graph.build import build_graph

_HANDLER = "__error_handler__"


def mermaid() -> str:
    """Mermaid source of the graph, without the error handlers that LangGraph adds as nodes."""
    drawing = build_graph().get_graph()
    for name in [n for n in drawing.nodes if n.startswith(_HANDLER)]:
        del drawing.nodes[name]
    return drawing.draw_mermaid()
