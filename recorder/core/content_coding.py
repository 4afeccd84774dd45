"""Content coding undone (RFC 9110 §8.4): gzip, deflate, and br and zstd where their modules are installed.

Recordings lie both ways about it: bodies stored plain under ``content-encoding: gzip`` or ``br``, gzip under no
header at all. The bytes decide; the difference is an anomaly. A body that was cut is decoded as far as
it goes.
"""

from __future__ import annotations

import codecs
import importlib
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from recorder.core.messages import Anomaly

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = (
    b"\x28\xb5\x2f\xfd",
    *(bytes([number]) + b"\x2a\x4d\x18" for number in range(0x50, 0x60)),
)  # RFC 8878 §3.1
_MARKS: Final = {"gzip": (_GZIP,), "x-gzip": (_GZIP,), "zstd": _ZSTD}
#: What makes bytes that are no text. Of another name nobody knows what it makes: it may be base64.
_NEVER_TEXT: Final = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd"})
_NO_TEXT: Final = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_STEP: Final = 4096
_CUTS: Final = frozenset({"coding_cut", "coding_damaged", "decoded_too_large"})
#: A view refuses to unpack more than this many bytes: a small recording can hold a very large answer.
LARGEST: Final = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Decoded:
    """A body below its content coding.

    :ivar body: what could be decoded; the body as sent where *understood* is false.
    :ivar understood: every coding was undone, or there was none.
    :ivar cut: the coded bytes end before the coding's own end, or are damaged.
    """

    body: bytes
    understood: bool = True
    cut: bool = False
    anomalies: tuple[Anomaly, ...] = ()


def undo(body: bytes, header: str | None) -> Decoded:
    """Return *body* without the codings that its ``content-encoding`` header names, last one first."""
    names = [name.strip().lower() for name in (header or "").split(",")]
    codings = [name for name in reversed(names) if name not in ("", "identity")]
    if not codings and body.startswith(_GZIP):
        undeclared = Anomaly("coding_undeclared", "the body is gzip, no content-encoding says so")
        return _undo_one(body, "gzip", (undeclared,))
    result = Decoded(body)
    for coding in codings:
        result = _undo_one(result.body, coding, result.anomalies, cut=result.cut)
        if not result.understood:
            return Decoded(body, understood=False, cut=result.cut, anomalies=result.anomalies)
    return result


def damage(body: bytes, header: str | None) -> str | None:
    """Return what is wrong with the coded bytes of a body; None where it is whole, or nobody can tell.

    :param header: value of ``content-encoding``.
    """
    facts = undo(body, header).anomalies if header else ()
    return next((fact.detail for fact in facts if fact.kind in ("coding_damaged", "coding_cut")), None)


def is_coded(body: bytes, coding: str) -> bool:
    """Return whether a body can be what its coding made of another one.

    gzip and zstd have a mark. Of the rest, what reads as text is coded only where the whole of it can be undone.

    :param coding: one name of a ``content-encoding``, in lower case.
    """
    marks = _MARKS.get(coding)
    if marks is not None:
        return any(body.startswith(mark[: len(body)]) for mark in marks)
    if not _is_text(body):
        return True
    engine = _engine(coding, body)
    if engine is None:
        return False
    try:
        engine.decompress(body[:-1])
        if engine.finished():
            return False
        engine.decompress(body[-1:])
    except engine.failure:
        return False
    return engine.finished()


