"""The content blocks of Bedrock Converse: of streams, of documents and of requests.

Source: the service model of bedrock-runtime in botocore. A block is an object that says what it is by the name of its
one field: ``text``, ``reasoningContent``, ``toolUse``, ``toolResult``, ``citationsContent``, ``image`` … Bytes are
base64. A call with the type ``server_tool_use`` is run by the provider.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final

from recorder.core.json_sources import sources_of
from recorder.core.messages import CitationPart, MediaPart, Message
from recorder.dialects.content_blocks import Block, Blocks, result_text, tool_result
from recorder.dialects.facts import Facts
from recorder.dialects.folding import Place, text_or_none
from recorder.dialects.media import joined_base64, media

_MEDIA: Final = {"image": "image", "document": "file", "video": "video", "audio": "audio"}
_CALL_OWN: Final = frozenset({"toolUseId", "name", "input"})
_RESULT_OWN: Final = frozenset({"toolUseId", "content", "status"})
_MESSAGE_OWN: Final = frozenset({"role", "content"})
_DELTAS: Final = frozenset({"text", "toolUse", "reasoningContent", "toolResult", "image"})


class ConverseBlocks(Blocks):
    """The blocks of one message."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._growing: dict[Block, tuple[str, dict[str, Any]]] = {}  # results and images, as what they grow to

    def content(self, content: Any, place: Place) -> None:
        """Take the whole ``content`` of a message."""
        if isinstance(content, str):
            self.whole().text.add(content, place)
        elif isinstance(content, list):
            for item in content:
                self._fill(self.whole(), item, place)
        elif content is not None:
            self.extras.setdefault("content", []).append(content)

    def open(self, index: Any, start: Any, place: Place) -> None:
        """Take the ``start`` of a block."""
        block = self.start(index, place)
        if not isinstance(start, dict):
            self._lose("start_malformed", f"the start of a block is a {type(start).__name__}", place)
            return
        for name, value in start.items():
            if name == "toolUse" and isinstance(value, dict):
                _call(block, value, self._as_sent(value, "input"), place, streamed=True)
            elif name in ("toolResult", "image") and isinstance(value, dict):
                self._growing[block] = (name, dict(self._exact(value)))
                block.origin.add(place)
            else:
                tell = self._lose if name == "toolUse" else self._note
                tell("unknown_start", f"a block of the kind {name!r}", place)
                self.extras.setdefault(name, []).append(value)

    def delta(self, index: Any, delta: Any, place: Place) -> None:
        """Take the ``delta`` of a block."""
        if not isinstance(delta, dict):
            self._lose("delta_malformed", f"a delta is a {type(delta).__name__}", place)
            return
        for name, value in delta.items():
            starts = name in ("toolUse", "toolResult", "image")
            block = self.at(index, place, start_owed=starts, of_call=name == "toolUse")
            if name == "text" and isinstance(value, str):
                block.text.add(value, place)
            elif name == "toolUse" and isinstance(value, dict) and isinstance(value.get("input"), str):
                self.argue(block, value["input"], place)
            elif name == "reasoningContent" and isinstance(value, dict):
                self._reasoning(block, value, place)
            elif name == "citation":
                block.citations.append(_citation(value, place))
            elif name in ("toolResult", "image") and isinstance(value, list | dict):
                self._grow(block, name, value, place)
            else:
                # What a later version sends for another block is not about a call.
                tell = self._lose if name in _DELTAS or block.calls else self._note
                tell("unknown_delta", f"a delta of the kind {name!r}", place)
                self.extras.setdefault(name, []).append(value)

    def parts(self, *, ended: bool, finishes: Collection[str] = ()) -> list[Any]:
        """Return the parts of all blocks: see :meth:`Blocks.parts`."""
        for block, (name, value) in self._growing.items():
            place = block.origin.ranges[0]
            if name == "image":
                block.whole.append(_image(value, place))
            else:
                _result(block, value, place)
            block.whole[-1] = replace(block.whole[-1], ranges=block.origin.ranges)
        self._growing.clear()
        return super().parts(ended=ended, finishes=finishes)

    def _fill(self, block: Block, value: Any, place: Place) -> None:
        """Take a whole block."""
        known = False
        for name, held in value.items() if isinstance(value, dict) else ():
            if name == "text" and isinstance(held, str):
                block.text.add(held, place)
            elif name == "toolUse" and isinstance(held, dict):
                _call(block, held, self._as_sent(held, "input"), place, streamed=False)
            elif name == "toolResult" and isinstance(held, dict):
                _result(block, self._exact(held), place)
            elif name == "reasoningContent" and isinstance(held, dict):
                self._reasoning(block, held, place)
            elif name == "citationsContent" and isinstance(held, dict):
                _cited(block, held, place)
            elif name in _MEDIA and (found := _media(name, held, place)) is not None:
                block.whole.append(found)
            else:
                continue
            known = True
        if not known:
            kind = next(iter(value)) if isinstance(value, dict) and len(value) == 1 else "content"
            block.other = (kind, self._exact(value))
            block.origin.add(place)

    def _reasoning(self, block: Block, value: dict[str, Any], place: Place) -> None:
        """Take reasoning: of a whole block its text and signature are under ``reasoningText``."""
        fold, inner = block.reasoning, value.get("reasoningText")
        fold.add("", place)
        for name, held in {**value, **(inner if isinstance(inner, dict) else {})}.items():
            if name == "text" and isinstance(held, str):
                fold.add(held, place)
            elif name == "signature" and isinstance(held, str):
                fold.signature = held or fold.signature
            elif name == "redactedContent" and isinstance(held, str):
                fold.encrypted = held if fold.encrypted is None else joined_base64((fold.encrypted, held))
            elif held is not None and not (name == "reasoningText" and isinstance(held, dict)):
                fold.details.append({name: held})

    def _grow(self, block: Block, name: str, value: Any, place: Place) -> None:
        _, held = self._growing.setdefault(block, (name, {}))
        block.origin.add(place)
        if isinstance(value, list):
            content = held.setdefault("content", [])
            if isinstance(content, list):
                content.extend(self._exact(value))
                return
        elif name == "image":
            held.setdefault("pieces", []).append(value)
            return
        self.extras.setdefault(name, []).append(value)


