"""Ways to consume a response: one :class:`Consumer` a column of the fidelity matrix.

A consumer takes a box that holds the response and yields what a program would see. The box lets a
consumer drop the only reference to the response (``box.pop()``). Items that were yielded before an
exception count.
"""

from __future__ import annotations

import gc
import hashlib
import io
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import requests
import urllib3

Box = list[requests.Response]
Items = Iterable[object]

#: After so many items a consumer stops reading and closes: what comes later is more of the same.
MOST_ITEMS: Final = 1_000

_LAST_FRAME: Final = re.compile(rb"(^|\r\n)0+(;[^\r\n]*)?\r\n([^\r\n]+\r\n)*\r\n$")


@dataclass(frozen=True)
class Consumer:
    """One way to consume.

    :ivar name: column of the matrix.
    :ivar take: yields what the program sees of the response in the box.
    :ivar stream: the ``stream`` argument of the request.
    :ivar method_needed: attribute of ``urllib3.HTTPResponse`` that older versions lack.
    """

    name: str
    take: Callable[[Box], Items]
    stream: bool = True
    method_needed: str | None = None


_ALL: Final[list[Consumer]] = []


def _consumer(
    name: str, *, stream: bool = True, method_needed: str | None = None
) -> Callable[[Callable[[Box], Items]], Callable[[Box], Items]]:
    def register(take: Callable[[Box], Items]) -> Callable[[Box], Items]:
        _ALL.append(Consumer(name, take, stream, method_needed))
        return take

    return register


def _add(name: str, take: Callable[[requests.Response], Items], **options: Any) -> None:
    _consumer(name, **options)(lambda box: take(box[0]))


def _until_empty(read: Callable[[], bytes]) -> Iterator[bytes]:
    while piece := read():
        yield piece


def _once(get: Callable[[], object]) -> Iterator[object]:
    yield get()


# requests

_add("iter_content_none", lambda r: r.iter_content(None))
_add("iter_content_1", lambda r: r.iter_content(1))
_add("iter_content_10", lambda r: r.iter_content(10))
_add("iter_content_512", lambda r: r.iter_content(512))
_add("iter_content_unicode", lambda r: r.iter_content(None, decode_unicode=True))
_add("iter_content_7_unicode", lambda r: r.iter_content(7, decode_unicode=True))
_add("iter_response", iter)
_add("iter_lines", lambda r: r.iter_lines())
_add("iter_lines_1", lambda r: r.iter_lines(chunk_size=1))
_add("iter_lines_none", lambda r: r.iter_lines(chunk_size=None))
_add("iter_lines_unicode", lambda r: r.iter_lines(decode_unicode=True))
_add("iter_lines_delimiter", lambda r: r.iter_lines(chunk_size=None, delimiter=b"\n\n"))
_add("content", lambda r: _once(lambda: r.content))
_add("text", lambda r: _once(lambda: r.text))
_add("json", lambda r: _once(r.json))
_add("whole_content", lambda r: _once(lambda: r.content), stream=False)
_add("whole_lines", lambda r: r.iter_lines(), stream=False)
_add("raise_for_status", lambda r: _once(r.raise_for_status))


@_consumer("content_twice")
def _content_twice(box: Box) -> Items:
    yield box[0].content
    yield from box[0].iter_content(10)
    yield box[0].content


@_consumer("content_after_item")
def _content_after_item(box: Box) -> Items:
    yield next(box[0].iter_content(None), None)
    yield box[0].content


# urllib3

_add("raw_read", lambda r: _once(r.raw.read))
_add("raw_read_decoded", lambda r: _once(lambda: r.raw.read(decode_content=True)))
_add("raw_read_20", lambda r: _until_empty(lambda: r.raw.read(20)))
_add("raw_read_20_decoded", lambda r: _until_empty(lambda: r.raw.read(20, decode_content=True)))
_add("raw_read1", lambda r: _until_empty(r.raw.read1), method_needed="read1")
_add("raw_read1_30", lambda r: _until_empty(lambda: r.raw.read1(30)), method_needed="read1")
_add("raw_read1_decoded", lambda r: _until_empty(lambda: r.raw.read1(decode_content=True)), method_needed="read1")
_add("raw_stream_9", lambda r: r.raw.stream(9))
_add("raw_stream_none", lambda r: r.raw.stream(None))
_add("raw_stream_decoded", lambda r: r.raw.stream(None, decode_content=True))
_add("raw_read_chunked", lambda r: r.raw.read_chunked())
_add("raw_read_chunked_11", lambda r: r.raw.read_chunked(11))
_add("raw_data", lambda r: _once(lambda: r.raw.data))
_add("raw_iter", lambda r: r.raw)
_add("raw_readline", lambda r: _until_empty(r.raw.readline))
_add("text_io", lambda r: io.TextIOWrapper(r.raw, encoding="latin-1", newline=""))  # type: ignore[type-var]


@_consumer("raw_readinto")
def _raw_readinto(box: Box) -> Items:
    buffer = bytearray(64)
    while size := box[0].raw.readinto(buffer):
        yield bytes(buffer[:size])


class _Collector(io.RawIOBase):
    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, piece: Any) -> int:
        self.pieces.append(bytes(piece))
        return len(piece)


@_consumer("copyfileobj")
def _copyfileobj(box: Box) -> Items:
    collector = _Collector()
    try:
        shutil.copyfileobj(box[0].raw, collector, 100)
    finally:
        yield from collector.pieces


