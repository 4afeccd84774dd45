from __future__ import annotations

import gzip
import sys
import types
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core import content_coding
from recorder.core.content_coding import undo

TEXT = b"data: {}\n\n" * 500
RAW = zlib.compressobj(9, zlib.DEFLATED, -15)
CODED = {
    "gzip": gzip.compress(TEXT),
    "x-gzip": gzip.compress(TEXT),
    "GZip": gzip.compress(TEXT[:3000]) + gzip.compress(TEXT[3000:]),
    "deflate": zlib.compress(TEXT),
    "identity": TEXT,
    "deflate, gzip": gzip.compress(zlib.compress(TEXT)),
    " deflate ": RAW.compress(TEXT) + RAW.flush(),
}


@pytest.mark.parametrize("header", CODED)
def test_codings_are_undone(header: str) -> None:
    decoded = undo(CODED[header], header)
    assert (decoded.body, decoded.understood, decoded.cut, decoded.anomalies) == (TEXT, True, False, ())


def test_no_coding_and_no_body() -> None:
    assert undo(TEXT, None).body == TEXT
    assert undo(b"", "gzip").anomalies == ()


def test_gzip_that_no_header_announces_and_an_announcement_without_gzip() -> None:
    undeclared = undo(CODED["gzip"], None)
    assert (undeclared.body, [fact.kind for fact in undeclared.anomalies]) == (TEXT, ["coding_undeclared"])
    absent = undo(TEXT, "gzip")
    assert (absent.body, absent.cut, [fact.kind for fact in absent.anomalies]) == (TEXT, False, ["coding_absent"])


@pytest.mark.parametrize("body", [TEXT, b'{"a": 1}', "é\t".encode() * 3000 + b"\xc3", b"data: [DONE]\r\n\r\n", b"x"])
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "br", "zstd", "gzip, br"])
def test_text_under_any_coding_is_not_coded(body: bytes, coding: str) -> None:
    decoded = undo(body, coding)
    assert (decoded.body, decoded.understood, decoded.cut) == (body, True, False)
    assert {fact.kind for fact in decoded.anomalies} == {"coding_absent"}


@pytest.mark.parametrize("level", range(1, 10))
@given(st.binary(max_size=40) | st.text("abc {}:", max_size=40).map(str.encode))
def test_short_bodies_that_are_coded_are_undone(level: int, plain: bytes) -> None:
    raw = zlib.compressobj(level, zlib.DEFLATED, -15)
    for coded in (zlib.compress(plain, level), raw.compress(plain) + raw.flush()):
        assert undo(coded, "deflate").body == plain


@given(st.integers(1, len(CODED["gzip"]) - 1))
def test_a_cut_body_gives_what_it_holds(size: int) -> None:
    decoded = undo(CODED["gzip"][:size], "gzip")
    assert TEXT.startswith(decoded.body)
    assert (decoded.understood, decoded.cut) == (True, True)


def test_damage_keeps_what_came_before() -> None:
    body = bytearray(gzip.compress(bytes(range(256)) * 400, 1))
    body[-12] ^= 0xFF
    decoded = undo(bytes(body), "gzip")
    assert decoded.cut
    assert [fact.kind for fact in decoded.anomalies] == ["coding_damaged"]
    assert undo(b"\x00\x01\x02\xff", "deflate").anomalies[0].kind in ("coding_damaged", "coding_cut")


def test_bytes_after_the_coded_body_are_a_fact() -> None:
    decoded = undo(CODED["gzip"] + b"more", "gzip")
    assert (decoded.body, decoded.cut) == (TEXT, False)
    assert [fact.kind for fact in decoded.anomalies] == ["coding_trailing"]


def test_a_bomb_is_not_unpacked_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_coding, "LARGEST", 3 << 20)
    decoded = undo(gzip.compress(b"\0" * (64 << 20)), "gzip")
    assert 3 << 20 < len(decoded.body) <= 5 << 20
    assert [fact.kind for fact in decoded.anomalies] == ["decoded_too_large"]
    assert decoded.cut


@pytest.mark.parametrize("header", ["exi", "gzip, exi", "compress"])
def test_an_unknown_coding_leaves_the_bytes_alone(header: str) -> None:
    for body in (b"\x01\x02", b"eyJhIjogMX0="):  # of which nobody knows what it is either
        decoded = undo(body, header)
        assert (decoded.body, decoded.understood) == (body, False)
        assert "coding_unknown" in [fact.kind for fact in decoded.anomalies]


MARK = b"\x28\xb5\x2f\xfd"  # of zstd; no text


class Failure(Exception):
    pass


class Reversing:
    """Stands for an optional module's decompressor: swaps case, ends at '!', fails at '?'."""

    def __init__(self) -> None:
        self.eof = False

    def process(self, data: bytes) -> bytes:
        if b"?" in data:
            raise Failure("bad byte")
        self.eof = b"!" in data
        return data.swapcase()

    def is_finished(self) -> bool:
        return self.eof

    def decompressobj(self) -> Reversing:
        return self

    decompress = process


def brotli() -> types.SimpleNamespace:
    class OnlyProcess:
        def __init__(self) -> None:
            self._inner = Reversing()
            self.process, self.is_finished = self._inner.process, self._inner.is_finished

    return types.SimpleNamespace(Decompressor=OnlyProcess, error=Failure)


def zstandard() -> types.SimpleNamespace:
    return types.SimpleNamespace(ZstdDecompressor=Reversing, ZstdError=Failure)


@pytest.mark.parametrize(
    ("module", "make", "coding"),
    [("brotli", brotli, "br"), ("zstandard", zstandard, "zstd"), ("compression.zstd", zstandard, "zstd")],
)
def test_optional_modules(
    monkeypatch: pytest.MonkeyPatch, module: str, make: Callable[[], types.SimpleNamespace], coding: str
) -> None:
    for name in ("brotli", "brotlicffi", "zstandard", "compression", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    assert not undo(MARK + b"ab!", coding).understood
    if module == "compression.zstd":
        monkeypatch.setitem(sys.modules, "compression", types.ModuleType("compression"))
    monkeypatch.setitem(sys.modules, module, make())
    whole = undo(MARK + b"ab!", coding)
    assert (whole.body, whole.understood, whole.cut, whole.anomalies) == (MARK + b"AB!", True, False, ())
    assert [fact.kind for fact in undo(MARK + b"ab", coding).anomalies] == ["coding_cut"]
    assert [fact.kind for fact in undo(MARK + b"a?", coding).anomalies] == ["coding_damaged"]
    trailing = undo(MARK + b"a" * (4095 - len(MARK)) + b"!" + b"more", coding)
    assert ([fact.kind for fact in trailing.anomalies], trailing.cut) == (["coding_trailing"], False)
    assert [fact.kind for fact in undo(b"data: a", coding).anomalies] == ["coding_absent"]
