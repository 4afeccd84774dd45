"""The content blocks of Anthropic Messages: of streams, of documents and of requests.

Source: Anthropic's Messages API reference and the types of its Python SDK. A block says what it is by its
``type``. Calls are every ``…tool_use`` (``server_tool_use`` and ``mcp_tool_use`` are run by the provider: the type is
in the call's extras), results every ``…tool_result``. The signature of thinking comes whole and replaces the one
before. Compaction has a form of its own on the wire and none here: it is kept as sent.
"""

from __future__ import annotations

from typing import Any, Final

from recorder.core.json_sources import sources_of
from recorder.core.messages import CitationPart, MediaPart, Message
from recorder.dialects.content_blocks import Block, Blocks, result_text, tool_result
from recorder.dialects.facts import Facts
from recorder.dialects.folding import Place, text_or_none
from recorder.dialects.media import media

_TEXT_OWN: Final = frozenset({"type", "text", "citations"})
_THINKING_OWN: Final = frozenset({"type", "thinking", "signature", "data"})
_CALL_OWN: Final = frozenset({"id", "name", "input"})
_RESULT_OWN: Final = frozenset({"type", "tool_use_id", "content", "is_error"})
_MESSAGE_OWN: Final = frozenset({"role", "content"})
_DELTA_FIELDS: Final = {
    "text_delta": "text",
    "input_json_delta": "partial_json",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "citations_delta": "citation",
}


class MessageBlocks(Blocks):
    """The blocks of one message."""

    def content(self, content: Any, place: Place, *, inside: bool = True) -> None:
        """Take the whole ``content`` of a message: a text, or a list of blocks.

        :param inside: the message is an answer, in which empty content is none.
        """
        if isinstance(content, str):
            if content or not inside:
                self.whole().text.add(content, place)
        elif isinstance(content, list):
            for item in content:
                self.fill(self.whole(), item, place, streamed=False)
        elif content is not None:
            self.extras.setdefault("content", []).append(content)

    def open(self, index: Any, content: Any, place: Place) -> None:
        """Take the ``content_block`` of a start event."""
        if not isinstance(content, dict):
            self._lose("block_malformed", f"a block is a {type(content).__name__}", place)
        self.fill(self.start(index, place), content, place, streamed=True)

    def fill(self, block: Block, value: Any, place: Place, *, streamed: bool) -> None:
        """Take what a block is: a ``content_block`` of its start event, or a whole block.

        :param streamed: its deltas come later: empty fields stand for what is to come.
        """
        kind = value.get("type") if isinstance(value, dict) else None
        if kind == "text" and isinstance(value.get("text"), str):
            block.text.add(value["text"], place)
            for citation in value["citations"] if isinstance(value.get("citations"), list) else ():
                block.citations.append(_citation(citation, place))
            self._rest(value, _TEXT_OWN)
        elif kind in ("thinking", "redacted_thinking"):
            self._thinking(block, value, place)
        elif isinstance(kind, str) and kind.endswith("tool_use"):
            _call(block, kind, value, self._as_sent(value, "input"), place, streamed=streamed)
        elif isinstance(kind, str) and kind.endswith("tool_result"):
            _result(block, kind, self._exact(value), place)
        elif (found := _media(kind, value, place)) is not None:
            block.whole.append(found)
        elif isinstance(value, str):
            block.text.add(value, place)
        else:
            block.other = (kind if isinstance(kind, str) and kind else "content", self._exact(value))
            block.origin.add(place)

    def delta(self, index: Any, delta: Any, place: Place) -> None:
        """Take the ``delta`` of a block."""
        kind = delta.get("type") if isinstance(delta, dict) else None
        if kind == "text_delta" and len(delta) == 2:  # the usual one, of which nothing is to be said
            piece, known = delta.get("text"), self._last.get(index) if type(index) is int else None
            if known is not None and not known.closed and isinstance(piece, str):
                known.text.add(piece, place)
                return
        if not isinstance(kind, str):
            self._lose("delta_malformed", f"a delta is {delta!r:.200}", place)
            return
        block = self.at(index, place, of_call=kind == "input_json_delta")
        piece = delta.get(_DELTA_FIELDS.get(kind, ""))
        if kind == "text_delta" and isinstance(piece, str):
            block.text.add(piece, place)
        elif kind == "input_json_delta" and isinstance(piece, str):
            self.argue(block, piece, place)
        elif kind == "thinking_delta" and isinstance(piece, str):
            block.reasoning.add(piece, place)
        elif kind == "signature_delta" and isinstance(piece, str):
            block.reasoning.signature = piece
            block.reasoning.origin.add(place)
        elif kind == "citations_delta" and piece is not None:
            block.citations.append(_citation(piece, place))
        elif kind == "compaction_delta" and block.other is not None and isinstance(block.other[1], dict):
            fields = {key: value for key, value in delta.items() if key != "type"}
            block.other = (block.other[0], {**block.other[1], **fields})
            block.origin.add(place)
        else:
            # What a later version sends for another block is not about a call.
            tell = self._lose if kind in _DELTA_FIELDS or block.calls else self._note
            tell("unknown_delta", f"a delta of the type {kind!r}", place)
            self.extras.setdefault(kind, []).append(delta)
            return
        if len(delta) > 2 and kind != "compaction_delta":
            self._rest(delta, frozenset({"type", _DELTA_FIELDS[kind]}))

    def _thinking(self, block: Block, value: dict[str, Any], place: Place) -> None:
        thought, signature, sealed = value.get("thinking"), value.get("signature"), value.get("data")
        block.reasoning.add(thought if isinstance(thought, str) else "", place)
        if signature and isinstance(signature, str):
            block.reasoning.signature = signature
        if sealed and isinstance(sealed, str):
            block.reasoning.encrypted = sealed
        self._rest(value, _THINKING_OWN)

    def _rest(self, value: dict[str, Any], own: frozenset[str]) -> None:
        for key, held in value.items():
            if key not in own and held is not None:
                self.extras.setdefault(key, []).append(held)


