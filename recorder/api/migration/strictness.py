"""What got stricter: requests that vcrpy took for one another and we do not, and those that can never match again.

vcrpy compares method and URL (scheme, host, port, path and query) and gives the next recorded answer to whatever asks
there; we compare the payload too. What its filters have taken out of a recording is not there to be compared with, so
a rule has to say that it does not count.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from recorder.api.cassettes import CassetteRecordings
from recorder.api.migration.advice import Option, constant, names_in
from recorder.core.exchange import Request
from recorder.core.json_value import MISSING, parsed
from recorder.core.matching import canonical_body

#: What people and filters leave in the place of a value.
_PLACEHOLDER: Final = re.compile(
    r"(?i)[*<\[{( ]*(?:redacted|filtered|masked|scrubbed|removed|hidden|dummy|placeholder|x{3,}|\*{3,})[*>\]}) ]*"
)
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_POINTED: Final = 20  # placeholders that are told of one cassette


@dataclass(frozen=True, slots=True)
class Stricter:
    """Something that vcrpy let pass.

    :ivar kind: ``told_apart_by_body``, ``body_missing``, ``body_changed``, ``placeholder``, ``query_filtered``,
        ``answered_once``.
    :ivar detail: what, in one sentence; ``advice`` what to do.
    """

    kind: str
    detail: str
    advice: str


@dataclass(slots=True)
class Strictness:
    """What is to be known of one cassette.

    :ivar found: what got stricter.
    :ivar rules: rules of matching, as in a cassette's first line, that make up for what can be made up for.
    :ivar secrets: places at which values stood in plain text in the old file, with how many; never the values.
    """

    found: list[Stricter] = field(default_factory=list)
    rules: dict[str, Any] = field(default_factory=dict)
    secrets: Counter[str] = field(default_factory=Counter)

    def ignore(self, pointers: Iterable[str]) -> None:
        """Add JSON Pointers that do not count."""
        self.rules["ignore"] = sorted({*self.rules.get("ignore", ()), *pointers})


def strictness(cassette: Path, options: list[Option]) -> Strictness:
    """Return what got stricter.

    :param cassette: ours, just made from theirs.
    :param options: that were given to vcrpy where it was recorded.
    :raises RecorderError: the cassette cannot be read.
    """
    recordings, found = CassetteRecordings(cassette), Strictness()
    requests = []
    for entry in recordings.entries():
        requests.append(recordings.request(entry.exchange))
        found.secrets.update(_secrets(recordings, entry.exchange))
    given = {option.name: constant(option.value) for option in options}
    _tell_bodies(requests, found)
    _tell_filters(requests, given, found)
    if given.get("allow_playback_repeats") is True:
        found.rules["allow_repeats"] = True
        told = "an answer is given once, and vcrpy was told to give it again and again"
        found.found.append(Stricter("answered_once", told, "the rule allow_repeats, if it is asked for again"))
    return found


def _tell_bodies(requests: list[Request], found: Strictness) -> None:
    """Tell which requests vcrpy takes for one another."""
    alike: dict[tuple[Any, ...], list[bytes]] = defaultdict(list)
    named: dict[tuple[Any, ...], str] = {}
    for request in requests:
        place = _compared(request)
        alike[place].append(canonical_body(request.payload, request.redacted))
        named.setdefault(place, f"{request.method} {request.url}")
    for place, bodies in alike.items():
        if len(set(bodies)) > 1:
            told = f"{len(bodies)} requests {named[place]} have {len(set(bodies))} bodies, which vcrpy does not compare"
            found.found.append(Stricter("told_apart_by_body", told, "none, where the code asks what it asked then"))


def _compared(request: Request) -> tuple[Any, ...]:
    """Return what vcrpy compares of a request by default."""
    try:
        parts = urlsplit(request.url)
        return request.method, parts.scheme, parts.netloc, parts.path, tuple(sorted(parse_qsl(parts.query)))
    except ValueError:
        return request.method, request.url


def _tell_filters(requests: list[Request], given: dict[str, Any], found: Strictness) -> None:
    """Tell of what is not in the recording as it was sent."""
    posted = names_in(given.get("filter_post_data_parameters"))
    missing = changed = 0
    pointers: set[str] = set()
    for request in requests:
        state = _state(request)
        missing += state == "missing"
        changed += state == "changed"
        pointers.update(_placeholders("", parsed(request.payload)))
        if posted and state != "whole":
            pointers.update(f"/{name}" for name in posted if _lacks(request, [name]))
    if missing:
        told = f"{_requests(missing)} sent a body that is not in the file: what is sent again can never match"
        found.found.append(Stricter("body_missing", told, "record it again, or Match(custom=FUNCTION) without bodies"))
    if changed:
        told = f"{_requests(changed)} sent a body of another length than the one in the file: a filter has changed it"
        found.found.append(Stricter("body_changed", told, "the rule ignore for what it took out, or record it again"))
    if pointers:
        told = f"values were taken out of bodies or replaced: {', '.join(sorted(pointers)[:_POINTED])}"
        found.found.append(Stricter("placeholder", told, "the rule ignore for them, or record it again"))
        found.ignore(sorted(pointers)[:_POINTED])
    queried = [name for name in names_in(given.get("filter_query_parameters")) if _unasked(requests, name)]
    if queried:
        told = f"the URLs lack {', '.join(queried)}, which vcrpy was told to take out"
        found.found.append(
            Stricter("query_filtered", told, "record it again, or Match(custom=FUNCTION) that does it too")
        )


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"


def _state(request: Request) -> str:
    """Return whether a payload is the one that was sent, as far as its length tells."""
    length = next((value.strip() for name, value in request.headers if name.lower() == "content-length"), "")
    if not _LENGTH.fullmatch(length) or any(place.startswith("body:") for place in request.redacted):
        return "unknown"
    if int(length) == len(request.payload):
        return "whole"
    if not request.payload:
        return "missing"
    value = parsed(request.payload)
    # Filters write JSON again: what holds the same value may be longer by its blanks.
    return "whole" if value is not MISSING and int(length) in _lengths(value) else "changed"


def _lengths(value: Any) -> Iterator[int]:
    """Yield how long a JSON value is in the usual ways of writing it."""
    for separators in ((",", ":"), (", ", ": ")):
        for is_ascii in (True, False):
            try:
                text = json.dumps(value, ensure_ascii=is_ascii, separators=separators)
            except (TypeError, RecursionError):
                return
            yield len(text.encode("utf-8", "surrogatepass"))


def _lacks(request: Request, names: Iterable[str]) -> bool:
    value = parsed(request.payload)
    return isinstance(value, dict) and any(name not in value for name in names)


def _placeholders(path: str, value: Any) -> Iterator[str]:
    """Yield JSON Pointers of what stands for something else; ``*`` for the elements of a list."""
    try:
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from _placeholders(f"{path}/{name.replace('~', '~0').replace('/', '~1')}", inner)
        elif isinstance(value, list):
            for inner in value:
                yield from _placeholders(f"{path}/*", inner)
        elif isinstance(value, str) and path and _PLACEHOLDER.fullmatch(value):
            yield path
    except RecursionError:
        return


def _unasked(requests: list[Request], name: str) -> bool:
    """Whether no URL has a parameter, and its absence counts."""
    return not any(name in dict(parse_qsl(urlsplit(each.url).query, keep_blank_values=True)) for each in requests)


def _secrets(recordings: CassetteRecordings, exchange: bytes) -> Iterator[str]:
    """Yield the places whose values our redaction has replaced, and nothing before."""
    before: set[str] = set()
    for event in recordings.events(exchange):
        if event.type == "imported":
            before = set(event.facts.get("replaced", ()))
        elif event.type in ("request_sent", "response_started"):
            side = "request" if event.type == "request_sent" else "response"
            for place in event.facts.get("redacted", ()):
                if place.replace("header", side, 1) not in before:
                    yield f"{side} {place}"
