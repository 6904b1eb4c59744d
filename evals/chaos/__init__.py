"""A storm for the graph: experts and a base that fail in every way, and what must hold under it."""