def _call(block: Block, value: dict[str, Any], sent: str | None, place: Place, *, streamed: bool) -> None:
    identity, name, arguments = value.get("toolUseId"), value.get("name"), value.get("input")
    call = block.begin_call(identity, name, arguments, sent, place, streamed=streamed)
    call.extras.update(
        (key, held)
        for key, held in value.items()
        if key not in _CALL_OWN and held is not None and (key, held) != ("type", "tool_use")
    )


def _result(block: Block, value: dict[str, Any], place: Place) -> None:
    text, only_text = result_text(value.get("content"), lambda item: isinstance(item, dict) and item.keys() == {"text"})
    failed = {"success": False, "error": True}.get(str(value.get("status")))
    only_text = only_text and _RESULT_OWN.issuperset(value)
    block.whole.append(tool_result(value.get("toolUseId"), text, failed, None if only_text else value, place))


def _cited(block: Block, value: dict[str, Any], place: Place) -> None:
    for item in value["content"] if isinstance(value.get("content"), list) else ():
        if isinstance(item, dict) and isinstance(item.get("text"), str):
            block.text.add(item["text"], place)
    for citation in value["citations"] if isinstance(value.get("citations"), list) else ():
        block.citations.append(_citation(citation, place))


def _citation(value: Any, place: Place) -> CitationPart:
    held = value if isinstance(value, dict) else {}
    text, _ = result_text(held.get("sourceContent"), lambda item: True)
    location = held.get("location")
    web = location.get("web") if isinstance(location, dict) else None
    url = web.get("url") if isinstance(web, dict) else held.get("source")
    title = held.get("title")
    return CitationPart(
        value,
        text,
        text_or_none(url),
        text_or_none(title),
        (place,),
    )


def _media(name: str, value: Any, place: Place) -> MediaPart | None:
    """Media by reference: inline bytes, or an object of S3. Documents that are text are none."""
    source = value.get("source") if isinstance(value, dict) else None
    if not isinstance(source, dict) or not ("bytes" in source or "s3Location" in source):
        return None
    where = source.get("s3Location")
    extras = {key: held for key, held in value.items() if key not in ("format", "source") and held is not None}
    form = value.get("format")
    return media(
        _MEDIA[name],
        place,
        media_type=f"{name}/{form}" if isinstance(form, str) and name != "document" else None,
        url=where.get("uri") if isinstance(where, dict) else None,
        data=source.get("bytes"),
        extras={**extras, "format": form} if name == "document" and form else extras,
    )


def _image(value: dict[str, Any], place: Place) -> MediaPart:
    """An image that came in pieces: the format in its start, bytes or an error in its deltas."""
    grown: dict[str, Any] = {key: held for key, held in value.items() if key != "pieces"}
    data: str | None = None
    for piece in value.get("pieces", ()):
        source = piece.get("source")
        grown.update((key, held) for key, held in piece.items() if key != "source")
        if isinstance(source, dict) and isinstance(source.get("bytes"), str):
            data = source["bytes"] if data is None else joined_base64((data, source["bytes"]))
        elif source is not None:
            grown["source"] = source
    source = grown.get("source")
    if data is not None:
        source = {"bytes": data}
    return _media("image", {**grown, "source": source}, place) or media("image", place, extras=grown)


def read_message(message: dict[str, Any]) -> Message:
    """Return one message of a request."""
    blocks = ConverseBlocks(Facts(sources_of(message)))
    blocks.content(message.get("content"), (0, 0))
    role = message.get("role")
    extras = {key: value for key, value in message.items() if key not in _MESSAGE_OWN and value is not None}
    return Message(
        text_or_none(role),
        tuple(blocks.parts(ended=True)),
        extras={**blocks.extras, **extras},
    )
