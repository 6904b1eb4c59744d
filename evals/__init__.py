"""Benchmarks, graders, calibration metrics and their reports."""