def _call(block: Block, kind: str, value: dict[str, Any], sent: str | None, place: Place, *, streamed: bool) -> None:
    call = block.begin_call(value.get("id"), value.get("name"), value.get("input"), sent, place, streamed=streamed)
    fields = {key: held for key, held in value.items() if key not in _CALL_OWN and held is not None}
    if kind == "tool_use":
        del fields["type"]  # the usual one; another one says who runs the tool
    call.extras.update(fields)


def _result(block: Block, kind: str, value: dict[str, Any], place: Place) -> None:
    content = value.get("content")
    text, only_text = result_text(content, lambda item: isinstance(item, dict) and item.keys() == {"type", "text"})
    failed = value.get("is_error")
    if isinstance(content, dict):
        if isinstance(content.get("text"), str):
            text = content["text"]
        if str(content.get("type")).endswith("_error"):
            failed = True
    only_text = only_text and kind == "tool_result" and _RESULT_OWN.issuperset(value)
    block.whole.append(tool_result(value.get("tool_use_id"), text, failed, None if only_text else value, place))


def _citation(value: Any, place: Place) -> CitationPart:
    held = value if isinstance(value, dict) else {}
    text, url = held.get("cited_text"), held.get("url") or held.get("source")
    title = held.get("title") or held.get("document_title")
    return CitationPart(
        value,
        text_or_none(text),
        text_or_none(url),
        text_or_none(title),
        (place,),
    )


def _media(kind: Any, value: Any, place: Place) -> MediaPart | None:
    """An image or a document, by reference; of a document that is text in the request, only what it is called."""
    source = value.get("source") if isinstance(value, dict) else None
    if kind == "container_upload" and isinstance(value.get("file_id"), str):
        return media("file", place, file_id=value["file_id"])
    if kind not in ("image", "document") or not isinstance(source, dict):
        return None
    if source.get("type") not in ("base64", "url", "file"):
        return None
    extras = {key: held for key, held in value.items() if key not in ("type", "source") and held is not None}
    return media(
        "image" if kind == "image" else "file",
        place,
        media_type=source.get("media_type"),
        url=source.get("url"),
        file_id=source.get("file_id"),
        data=source.get("data"),
        extras=extras,
    )


def read_message(message: dict[str, Any]) -> Message:
    """Return one message of a request."""
    blocks = MessageBlocks(Facts(sources_of(message)))
    blocks.content(message.get("content"), (0, 0), inside=False)
    role = message.get("role")
    extras = {key: value for key, value in message.items() if key not in _MESSAGE_OWN and value is not None}
    for key, values in blocks.extras.items():
        extras.setdefault(key, values)
    return Message(
        text_or_none(role),
        tuple(blocks.parts(ended=True)),
        extras=extras,
    )
