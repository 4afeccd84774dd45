"""A flight recorder for LLM conversations."""