@_consumer("raw_read_then_content")
def _raw_read_then_content(box: Box) -> Items:
    yield box[0].raw.read(25)
    yield from box[0].iter_content(None)


# below urllib3: what some SSE clients do


def _http(response: requests.Response) -> Any:
    """Return the ``http.client.HTTPResponse`` under urllib3's."""
    return response.raw._fp


@_consumer("fp_read1")
def _fp_read1(box: Box) -> Items:
    return _below(box[0], lambda left: _http(box[0]).fp.read1(left))


@_consumer("fp_readline")
def _fp_readline(box: Box) -> Items:
    return _below(box[0], lambda left: _http(box[0]).fp.readline(left))


def _below(response: requests.Response, read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Read the body with its framing until it ends, never further: a connection kept alive would block."""
    length = _body_length(response)
    taken = b""
    while len(taken) != length and (piece := read(-1 if length is None else length - len(taken))):
        yield piece
        taken += piece
        if length is None and response.raw.chunked and _LAST_FRAME.search(taken[-400:]):
            return


def _body_length(response: requests.Response) -> int | None:
    """Return the body's length, None where only its framing or the end of the connection tells (RFC 9112 §6.3)."""
    if response.request.method == "HEAD" or response.status_code in (103, 204, 304):
        return 0
    length = response.headers.get("Content-Length")
    return None if length is None else int(length)


_add("http_read", lambda r: _once(_http(r).read))
_add("http_read_20", lambda r: _until_empty(lambda: _http(r).read(20)))
_add("http_read1", lambda r: _until_empty(lambda: _http(r).read1(-1)))
_add("http_readline", lambda r: _until_empty(_http(r).readline))


@_consumer("http_readinto")
def _http_readinto(box: Box) -> Items:
    buffer = bytearray(50)
    while size := _http(box[0]).readinto(buffer):
        yield bytes(buffer[:size])


@_consumer("http_peek")
def _http_peek(box: Box) -> Items:
    if _body_length(box[0]) == 0:  # peek would wait for the next response
        return
    while peeked := _http(box[0]).peek(5):
        yield peeked
        yield _http(box[0]).read(3)


# leaving early


@_consumer("close_untouched")
def _close_untouched(box: Box) -> Items:
    box[0].close()
    yield from box[0].iter_content(None)


@_consumer("close_after_first")
def _close_after_first(box: Box) -> Items:
    pieces = box[0].iter_content(None)
    yield next(pieces, None)
    box[0].close()
    yield from pieces


@_consumer("close_after_lines")
def _close_after_lines(box: Box) -> Items:
    lines = box[0].iter_lines(chunk_size=1)
    yield from (next(lines, None) for _ in range(3))
    box[0].close()


@_consumer("raw_close_after_first")
def _raw_close_after_first(box: Box) -> Items:
    yield box[0].raw.read(10)
    box[0].raw.close()
    yield box[0].raw.read(10)


@_consumer("abandon_untouched")
def _abandon_untouched(box: Box) -> Items:
    box.pop()  # the last reference: no collection is needed, unless a wrapper makes a cycle
    return ()


@_consumer("abandon_after_first")
def _abandon_after_first(box: Box) -> Items:
    pieces = box.pop().iter_content(None)
    yield next(pieces, None)
    del pieces
    gc.collect()


@_consumer("drop_iterator_read_on")
def _drop_iterator_read_on(box: Box) -> Items:
    pieces = box[0].iter_content(5)
    yield next(pieces, None)
    del pieces
    yield box[0].raw.read(10)


@_consumer("with_block")
def _with_block(box: Box) -> Items:
    with box[0] as response:
        yield next(response.iter_content(None), None)


@_consumer("with_block_untouched")
def _with_block_untouched(box: Box) -> Items:
    with box[0]:
        pass
    return ()


@_consumer("with_block_whole")
def _with_block_whole(box: Box) -> Items:
    with box[0] as response:
        yield from response.iter_lines()


@_consumer("drain_untouched")
def _drain_untouched(box: Box) -> Items:
    box[0].raw.drain_conn()
    yield from box[0].iter_content(None)


@_consumer("drain_after_first")
def _drain_after_first(box: Box) -> Items:
    yield next(box[0].iter_content(None), None)
    box[0].raw.drain_conn()


@_consumer("left_open")
def _left_open(box: Box) -> Items:
    yield next(box[0].iter_content(None), None)


@_consumer("attributes_between")
def _attributes_between(box: Box) -> Items:
    response = box[0]
    for piece in response.iter_content(None):
        yield piece
        yield (response.raw.tell(), response.raw.closed, getattr(response.raw, "length_remaining", None))


@_consumer("in_a_thread")
def _in_a_thread(box: Box) -> Items:
    """Read in another thread than the one that made the request."""
    items: list[object] = []
    raised: list[BaseException] = []

    def read() -> None:
        try:
            items.extend(box[0].iter_content(None))
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    yield from items
    if raised:
        raise raised[0]


#: Every consumer that the installed urllib3 allows, by its name.
CONSUMERS: Final[dict[str, Consumer]] = {
    consumer.name: consumer
    for consumer in _ALL
    if consumer.method_needed is None or hasattr(urllib3.HTTPResponse, consumer.method_needed)
}


def plain(item: object) -> object:
    """Return an item in a form that compares and prints well; a long one as its length and digest."""
    if isinstance(item, bytes | bytearray | str) and len(item) > 2_000:
        data = item.encode("utf-8", "surrogatepass") if isinstance(item, str) else bytes(item)
        return (type(item).__name__, len(item), hashlib.sha256(data).hexdigest()[:16])
    return item
