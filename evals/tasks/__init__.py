"""Inspect tasks: the benchmarks, the graph as their solver, and the graders as their scorers."""