def _is_text(body: bytes) -> bool:
    """Whether there is nothing in a body but text, of which the last character may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(body)
    except UnicodeDecodeError:
        return False
    return _NO_TEXT.search(body) is None


def decoded_ends(body: bytes, header: str | None, ends: Sequence[int], size: int) -> tuple[int, ...] | None:
    """Return how much of the decoded body was there at each of *ends*, offsets in *body*; None where that is not known.

    :param size: of the decoded body, which is what :func:`undo` made of the whole.
    """
    names = [name.strip().lower() for name in (header or "").split(",")]
    codings = [name for name in names if name not in ("", "identity")] or ["gzip"] * body.startswith(_GZIP)
    if len(body) == size and (not codings or not body.startswith(_GZIP)):
        return tuple(ends)
    engine = _engine(codings[0], body) if len(codings) == 1 and size <= LARGEST else None
    if engine is None:
        return None
    found: list[int] = []
    at = decoded = 0
    for end in ends:
        try:
            decoded += 0 if engine.finished() else len(engine.decompress(body[at:end]))
        except engine.failure:  # what was decoded before the damage has its places
            return (*found, *[size] * (len(ends) - len(found))) if decoded <= size else None
        found.append(decoded)
        at = end
    return tuple(found) if decoded <= size else None


def _engine(coding: str, body: bytes) -> _Engine | None:
    if coding in ("gzip", "x-gzip", "deflate"):
        inflating = zlib.decompressobj(_window(coding, body))
        return _Engine(inflating.decompress, lambda: inflating.eof, zlib.error)
    return _installed(coding)


def _window(coding: str, body: bytes) -> int:
    """What zlib is told of the format."""
    if coding != "deflate":
        return 31
    # RFC 9110 §8.4.1.2: zlib format; some senders leave the wrapper out, and its first byte tells.
    wrapped = body[0] & 0x0F == 8 and (len(body) < 2 or int.from_bytes(body[:2], "big") % 31 == 0)
    return 15 if wrapped else -15


def _undo_one(body: bytes, coding: str, before: tuple[Anomaly, ...], *, cut: bool = False) -> Decoded:
    if not body:
        return Decoded(body, cut=cut, anomalies=before)
    if coding in _NEVER_TEXT and not is_coded(body, coding):
        absent = Anomaly("coding_absent", f"content-encoding says {coding}, the body is not")
        return Decoded(body, cut=cut, anomalies=(*before, absent))
    steps = _steps(coding, body)
    if steps is None:
        unknown = Anomaly("coding_unknown", f"the content coding {coding!r} cannot be undone here")
        return Decoded(body, understood=False, cut=cut, anomalies=(*before, unknown))
    out: list[bytes] = []
    size = 0
    facts: list[Anomaly] = []
    for piece in steps:
        if isinstance(piece, Anomaly):
            facts.append(piece)
            continue
        out.append(piece)
        size += len(piece)
        if size > LARGEST:
            facts.append(Anomaly("decoded_too_large", f"more than {LARGEST} bytes: not unpacked further"))
            break
    return Decoded(b"".join(out), cut=cut or any(fact.kind in _CUTS for fact in facts), anomalies=(*before, *facts))


def _steps(coding: str, body: bytes) -> Iterator[bytes | Anomaly] | None:
    if coding in ("gzip", "x-gzip", "deflate"):
        return _inflate(body, _window(coding, body))
    engine = _installed(coding)
    return None if engine is None else _stream(body, coding, engine)


def _inflate(body: bytes, window: int) -> Iterator[bytes | Anomaly]:
    """Yield what zlib makes of *body*, in bounded pieces; a gzip body may have several members."""
    left = body
    while left:
        engine = zlib.decompressobj(window)
        try:
            while left and not engine.eof:
                given, left = left[:_STEP], left[_STEP:]
                while given:
                    yield engine.decompress(given, 1 << 20)
                    given = engine.unconsumed_tail
        except zlib.error as error:
            yield Anomaly("coding_damaged", f"the coded body is damaged: {error}")
            return
        if not engine.eof:
            yield engine.flush()
            yield Anomaly("coding_cut", "the coded body ends before its own end")
            return
        left = engine.unused_data + left
        if left and not (window == 31 and left.startswith(_GZIP)):
            yield Anomaly("coding_trailing", f"{len(left)} bytes after the coded body")
            return


@dataclass(frozen=True, slots=True)
class _Engine:
    decompress: Callable[[bytes], bytes]
    finished: Callable[[], bool]
    failure: type[Exception]


def _installed(coding: str) -> _Engine | None:
    """Return an incremental decompressor of an optional module, or None where none is installed."""
    if coding == "br":
        module = _module("brotli") or _module("brotlicffi")
        if module is not None:
            brotli: Any = module.Decompressor()
            return _Engine(getattr(brotli, "decompress", None) or brotli.process, brotli.is_finished, module.error)
    if coding == "zstd":
        module = _module("compression.zstd")
        engine: Any = module.ZstdDecompressor() if module is not None else None
        if module is None:
            module = _module("zstandard")
            engine = module.ZstdDecompressor().decompressobj() if module is not None else None
        if module is not None:
            return _Engine(engine.decompress, lambda: bool(engine.eof), module.ZstdError)
    return None


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _stream(body: bytes, coding: str, engine: _Engine) -> Iterator[bytes | Anomaly]:
    for at in range(0, len(body), _STEP):
        if engine.finished():
            yield Anomaly("coding_trailing", f"{len(body) - at} bytes or more after the coded body")
            return
        try:
            yield engine.decompress(body[at : at + _STEP])
        except engine.failure as error:
            yield Anomaly("coding_damaged", f"the {coding} body is damaged: {error}")
            return
    if not engine.finished():
        yield Anomaly("coding_cut", "the coded body ends before its own end")
