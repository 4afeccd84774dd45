"""Reading the body of a response piece by piece, as it arrives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import requests
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError, SSLError

_MOST: Final = 1 << 16

#: What reading a body can raise: of urllib3, and of the standard library below it.
FAILURES: Final = (HTTPError, OSError)


def pieces(response: requests.Response, *, decode: bool) -> Iterator[bytes]:
    """Yield what arrives, at once, whatever the framing; never an empty piece.

    requests and urllib3 have no such iterator: ``iter_content`` waits for a whole HTTP frame, or, where
    the answer has none, for the number of bytes that were asked for; and both lose what came of a frame
    that was cut.

    :param decode: undo the content coding.
    :raises urllib3.exceptions.HTTPError: the transport failed, or the body ended too early.
    """
    raw: Any = response.raw
    if not hasattr(raw, "read1"):  # urllib3 before 2.1
        yield from raw.stream(1, decode_content=decode)
        return
    while piece := raw.read1(_MOST, decode_content=decode):
        yield piece
    raw.release_conn()


def told(error: BaseException) -> str:
    """Return what happened to a body, in a few words."""
    if isinstance(error, ReadTimeoutError | TimeoutError):
        return "nothing more came in time"
    if isinstance(error, SSLError):
        return "TLS failed"
    if isinstance(error, ProtocolError | OSError):
        return "the connection broke"
    return f"it could not be read ({type(error).__name__})"


def reason(error: BaseException) -> str:
    """Return an exception's class and message in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
