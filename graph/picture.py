"""The picture of the graph, drawn from the compiled graph itself."""

from catts.graph.build import build_graph


def mermaid() -> str:
    """Mermaid source of the graph."""
    return build_graph().get_graph().draw_mermaid()
