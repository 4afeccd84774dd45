"""Answering from recordings: which answer, and at what pace."""
