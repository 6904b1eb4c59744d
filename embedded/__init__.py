"""The embedded default: a procedural visual-question world and the small models trained on it."""
