"""When is a request the one that was recorded? Strict: method, URL and payload, JSON by structure.

Both sides are redacted before they are compared, and every marker is masked: a marker equals any
value at its place. The places that a recording has redacted are masked in the live request too, so
that a rule which only the recording knew does not have to be repeated for the replay.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Set
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote_plus

from recorder.core.credentials import is_credential_parameter
from recorder.core.json_numbers import Exact, number
from recorder.core.redaction import FORM, FORM_FIELD, MARKER

_MASK: Final = "~redacted~"
_USERINFO: Final = re.compile(r"//[^/?#]*@")
_FIELD: Final = re.compile(r"([?&;])([^=&;#]+)=([^&;#]*)")
_MISSING: Final = object()
_encode: Final = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode


def match_key(method: str, url: str, body: bytes, places: Iterable[str] = ()) -> bytes:
    """Return the fingerprint of a request: 32 bytes, the same for requests that match.

    :param url: absolute, redacted or not.
    :param body: the payload; JSON is compared as a value (member order, white space and how a number is
        written do not count; of members with one name, the last one counts), anything else byte by byte.
    :param places: what the recording has redacted, as in :class:`recorder.core.redaction.Redacted`.
    """
    places = frozenset(places)
    parts = (method.upper(), canonical_url(url, places), canonical_body(body, places))
    digest = hashlib.sha256(b"recorder/match/v1\0")
    for part in parts:
        encoded = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.digest()


def canonical_url(url: str, places: Iterable[str] = ()) -> str:
    """Return *url* without userinfo and with every credential masked."""
    named = {unquote_plus(place[4:]) for place in places if place.startswith("url:")}

    def masked(match: re.Match[str]) -> str:
        name = unquote_plus(match.group(2))
        if name in named or is_credential_parameter(name) or MARKER.search(match.group(3)):
            return f"{match.group(1)}{match.group(2)}={_MASK}"
        return match.group(0)

    url = url.partition("#")[0]
    return _FIELD.sub(masked, _USERINFO.sub("//", url, count=1))


def canonical_body(body: bytes, places: Iterable[str] = ()) -> bytes:
    """Return the payload in the form in which equal payloads are equal bytes."""
    pointers = _pointers(places)
    value = _parsed(body)
    if value is not _MISSING:
        for pointer in pointers:
            _mask_at(value, _steps(pointer))
        with suppress(RecursionError):  # what is nested too deeply is no JSON, here as where it is read
            return MARKER.sub(_MASK, _text(value)).encode("ascii")
    if "" in pointers:
        return b""
    text = _masked_form(body.decode("utf-8", "surrogateescape"), {pointer[1:] for pointer in pointers})
    return MARKER.sub(_MASK, text).encode("utf-8", "surrogateescape")


def _text(value: Any) -> str:
    try:
        return _encode(value)
    except TypeError:  # a number that json does not write
        return _written(value)


def _written(value: Any) -> str:
    """Write a value as :data:`_encode` does, numbers of any size included."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{_encode(name)}:{_written(value[name])}' for name in sorted(value))}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return value.canonical if isinstance(value, Exact) else _encode(value)


def _pointers(places: Iterable[str]) -> list[str]:
    return [place[5:] for place in places if place.startswith("body:")]


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _masked_form(text: str, names: Set[str]) -> str:
    """Return a form without the values of its fields of these names; anything else as it is."""
    if not names or not FORM.fullmatch(text):
        return text

    def masked(match: re.Match[str]) -> str:
        return f"{match.group(1)}{match.group(2)}={_MASK}" if unquote_plus(match.group(2)) in names else match.group(0)

    return FORM_FIELD.sub(masked, text)


_decode = json.JSONDecoder(parse_float=number).decode


def _parsed(body: bytes) -> Any:
    if body.lstrip()[:1] not in (b"{", b"["):
        return _MISSING
    try:
        return _decode(body.decode(json.detect_encoding(body), "surrogatepass"))
    except (ValueError, RecursionError):
        return _MISSING


def _mask_at(value: Any, steps: list[str]) -> None:
    for step in steps[:-1]:
        value = _member(value, step)
    if steps and _member(value, steps[-1]) is not _MISSING:
        value[steps[-1] if isinstance(value, dict) else int(steps[-1])] = _MASK


def _member(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step, _MISSING)
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    return _MISSING


