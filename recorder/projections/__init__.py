"""Stored folds: caches that are dropped and built again from events at any time."""
