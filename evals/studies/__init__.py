"""Studies of the method: each asks, measures and shows one question about it."""
