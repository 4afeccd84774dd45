"""Bodies as several formats show them: below their content coding, as text where they are text."""

from __future__ import annotations

import re
from typing import Final

from recorder.core.content_coding import Decoded, undo
from recorder.core.exchange import Exchange

_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\s\";]*)", re.IGNORECASE)
_UTF8: Final = frozenset({"", "utf-8", "utf8"})
#: Encodings whose first 128 characters are ASCII.
_LIKE_ASCII: Final = re.compile(r"us-ascii|ascii|iso-8859-\d+|latin-?1|windows-125\d|cp125\d")


def decoded_body(exchange: Exchange) -> Decoded:
    """Return the body of the answer below its content coding."""
    return undo(exchange.body, exchange.content_coding)


def as_text(body: bytes, media_type: str) -> str | None:
    """Return *body* as text; None where its bytes are no UTF-8, or a charset is declared that may mean other text.

    :param media_type: its Content-Type, with parameters.
    """
    found = _CHARSET.search(media_type)
    charset = found[1].lower() if found else ""
    if charset not in _UTF8 and not (body.isascii() and _LIKE_ASCII.fullmatch(charset)):
        return None
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None
