"""JSON Lines: one exchange a line, each what ``show --json`` prints; and JSON: one document of them.

Each has the bytes too (``recording``), from which the rest can be derived again: an export can be imported.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from recorder.core.conversation import Conversation
from recorder.core.exchange import Exchange
from recorder.core.json_text import present, written
from recorder.core.message_json import message_json
from recorder.core.reader_mark import reader_mark
from recorder.core.rebuilt import Rebuilt, as_json, origin_json, place_of, relation_of
from recorder.formats.again import Again

#: What some readers take for the end of a line (``str.splitlines``), and JSON has escaped as well as raw.
_LINE_ENDS: Final = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}


class JsonLines:
    """One exchange a line, whatever a reader takes for the end of one."""

    name = "jsonl"
    help = "one line for each exchange, as show --json has it, with its bytes"
    is_binary = False

    def render(self, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[str]:
        """Yield a line for each exchange."""
        document = Documents(conversation)
        for rebuilt in exchanges:
            line = document(rebuilt)
            yield (line if line.isascii() else line.translate(_LINE_ENDS)) + "\n"


class Documents:
    """Makes a JSON document of each exchange; a message that comes again is written once.

    :param conversation: that they are all of, where there is one.
    :param indent: how far each level is moved to the right, for people; None for one line.
    """

    def __init__(self, conversation: Conversation | None, indent: int | None = None) -> None:
        self._conversation, self._indent = conversation, indent
        self._message = Again(lambda message: self._text(message_json(message), levels=2), len)

    def __call__(self, rebuilt: Rebuilt) -> str:
        """Return the document."""
        place = place_of(rebuilt, self._conversation)
        value: dict[str, Any] = as_json(
            rebuilt,
            conversation=place.conversation,
            parent=place.parent,
            relation=relation_of(rebuilt, self._conversation),
            asked=self._message,
            payload=lambda payload: payload,  # made plain where it is written, if it has to be
        )
        value["recording"] = _recording(rebuilt.exchange)
        if rebuilt.links:
            value["links"] = [one.as_json() for one in rebuilt.links]
        value |= {"imported": None, "imported_at": None} | origin_json(rebuilt.exchange)
        return self._joined(
            (
                f"{json.dumps(name)}: {self._messages(held) if name == 'messages' else self._text(held)}"
                for name, held in present(**value).items()
            ),
            "{}",
            level=0,
        )

    def _messages(self, shown: Iterable[str | dict[str, Any]]) -> str:
        texts = (one if isinstance(one, str) else self._text(one, levels=2) for one in shown)
        return self._joined(texts, "[]", level=1)

    def _text(self, value: Any, levels: int = 1) -> str:
        text = written(value, self._indent)
        return text if self._indent is None else text.replace("\n", "\n" + " " * self._indent * levels)

    def _joined(self, texts: Iterable[str], ends: str, *, level: int) -> str:
        """As :func:`json.dumps` puts the members of an object or an array together."""
        if self._indent is None:
            return f"{ends[0]}{', '.join(texts)}{ends[1]}"
        line = "\n" + " " * self._indent * level
        inner = f",{line}{' ' * self._indent}".join(texts)
        return f"{ends[0]}{line}{' ' * self._indent}{inner}{line}{ends[1]}" if inner else ends


def _recording(exchange: Exchange) -> dict[str, Any]:
    """Return the bytes of both bodies, where the chunks were cut, when each arrived, and by what they were read."""
    request, response = exchange.request, exchange.response
    versions = present(
        request=request.version or None if request else None, response=response.version or None if response else None
    )
    return present(
        **_body("request_body", request.payload if request else b""),
        **_body("response_body", exchange.body),
        chunks=None if exchange.lacks("chunk_boundaries") else list(cuts(exchange)),
        head_ns=exchange.head_ns,
        end_ns=exchange.duration_ns,
        http=versions or None,
        reader=reader_mark(),
    )


def cuts(exchange: Exchange) -> Iterator[dict[str, int]]:
    """Yield each chunk of a body: where it ends, and nanoseconds after the request, where that is known."""
    timed = not exchange.lacks("chunk_times")
    for chunk in exchange.chunks:
        yield {"end": chunk.end} | ({"elapsed_ns": chunk.mono_ns - exchange.origin_ns} if timed else {})


def _body(name: str, body: bytes) -> dict[str, str]:
    if not body:
        return {}
    try:
        return {name: body.decode("utf-8")}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(body).decode("ascii")}


FORMAT = JsonLines()
