"""Benchmarks as they are distributed: one reader each, and what all of them return.

Every reader takes a file, a folder or a hub id and a split, checks every row before it returns, and
gives a `catts.evals.benchmarks.loading.Loaded`. Nothing here runs a model or knows of the graph.
"""
