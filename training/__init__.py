"""CDRL: train a base model whose confidence falls when it cannot see."""
