"""A base model on vLLM's OpenAI-compatible server: its address, requests, replies and replicas."""
