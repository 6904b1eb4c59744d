"""What the base model sees: pictures and their noised copies."""
