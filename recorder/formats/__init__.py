"""Renderings of exchanges and conversations. Pure: values in, text out."""
