"""A body in pieces as they come: the same bytes with and without urllib3's ``read1``."""

from __future__ import annotations

import pytest
import requests
import urllib3
from urllib3.exceptions import DecodeError, ProtocolError, ReadTimeoutError, SSLError

from recorder.cli.reading import FAILURES, pieces, reason, told
from tests.loopback import Script, serve


class _WithoutRead1:
    """What urllib3 2.0 has."""

    def __init__(self, raw: urllib3.HTTPResponse) -> None:
        self.stream = raw.stream


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("cut_after", [None, 3])
def test_every_byte_comes_before_the_failure(older: bool, cut_after: int | None) -> None:
    script = Script(chunks=6, split_utf8=True, cut_after=cut_after)
    came = b""
    failed = False
    with serve(script) as server, requests.Session() as session:
        session.trust_env = False
        body = {"messages": [{"content": "x"}], "stream": True}
        response = session.post(server.url, json=body, stream=True)
        if older:
            response.raw = _WithoutRead1(response.raw)
        try:
            for piece in pieces(response, decode=False):
                assert piece
                came += piece
        except FAILURES:
            failed = True
    assert failed == (cut_after is not None)
    assert script.body("x").startswith(came)
    assert len(came) >= len(b"".join(script.frames("x")[: cut_after or None]))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ReadTimeoutError(None, "", "x"), "nothing more came in time"),  # type: ignore[arg-type]
        (TimeoutError(), "nothing more came in time"),
        (SSLError("x"), "TLS failed"),
        (ProtocolError("x"), "the connection broke"),
        (ConnectionResetError(), "the connection broke"),
        (DecodeError("x"), "it could not be read (DecodeError)"),
    ],
)
def test_a_failure_in_a_few_words(error: BaseException, says: str) -> None:
    assert told(error) == says


def test_a_failure_in_one_line() -> None:
    assert reason(ValueError("a\n b")) == "ValueError: a b"
    assert reason(ValueError()) == "ValueError"
