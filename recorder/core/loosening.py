"""Requests as rules see them: what is left to compare, the key of it, and how two differ.

Theory of operation, for either side alike. What is redacted is masked, as strict matching does it; the custom callable,
where there is one, gives the request that is compared; what is ignored is taken out; ids and dates become placeholders;
of the headers those that count are kept. What comes out is hashed. A key is made of one request alone, so whether two
match is whether their keys are equal: an equivalence, whatever the rules.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Set
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import Any, Final, NamedTuple, cast

from recorder.core.exchange import Headers, Request
from recorder.core.form_fields import FORM
from recorder.core.json_value import MASK, MISSING, json_of, mask, parsed, short, steps_of, without
from recorder.core.match_rules import Match
from recorder.core.matching import (
    IGNORED,
    TOO_DEEP,
    canonical_body,
    canonical_url,
    hidden_names,
    masked_form,
    pointers_of,
    shown_payload,
    value_differences,
)
from recorder.core.matching_parts import form_differences
from recorder.core.nearness import said
from recorder.core.normalising import normalised, shown
from recorder.core.redaction import MARKER
from recorder.errors import ConfigurationError

_HEADER: Final = "header:"
_PARAMETERS: Final = re.compile("[?;&]")
_INDEX: Final = re.compile("0|[1-9][0-9]{0,8}")  # RFC 6901 §4


class _Seen(NamedTuple):
    """What is compared of a request.

    :ivar value: its payload's JSON value; MISSING where it is no JSON.
    :ivar text: its payload, JSON as one text for equal values.
    """

    method: str
    url: str
    headers: Headers
    value: Any
    text: str


class Loosening:
    """Applies rules to requests.

    :param match: the rules; they are not strict.
    :raises ConfigurationError: their callable cannot be found.
    """

    def __init__(self, match: Match) -> None:
        self.match = match
        self._custom = match.function()
        self._headers = frozenset(match.headers)
        self._ignored = [steps_of(pointer) for pointer in match.ignore]

    @property
    def reads_headers(self) -> bool:
        """Whether headers count, or may count."""
        return bool(self._headers) or self._custom is not None

    def counts(self, place: str) -> bool:
        """Whether it matters that a recording has redacted this place."""
        return not place.startswith(_HEADER) or self._custom is not None or place[len(_HEADER) :] in self._headers

    def key(self, request: Request, places: Iterable[str]) -> bytes:
        """Return the fingerprint of a request: 32 bytes, the same for requests that match.

        :param request: after redaction.
        :param places: what the recording has redacted.
        :raises ConfigurationError: the callable failed, or returned no request.
        """
        seen = self._seen(request, frozenset(places))
        kind = "text" if seen.value is MISSING else "json"
        digest = hashlib.sha256(b"recorder/match/rules/v1\0")
        headers = (part for header in seen.headers for part in header)
        for part in (seen.method, seen.url, kind, seen.text, *headers):
            encoded = part.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
        return digest.digest()

    def text(self, request: Request, places: Iterable[str]) -> str:
        """Return what is compared of a request's payload, as one text.

        :raises ConfigurationError: the callable failed, or returned no request.
        """
        seen = self._seen(request, frozenset(places))
        return seen.text if seen.value is MISSING else said(seen.value)

    def differing_from(
        self, asked: Request, hidden: Iterable[str] = ()
    ) -> Callable[[Request, Iterable[str]], list[str]]:
        """Return what tells the fields in which a recorded request, with the places that were redacted in it, differs.

        Only fields that the rules compare, each as ``field: recorded != asked``.

        :param hidden: places whose live values are never shown, since some recording has redacted them.
        """
        hidden = frozenset(hidden)
        names = hidden_names(hidden)
        known: dict[frozenset[str], _Seen] = {}

        def differences(recorded: Request, places: Iterable[str]) -> list[str]:
            places = frozenset(places)
            # What a callable moves elsewhere is not known by its name there: it does not get to see it.
            masked = places | hidden if self._custom else places
            right = known.get(masked)
            if right is None:
                right = known[masked] = self._seen(asked, masked, names)
            return _differences(self._seen(recorded, masked, names), right, masked | hidden, names)

        return differences

    def _seen(self, request: Request, places: frozenset[str], names: frozenset[str] = frozenset()) -> _Seen:
        """Return what is compared of a request.

        :param names: of members that the callable does not get to see.
        """
        request = replace(
            request,
            method=request.method.upper(),
            url=canonical_url(request.url, places),
            headers=_masked(request.headers, places),
        )
        if self._custom is not None:
            payload = canonical_body(request.payload, places)
            payload = _without_names(payload, names) if names else payload
            request = self._customised(replace(request, payload=payload))
            request = replace(request, url=canonical_url(request.url, places))
        return _Seen(
            request.method.upper(), request.url, self._counted(request.headers), *self._payload(request.payload, places)
        )

    def _payload(self, payload: bytes, places: frozenset[str]) -> tuple[Any, str]:
        value = parsed(payload)
        if value is not MISSING:
            with suppress(RecursionError):  # what is nested too deeply is no JSON, here as where it is read
                mask(value, map(steps_of, pointers_of(places)))
                for steps in self._ignored:
                    _ignore(value, steps)
                if self.match.normalise:
                    value = normalised(_unmarked(value), self.match.normalise)
                return value, MARKER.sub(MASK, json_of(value))
        text = canonical_body(payload, places)
        try:
            return MISSING, normalised(text.decode("utf-8"), self.match.normalise)
        except UnicodeDecodeError:
            return MISSING, text.decode("utf-8", "surrogateescape")

    def _counted(self, headers: Headers) -> Headers:
        """Return the headers that count, by name, each once: several of one name are one list (RFC 9110 §5.3)."""
        found: dict[str, str] = {}
        for name, value in headers:
            lower = name.lower()
            if lower in self._headers:
                found[lower] = f"{found[lower]}, {value}" if lower in found else value
        return tuple(sorted((name, MASK if MASK in value else value) for name, value in found.items()))

    def _customised(self, request: Request) -> Request:
        assert self._custom is not None
        # What some recording has redacted is not known here: no parameter is told.
        told = f"{request.method} {_PARAMETERS.split(request.url)[0]}"
        try:
            made: object = self._custom(request)
        except Exception as error:
            raise ConfigurationError(
                f"the matching rule custom failed with {type(error).__name__} on {told}: mend it ({self.match})"
            ) from error
        if not _is_request(made):
            raise ConfigurationError(
                f"the matching rule custom returned no Request for {told}: return what "
                f"dataclasses.replace(request, payload=…) makes, its payload in bytes ({self.match})"
            )
        return cast(Request, made)


def _without_names(payload: bytes, names: Set[str]) -> bytes:
    """Return a payload without what members of these names hold; nothing of one in which they are not found."""
    value = parsed(payload)
    if value is MISSING:
        text = payload.decode("utf-8", "surrogateescape")
        kept = masked_form(text, names) if FORM.fullmatch(text) else MASK
        return kept.encode("utf-8", "surrogateescape")
    try:
        return json_of(without(value, names)).encode("ascii")
    except RecursionError:
        return MASK.encode("ascii")


def _is_request(made: object) -> bool:
    if not isinstance(made, Request) or not isinstance(cast(object, made.payload), bytes):
        return False
    headers: object = made.headers
    if not isinstance(headers, tuple) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in headers):
        return False
    return all(isinstance(text, str) for text in (made.method, made.url, *chain.from_iterable(headers)))


def _masked(headers: Headers, places: frozenset[str]) -> Headers:
    return tuple(
        (name, MASK if f"{_HEADER}{name.lower()}" in places or MARKER.search(value) else value)
        for name, value in headers
    )


def _unmarked(value: Any) -> Any:
    """Mask the markers before anything in them can be taken for an id."""
    if isinstance(value, dict):
        return {name: _unmarked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_unmarked(inner) for inner in value]
    return MARKER.sub(MASK, value) if type(value) is str and "~" in value else value


def _ignore(value: Any, steps: list[str]) -> None:
    """Take out what is there. An array keeps its length as far as anything that counts follows."""
    step, *rest = steps
    if isinstance(value, dict):
        for name in list(value) if step == "*" else [step] if step in value else []:
            if rest:
                _ignore(value[name], rest)
            else:
                del value[name]
    elif isinstance(value, list):
        for index in _indices(step, len(value)):
            if rest:
                _ignore(value[index], rest)
            else:
                value[index] = IGNORED
        while value and value[-1] is IGNORED:
            value.pop()


def _indices(step: str, length: int) -> Iterable[int]:
    if step == "*":
        return range(length)
    return [int(step)] if _INDEX.fullmatch(step) and int(step) < length else []


def _readable(value: Any) -> Any:
    """Return a value with its placeholders as people read them."""
    if isinstance(value, dict):
        return {name: _readable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_readable(inner) for inner in value]
    return shown(value) if type(value) is str else value


def _bytes(text: str) -> bytes:
    return shown(text).encode("utf-8", "surrogateescape")


def _differences(left: _Seen, right: _Seen, hidden: frozenset[str], names: frozenset[str]) -> list[str]:
    """Return how two requests differ.

    :param hidden: places whose live values are not shown; *names*: of members that hold such values.
    """
    found = []
    if left.method != right.method:
        found.append(f"method: {left.method} != {right.method}")
    if left.url != right.url:
        found.append(f"url: {left.url} != {canonical_url(right.url, hidden)}")
    found += _header_differences(dict(left.headers), dict(right.headers), hidden)
    try:
        return [*found, *_payload_differences(left, right, hidden, names)]
    except RecursionError:
        return [*found, TOO_DEEP]


def _payload_differences(left: _Seen, right: _Seen, hidden: Set[str], names: Set[str]) -> list[str]:
    if left.value is not MISSING and right.value is not MISSING:
        return list(value_differences("body", _readable(left.value), _readable(right.value), names))
    if (left.value is MISSING) == (right.value is MISSING) and left.text == right.text:
        return []
    if (found := form_differences(_bytes(left.text), _bytes(right.text), names)) is not None:
        return list(found)
    one = short(_readable(left.value)) if left.value is not MISSING else short(_bytes(left.text))
    return [f"body: {one} != {shown_payload(_bytes(right.text), _readable(right.value), hidden, names)}"]


def _header_differences(recorded: dict[str, str], asked: dict[str, str], hidden: frozenset[str]) -> list[str]:
    found = []
    for name in sorted({*recorded, *asked}):
        one, other = recorded.get(name), asked.get(name)
        if one != other:
            told = "(absent)" if other is None else MASK if f"{_HEADER}{name}" in hidden else short(other)
            found.append(f"header {name}: {'(absent)' if one is None else short(one)} != {told}")
    return found
