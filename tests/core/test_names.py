from catts.graph.build import build_graph
from catts.names import MODULES, PARTS, ROLES, SOURCES, STEPS, WORKERS


def test_the_table_and_the_names_agree() -> None:
    assert tuple(part.node for part in PARTS) == WORKERS
    assert {part.role for part in PARTS} - {None} == set(ROLES)
    assert {part.module for part in PARTS} - {None} == set(MODULES)
    assert {part.source for part in PARTS} - {None} == set(SOURCES)
    assert (*WORKERS, "decide") == STEPS


def test_a_role_and_its_node_share_a_name_and_so_do_modules() -> None:
    assert all(part.role in (None, part.node) for part in PARTS)
    assert set(MODULES) < set(WORKERS)


def test_the_graph_has_the_nodes_of_the_table() -> None:
    nodes = {name for name in build_graph().nodes if not name.startswith("__")}
    assert nodes == {"start", "route", *STEPS}
