"""A secret put into recorded answers, and looked for in what is exported: independent of the code under test."""

from __future__ import annotations

import base64
import binascii
import copy
import html
import io
import json
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import unquote, unquote_plus

import pyarrow.parquet

from recorder.core.eventstream import FrameParser
from recorder.core.exchange import fold
from recorder.core.messages import ReasoningPart, RefusalPart, TextPart
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder
from tests.unit.dialects.wire import frame


class Documents:
    """The JSON values of a body, which can be changed and written again."""

    def __init__(self, body: bytes) -> None:
        self.values: list[Any] = []
        self._heads: list[Any] = []  # of each: what stands before it
        frames = FrameParser().feed(body)
        if frames:
            self.shape = "eventstream"
            for one in frames:
                payload = json.loads(one.payload or b"{}")
                held = isinstance(payload, dict) and "bytes" in payload
                self.values.append(json.loads(base64.b64decode(payload["bytes"])) if held else payload)
                self._heads.append((one.headers, payload if held else None))
        elif body.lstrip()[:1] in (b"{", b"["):
            lines = body.strip().split(b"\n")
            try:
                self.values = [json.loads(body)]
                self.shape = "json"
            except ValueError:
                self.values = [json.loads(line) for line in lines]
                self.shape = "ndjson"
            self._heads = [None] * len(self.values)
        else:
            self.shape = "sse"
            for block in body.decode().split("\n\n"):
                *head, last = block.split("\n")
                text = last.removeprefix("data: ")
                self._heads.append(head)
                self.values.append(json.loads(text) if text[:1] == "{" else last)

    def clone(self, number: int) -> None:
        """Put a copy of a value behind it."""
        self.values.insert(number, copy.deepcopy(self.values[number]))
        self._heads.insert(number, self._heads[number])

    def drop(self, number: int) -> None:
        """Take a value out."""
        del self.values[number], self._heads[number]

    def body(self, *, ascii_only: bool) -> bytes:
        """Return the body.

        :param ascii_only: escape everything that is not ASCII.
        """
        made: list[bytes] = []
        for head, value in zip(self._heads, self.values, strict=True):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=ascii_only)
            if self.shape == "eventstream":
                headers, outer = head
                if outer is not None:
                    text = json.dumps({**outer, "bytes": base64.b64encode(text.encode()).decode()})
                made.append(frame(text.encode(), headers))
            elif self.shape == "sse":
                made.append("\n".join([*head, text if isinstance(value, str) else f"data: {text}"]).encode())
            else:
                made.append(text.encode())
        return {"sse": b"\n\n", "ndjson": b"\n"}.get(self.shape, b"").join(made)


Leaf = tuple[int, tuple[str | int, ...]]


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield where each text of a value stands, and the text."""
    if isinstance(value, str) and path:
        yield path, value
    elif isinstance(value, dict | list):
        for key, held in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(held, (*path, key))


def put(value: Any, path: tuple[str | int, ...], text: str) -> None:
    """Set the text at a place."""
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = text


def split_over(body: bytes, text: str, pieces: Sequence[str], *, ascii_only: bool = False) -> Iterator[bytes]:
    """Yield *body* with *text*, which is in it in one piece or several, replaced by other pieces, one a delta.

    Each way in which that can be written; none where the text cannot be found.
    """
    for chosen in (-1, 0):
        documents = Documents(body)
        chain: list[Leaf] = []
        at = 0
        for number, value in enumerate(documents.values):
            for path, said in list(leaves(value)):
                if said and at < len(text) and text.startswith(said, at):
                    chain.append((number, path))
                    at += len(said)
                elif said == text:  # told again whole, at the end
                    put(value, path, "".join(pieces))
        if at < len(text):
            return
        for number, path in chain:
            put(documents.values[number], path, "")
        number, path = chain[chosen]
        if documents.shape == "json":
            put(documents.values[number], path, "".join(pieces))
        else:
            for piece in reversed(pieces):
                put(documents.values[number], path, piece)
                documents.clone(number)
            documents.drop(number)
        yield documents.body(ascii_only=ascii_only)


def recorded(kind: str, body: bytes, *, url: str, cuts: Sequence[int] = (), **request: Any) -> Rebuilt:
    """Return a complete exchange with this answer, in chunks that end at *cuts* and at the end."""
    builder = ExchangeBuilder().request(request.pop("payload", {}), url=url, **request)
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(body)}), len(body)]
    chunks = [body[start:end] for start, end in pairwise(edges)]
    exchange = fold(builder.response(headers=[("content-type", kind)]).chunks(*chunks).completed().events)
    assert exchange is not None
    return rebuild(exchange)


def texts_of(rebuilt: Rebuilt) -> list[str]:
    """Return the texts of an answer as people read them: those of each kind of part, joined, and of each call."""
    found = []
    for message in rebuilt.answer_messages:
        for kind in (TextPart, ReasoningPart, RefusalPart):
            found.append("".join(part.text for part in message.parts if isinstance(part, kind)))
        found += [call.arguments_text for call in message.tool_calls]
    return [text for text in found if text]


_ESCAPED = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/]))')
_CODED = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}")


def readings(text: str, depth: int = 4) -> Iterator[str]:
    """Yield a text in every form in which somebody could read it."""
    yield text
    if not depth:
        return
    unescaped = _ESCAPED.sub(lambda one: chr(int(one[1], 16)) if one[1] else one[2], text)
    unescaped = unescaped.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    for other in {unescaped, unquote(text), unquote_plus(text), html.unescape(text)} - {text}:
        yield from readings(other, depth - 1)
    for one in _CODED.finditer(text):
        try:
            held = base64.b64decode(one[0])
        except binascii.Error:
            continue
        yield from readings(held.decode("utf-8", "replace"), 1)


def holds(document: str | bytes, secret: str) -> bool:
    """Whether a secret can be read in a document."""
    text = document if isinstance(document, str) else document.decode("utf-8", "replace")
    return any(secret in reading for reading in readings(text))


def rows_of(parquet: bytes) -> str:
    """Return the texts of a Parquet file, which is compressed."""
    return repr(pyarrow.parquet.read_table(io.BytesIO(parquet)).to_pylist())
