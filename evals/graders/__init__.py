"""Graders: whether a reply answers an item, by the benchmark's own published rule or strictly.

Each of `mathvista`, `mathvision`, `mmstar` and `mmmu` has `official`, the benchmark's rule with its
quirks; `strict` is one for all, a person's judgement. None of them runs what a model wrote: it is
read by string methods and linear-time regular expressions, at most its last 64,000 characters, and
by math-verify in a process that can be killed.
"""
