"""`catts bench sampler` and `catts bench questions`: what they time, and how."""
