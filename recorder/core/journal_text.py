"""The facts of a journal's most frequent events as text, written out for speed.

What comes out is what :func:`recorder.core.events.meta_text` makes of the same facts: two of these events are
written for every exchange, while its program waits.
"""

from __future__ import annotations


def _dashed(identity: bytes) -> str:
    digits = identity.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def opened_text(exchange: bytes, number: int) -> bytes:
    """Return the facts of ``exchange_opened``."""
    return f'{{"exchange":"{_dashed(exchange)}","number":{number}}}'.encode()


def closed_text(exchange: bytes, number: int | None, length: int, head: bytes) -> bytes:
    """Return the facts of ``exchange_closed``.

    :param number: of the exchange in this journal; None where it is not this one's.
    :param length: events of its stream; 0 for one of which nothing was recorded nor sent.
    :param head: hash of the last of them, for what it is worth.
    """
    hashed = f'"head":"{head.hex()}",' if length else ""
    numbered = "" if number is None else f',"number":{number}'
    return f'{{"exchange":"{_dashed(exchange)}",{hashed}"length":{length}{numbered}}}'.encode()
