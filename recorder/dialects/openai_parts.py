"""Parts of OpenAI chat messages that are no plain text: media, sound that comes in pieces, citations, thoughts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from recorder.core.json_text import whole_text
from recorder.core.messages import CitationPart, MediaPart
from recorder.dialects.folding import Origin, Place, nonempty, text_or_none
from recorder.dialects.media import joined_base64, media

_DETAIL_TEXTS: Final = ("text", "summary", "data")
_CITATIONS: Final = ("url_citation", "file_citation")


def media_part(kind: Any, item: Any, place: Place) -> MediaPart | None:
    """Return an image, a sound or a file by reference; None where *item* is none.

    :param kind: the item's ``type``, which is also the name of the field that holds it.
    """
    held = item.get(kind) if isinstance(item, dict) and isinstance(kind, str) else None
    if kind == "image_url":
        url = held.get("url") if isinstance(held, dict) else held
        extras = {key: value for key, value in held.items() if key != "url"} if isinstance(held, dict) else {}
        return media("image", place, url=url, extras=extras) if isinstance(url, str) else None
    if not isinstance(held, dict):
        return None
    if kind == "input_audio":
        named = held.get("format")
        return media("audio", place, media_type=f"audio/{named}" if named else None, data=held.get("data"))
    if kind == "file":
        extras = {"filename": held["filename"]} if held.get("filename") else {}
        return media("file", place, url=held.get("file_data"), file_id=held.get("file_id"), extras=extras)
    return None


def citation(value: Any, place: Place) -> CitationPart | None:
    """Return an annotation as a citation; None where it is something else.

    The fields are in a field of the annotation's ``type`` (OpenAI, OpenRouter) or in the annotation itself.
    """
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in _CITATIONS:
        return None
    held = value.get(kind)
    known: Mapping[str, Any] = held if isinstance(held, dict) else value
    text, url, title = known.get("content"), known.get("url"), known.get("title") or known.get("filename")
    return CitationPart(
        value,
        nonempty(text),
        text_or_none(url),
        text_or_none(title),
        (place,),
    )


def thought(kind: Any, item: Mapping[str, Any]) -> str | None:
    """Return the text of reasoning among the parts of a content; None where it has none.

    Mistral: ``thinking``, a text or a list of text parts; Databricks: ``reasoning`` with a ``summary`` of text parts.
    """
    value = item.get("thinking") if kind == "thinking" else item.get("summary") if kind == "reasoning" else None
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, dict) and isinstance(one.get("text"), str) for one in value):
        return "".join(one["text"] for one in value)
    return None


def signature(item: Mapping[str, Any]) -> str | None:
    """Return the signature of Databricks' reasoning, which is in one of the parts of its ``summary``."""
    summary = item.get("summary")
    found = [one.get("signature") for one in summary if isinstance(one, dict)] if isinstance(summary, list) else []
    return next((one for one in reversed(found) if isinstance(one, str) and one), None)


class DetailsFold:
    """OpenRouter's ``reasoning_details``: entries that are whole, or pieces of them.

    In a stream a piece continues the entry of its type, its index and, where both have one, its id, unless it is signed
    otherwise. In a whole message nothing is a piece.

    :ivar entries: as they are so far.
    :ivar origin: where they came from.
    """

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.origin = Origin()
        self._alike: dict[tuple[int | None, str], list[dict[str, Any]]] = {}

    def take(self, entry: Mapping[str, Any], *, whole: bool) -> None:
        """Take an entry, or with *whole* false a piece of one."""
        index = entry.get("index")
        alike = self._alike.setdefault((index if isinstance(index, int) else None, str(entry.get("type"))), [])
        held = None if whole else _continued(alike, entry)
        if held is None:
            held = {}
            alike.append(held)
            self.entries.append(held)
        for name, value in entry.items():
            if name in _DETAIL_TEXTS and isinstance(value, str) and isinstance(held.get(name), str):
                held[name] += value
            elif value is not None:
                held[name] = value

    @property
    def text(self) -> str:
        """What of it can be read."""
        texts = [entry.get(name) for entry in self.entries for name in ("text", "summary")]
        return whole_text("".join(text for text in texts if isinstance(text, str)))


def _continued(alike: list[dict[str, Any]], entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the entry that a piece continues; None where it begins one."""
    if not alike:
        return None
    identity, held = nonempty(entry.get("id")), alike[-1]
    if identity is not None and nonempty(held.get("id")) not in (None, identity):
        named = next((one for one in alike if one.get("id") == identity), None)
        if named is None:
            return None
        held = named
    signed = nonempty(held.get("signature")), nonempty(entry.get("signature"))
    return None if None not in signed and signed[0] != signed[1] else held


class SoundFold:
    """The ``audio`` of a message: base64 and transcript in pieces, its id and when it expires."""

    def __init__(self) -> None:
        self._data: list[str] = []
        self._transcript: list[str] = []
        self._fields: dict[str, Any] = {}
        self._origin = Origin()

    def take(self, value: Mapping[str, Any], place: Place) -> None:
        """Take one ``audio``."""
        self._origin.add(place)
        for key, item in value.items():
            if key == "data" and isinstance(item, str):
                self._data.append(item)
            elif key == "transcript" and isinstance(item, str):
                self._transcript.append(item)
            elif item is not None:
                self._fields[key] = item

    def __bool__(self) -> bool:
        return bool(self._data or self._transcript or self._fields)

    def part(self) -> MediaPart:
        """Return it by reference; the transcript is among its extras."""
        fields = dict(self._fields)
        identity = fields.pop("id", None)
        if self._transcript:
            fields["transcript"] = "".join(self._transcript)
        data = joined_base64(self._data) if self._data else None
        part = media("audio", (0, 0), file_id=identity, data=data, extras=fields)
        return replace(part, ranges=self._origin.ranges)
