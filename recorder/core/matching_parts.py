"""Forms with files as they are compared: part by part, whatever their boundary, without what is masked in them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence, Set
from contextlib import suppress
from typing import Any, Final

from recorder.core.json_value import MASK, MISSING, json_of, mask, parsed, short, steps_of, without
from recorder.core.multipart import Part, whole_parts_of, written
from recorder.core.redaction import MARKER

_MARK: Final = b"~redacted~"


def canonical_form(payload: bytes, pointers: Collection[str]) -> bytes | None:
    """Return a form with files in the form in which equal ones are equal bytes; None where the payload is none.

    :param pointers: what is masked: ``/NAME`` is a part, ``/NAME/…`` a member of the JSON in it.
    """
    parts = whole_parts_of(payload)
    if parts is None:
        return None
    return written(parts, [_content(payload, part, pointers) for part in parts])


def _content(payload: bytes, part: Part, pointers: Collection[str]) -> bytes:
    """Return the content of a part with a mask for what is masked, JSON with such members as a value."""
    content = payload[part.start : part.end]
    inside = [steps[1:] for steps in map(steps_of, pointers) if steps[:1] == [part.name]]
    if [] in inside:
        return MASK.encode("ascii")
    return _unmarked(_masked(content, inside) if inside else content)


def _masked(content: bytes, places: Collection[Sequence[str]]) -> bytes:
    """Return JSON, or lines of JSON, with a mask at these places; anything else as it is."""
    texts = [content] if parsed(content) is not MISSING else content.splitlines(keepends=True)
    found = []
    for text in texts:
        value = parsed(text)
        if value is not MISSING:
            with suppress(RecursionError):  # what is nested too deeply is no JSON, here as where it is read
                mask(value, places)
                text = json_of(value).encode("ascii")
        found.append(text)
    return b"".join(found) if len(texts) == 1 else b"\n".join(found)


def _unmarked(content: bytes) -> bytes:
    if _MARK not in content:
        return content
    return MARKER.sub(MASK, content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def form_differences(recorded: bytes, asked: bytes, names: Set[str]) -> Iterator[str] | None:
    """Return the parts in which two forms with files differ, as ``body part "NAME": recorded != asked``.

    :param recorded: as :func:`canonical_form` returns it; *asked* likewise.
    :param names: of the fields whose live values are never shown.
    :return: None where one of them is no such form.
    """
    left, right = whole_parts_of(recorded), whole_parts_of(asked)
    if left is None or right is None:
        return None
    return _part_differences((left, recorded), (right, asked), names)


_Parts = tuple[list[Part], bytes]


def _part_differences(left: _Parts, right: _Parts, names: Set[str]) -> Iterator[str]:
    for index in range(max(len(left[0]), len(right[0]))):
        one = left[0][index] if index < len(left[0]) else None
        other = right[0][index] if index < len(right[0]) else None
        if one is None or other is None:
            shown = "(absent)" if one is None else _told(one), "(absent)" if other is None else _told(other)
            yield f"body part {index + 1}: {shown[0]} != {shown[1]}"
            continue
        name = f"body part {short(one.name)}" if one.name == other.name else f"body part {index + 1}"
        for what in ("name", "filename", "kind", "headers"):
            if getattr(one, what) != getattr(other, what):
                told = "content type" if what == "kind" else what
                yield f"{name}, {told}: {_shown(getattr(one, what))} != {_shown(getattr(other, what))}"
        contents = left[1][one.start : one.end], right[1][other.start : other.end]
        if contents[0] != contents[1]:
            hidden = other.name in names
            yield f"{name}: {_content_shown(contents[0])} != {MASK if hidden else _content_shown(contents[1], names)}"


def _told(part: Part) -> str:
    return f"{short(part.name)}{f', a file named {short(part.filename)}' if part.filename is not None else ''}"


def _shown(value: Any) -> str:
    return "(absent)" if value in (None, "", ()) else short(value)


def _content_shown(content: bytes, names: Set[str] = frozenset()) -> str:
    size = f"{len(content):,} bytes"
    value = parsed(content)
    if value is not MISSING:
        return f"{short(without(value, names))} ({size})"
    try:
        return f"{short(content.decode('utf-8'))} ({size})"
    except UnicodeDecodeError:
        return f"{short(content)} ({size})"
