"""Provider wire formats: what a request and an answer say. Pure: bytes in, values out."""