def differences(
    recorded: tuple[str, str, bytes],
    asked: tuple[str, str, bytes],
    places: Iterable[str] = (),
    hidden: Iterable[str] = (),
) -> list[str]:
    """Return the fields in which two requests differ, as ``field: recorded != asked``.

    :param recorded: method, URL and payload of the recording.
    :param asked: the same of the live request.
    :param places: what the recording has redacted: equal to any value.
    :param hidden: places whose live values are never shown, since some recording has redacted them. Of those in
        payloads the name counts, wherever it stands: the rule is not known here, only where it was met.
    """
    places, hidden = frozenset(places), frozenset(hidden)
    found = []
    if recorded[0].upper() != asked[0].upper():
        found.append(f"method: {recorded[0]} != {asked[0]}")
    if canonical_url(recorded[1], places) != canonical_url(asked[1], places):
        found.append(f"url: {canonical_url(recorded[1], places)} != {canonical_url(asked[1], places | hidden)}")
    try:
        return [*found, *_body_differences(recorded[2], asked[2], places, hidden)]
    except RecursionError:
        return [*found, "body: one of them is nested too deeply to be shown"]


def _body_differences(recorded: bytes, asked: bytes, places: Set[str], hidden: Set[str]) -> list[str]:
    values = _parsed(recorded), _parsed(asked)
    names = _names(hidden)
    if _MISSING in values:
        if canonical_body(recorded, places) == canonical_body(asked, places):
            return []
        return [f"body: {_short(recorded)} != {_shown_payload(asked, values[1], hidden, names)}"]
    for value in values:
        for pointer in _pointers(places):
            _mask_at(value, _steps(pointer))
    return list(_value_differences("body", *values, names, secret=False))


def _names(places: Iterable[str]) -> frozenset[str]:
    """The last names of the places in payloads, as JSON and as a form have them."""
    pointers = [pointer for pointer in _pointers(places) if pointer]
    names = {name for pointer in pointers for name in (pointer[1:], _named(_steps(pointer)))}
    return frozenset(names - {""})


def _named(steps: list[str]) -> str:
    return next((step for step in reversed(steps) if not step.isdecimal()), "")


def _shown_payload(payload: bytes, value: Any, hidden: Set[str], names: Set[str]) -> str:
    """A live payload for people, without what may not be shown of it."""
    if value is not _MISSING:
        return _short(_without(value, names))
    form = _masked_form(payload.decode("utf-8", "surrogateescape"), names).encode("utf-8", "surrogateescape")
    if "body:" in hidden or (names and form == payload and not FORM.fullmatch(payload.decode("latin-1"))):
        return f"{_MASK} ({len(payload)} bytes)" if payload else _short(payload)
    return _short(form)


def _without(value: Any, names: Set[str]) -> Any:
    if isinstance(value, dict):
        return {name: _MASK if name in names else _without(inner, names) for name, inner in value.items()}
    return [_without(inner, names) for inner in value] if isinstance(value, list) else value


def _value_differences(path: str, recorded: Any, asked: Any, names: Set[str], *, secret: bool) -> Iterator[str]:
    if isinstance(recorded, dict) and isinstance(asked, dict):
        for name in sorted({*recorded, *asked}):
            pair = recorded.get(name, _MISSING), asked.get(name, _MISSING)
            yield from _value_differences(f"{path}.{name}", *pair, names, secret=secret or name in names)
    elif isinstance(recorded, list) and isinstance(asked, list):
        for index in range(max(len(recorded), len(asked))):
            left = recorded[index] if index < len(recorded) else _MISSING
            right = asked[index] if index < len(asked) else _MISSING
            yield from _value_differences(f"{path}[{index}]", left, right, names, secret=secret)
    elif isinstance(recorded, str) and MARKER.fullmatch(recorded):
        return
    elif type(recorded) is not type(asked) or _plain(recorded) != _plain(asked):
        shown = _MASK if secret and asked is not _MISSING else _short(_without(asked, names))
        yield f"{path}: {_short(recorded)} != {shown}"


def _plain(value: Any) -> Any:
    return MARKER.sub(_MASK, value) if isinstance(value, str) else value


def _short(value: Any, limit: int = 60) -> str:
    if value is _MISSING:
        return "(absent)"
    text = repr(value) if isinstance(value, bytes | Exact) else json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= limit else text[: limit - 1] + "…"
