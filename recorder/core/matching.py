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
from recorder.core.form_fields import FORM, with_values
from recorder.core.json_value import MASK, MISSING, json_of, mask, parsed, short, steps_of, without
from recorder.core.matching_parts import canonical_form, form_differences
from recorder.core.redaction import MARKER

_EMPTY: Final = b"~empty~"  # where a recording's payload was replaced whole, none is another one
_SHORT: Final = 60  # characters of a value, in a message
#: Userinfo of a URL with the slashes before it.
USERINFO: Final = re.compile(r"//[^/?#]*@")
#: A parameter of a URL: the sign before it, its name and its value.
PARAMETER: Final = re.compile(r"([?&;])([^=&;#]+)=([^&;#]*)")
#: The difference of two payloads that cannot be gone through.
TOO_DEEP: Final = "body: one of them is nested too deeply to be shown"


class _Ignored(str):
    __slots__ = ()


#: An element of an array that a rule ignores: it differs from nothing, and the elements after it keep their indices.
IGNORED: Final = _Ignored("")


def match_key(method: str, url: str, body: bytes, places: Iterable[str] = ()) -> bytes:
    """Return the fingerprint of a request: 32 bytes, the same for requests that match.

    :param url: absolute, redacted or not.
    :param body: the payload; JSON is compared as a value (member order, white space and how a number is
        written do not count; of members with one name, the last one counts), a form with files by its parts, whatever
        their boundary; anything else byte by byte.
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
            return f"{match.group(1)}{match.group(2)}={MASK}"
        return match.group(0)

    url = url.partition("#")[0]
    return PARAMETER.sub(masked, USERINFO.sub("//", url, count=1))


def canonical_body(body: bytes, places: Iterable[str] = ()) -> bytes:
    """Return the payload in the form in which equal payloads are equal bytes."""
    pointers = pointers_of(places)
    value = parsed(body)
    if value is not MISSING:
        mask(value, map(steps_of, pointers))
        with suppress(RecursionError):  # what is nested too deeply is no JSON, here as where it is read
            return MARKER.sub(MASK, json_of(value)).encode("ascii")
    if "" in pointers and (not body or _may_be_unread(body)):
        return b"" if body else _EMPTY
    if (form := canonical_form(body, pointers)) is not None:
        return form
    text = masked_form(body.decode("utf-8", "surrogateescape"), {pointer[1:] for pointer in pointers})
    return MARKER.sub(MASK, text).encode("utf-8", "surrogateescape")


def _may_be_unread(body: bytes) -> bool:
    """Whether redaction would replace a payload whole: it is no form and no JSON."""
    if MARKER.fullmatch(body.decode("latin-1")):
        return True
    try:
        text = body.decode("utf-8")
        if FORM.fullmatch(text):
            return False
        json.loads(text)
    except (ValueError, RecursionError):
        return True
    return False


def pointers_of(places: Iterable[str]) -> list[str]:
    """Return the JSON Pointers of the places that are in payloads."""
    return [place[5:] for place in places if place.startswith("body:")]


def masked_form(text: str, names: Set[str]) -> str:
    """Return a form without the values of its fields of these names; anything else as it is."""
    if not names:
        return text
    return with_values(text, lambda name, _: MASK if name in names else None)


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
        return [*found, TOO_DEEP]


def _body_differences(recorded: bytes, asked: bytes, places: Set[str], hidden: Set[str]) -> list[str]:
    values = parsed(recorded), parsed(asked)
    names = hidden_names(hidden)
    if MISSING in values:
        one, other = canonical_body(recorded, places), canonical_body(asked, places)
        if one == other:
            return []
        if (found := form_differences(one, other, names)) is not None:
            return list(found)
        told = shown_payload(recorded, values[0], places, hidden_names(places))
        return [f"body: {told} != {shown_payload(asked, values[1], hidden, names)}"]
    for value in values:
        mask(value, map(steps_of, pointers_of(places)))
    return list(value_differences("body", *values, names))


def hidden_names(places: Iterable[str]) -> frozenset[str]:
    """Return the last names of the places in payloads, as JSON and as a form have them."""
    pointers = [pointer for pointer in pointers_of(places) if pointer]
    names = {name for pointer in pointers for name in (pointer[1:], _named(steps_of(pointer)))}
    return frozenset(names - {""})


def _named(steps: list[str]) -> str:
    return next((step for step in reversed(steps) if not step.isdecimal()), "")


def shown_payload(payload: bytes, value: Any, hidden: Set[str], names: Set[str]) -> str:
    """Return a payload for people, without what may not be shown of it."""
    if value is not MISSING:
        return short(without(value, names))
    form = masked_form(payload.decode("utf-8", "surrogateescape"), names).encode("utf-8", "surrogateescape")
    if "body:" in hidden or (names and form == payload and not FORM.fullmatch(payload.decode("latin-1"))):
        return f"{MASK} ({len(payload)} bytes)" if payload else short(payload)
    return short(form)


def value_differences(path: str, recorded: Any, asked: Any, names: Set[str], *, secret: bool = False) -> Iterator[str]:
    """Yield the parts in which two JSON values differ, as ``path: recorded != asked``.

    :param names: of members whose live values are never shown.
    :param secret: whether these values are in one of them.
    """
    if isinstance(recorded, dict) and isinstance(asked, dict):
        for name in sorted({*recorded, *asked}):
            pair = recorded.get(name, MISSING), asked.get(name, MISSING)
            yield from value_differences(f"{path}.{name}", *pair, names, secret=secret or name in names)
    elif isinstance(recorded, list) and isinstance(asked, list):
        for index in range(max(len(recorded), len(asked))):
            left = recorded[index] if index < len(recorded) else MISSING
            right = asked[index] if index < len(asked) else MISSING
            yield from value_differences(f"{path}[{index}]", left, right, names, secret=secret)
    elif recorded is IGNORED or asked is IGNORED or (isinstance(recorded, str) and MARKER.fullmatch(recorded)):
        return
    elif type(recorded) is not type(asked) or _plain(recorded) != _plain(asked):
        if secret and asked is not MISSING:
            yield f"{path}: {short(recorded)} != {MASK}"
        else:
            yield "{}: {} != {}".format(path, *_short_both(recorded, without(asked, names)))


def _plain(value: Any) -> Any:
    return MARKER.sub(MASK, value) if isinstance(value, str) else value


def _short_both(recorded: Any, asked: Any) -> tuple[str, str]:
    """Return two values for people; of long texts that begin alike, the places at which they part."""
    if not (isinstance(recorded, str) and isinstance(asked, str)):
        return short(recorded), short(asked)
    texts = [json.dumps(text, ensure_ascii=False) for text in (recorded, asked)]
    length = min(map(len, texts))
    same = next((at for at in range(length) if texts[0][at] != texts[1][at]), length)
    if max(map(len, texts)) <= _SHORT or same < _SHORT // 2:
        return short(recorded), short(asked)
    start = same - _SHORT // 3
    one, other = (f"…{text[start : start + _SHORT]}{'…' * (len(text) > start + _SHORT)}" for text in texts)
    return one, other
