"""Looks for what should have been left out: in all that an exchange holds, and in the document that is written.

The first is complete by construction: it goes through every field of every value. The second is a last look at the
very characters that leave, and catches what a format writes in a way that nobody thought of; what is compressed
(Parquet) it cannot see into.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final
from urllib.parse import quote, quote_plus

from recorder.core.content_coding import undo
from recorder.core.export_bodies import body_source, request_source
from recorder.core.export_chains import JOINED
from recorder.core.export_matches import BODY, REQUEST, Matcher
from recorder.core.export_rules import LEAST, MARKER, Rule
from recorder.core.messages import Message
from recorder.core.rebuilt import Rebuilt
from recorder.errors import RedactionRefused

_SURE: Final = 4
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: What recorder itself writes is full of such: ids, hashes, times, sizes. They count where they stand alone.
_NUMBER_LIKE: Final = re.compile(r"[0-9a-fA-F:.TZ-]+")
_PLACES: Final = {
    "exchange": "the heads and facts",
    "reading": "the request",
    "answer": "the answer",
    "evidence": "the end",
    "anomalies": "the findings",
}


def residue(rebuilt: Rebuilt, matcher: Matcher, *, changed: bool) -> tuple[str, Rule] | None:
    """Return where something is still to be found, and the rule that finds it; None where nothing is.

    :param matcher: knows the rules and what they have found.
    :param changed: the exchange is another one than that which the matcher has gone through.
    """
    looking = matcher.again()
    exchange = rebuilt.exchange
    body = undo(exchange.body, exchange.content_coding).body
    payload = exchange.request.payload if exchange.request else b""
    found: tuple[str, Rule] | None = None
    headers = exchange.response.headers if exchange.response else ()
    if changed and body_source(body, rebuilt.answer, headers).edits(looking) and looking.counts:
        found = "the body", _rule(looking)
    elif changed and request_source(exchange.request, payload).edits(looking) and looking.counts:
        found = "the request", _rule(looking)
    return found or _in_bytes(body, payload, looking) or _in_texts(rebuilt, looking)


def _in_bytes(body: bytes, payload: bytes, looking: Matcher) -> tuple[str, Rule] | None:
    for rule in looking.for_numbers:
        for place, data in (("the body", body), ("the request", payload)):
            if any(True for _ in rule.find(data.decode("latin-1"))):
                return place, rule
    for text, rule in looking.secrets.items():
        forms = list(_encodings(text))
        if any(form in body for form in forms):
            return "the body", rule
        if any(form in payload for form in forms):
            return "the request", rule
    return None


def _in_texts(rebuilt: Rebuilt, looking: Matcher) -> tuple[str, Rule] | None:
    request = rebuilt.exchange.request
    in_url = looking.finds(request.url, form=True) if request else None
    if in_url is not None:
        return "the URL", in_url
    seen: set[str] = set()
    for name in _PLACES:
        for text in _texts(getattr(rebuilt, name)):
            if text in seen:
                continue
            seen.add(text)
            found = looking.finds(text)
            if found is not None:
                return _PLACES[name], found
    return None


def _rule(matcher: Matcher) -> Rule:
    number = next(iter(matcher.counts))
    return next(rule for rule in matcher.rules if rule.number == number)


def _encodings(text: str) -> Iterator[bytes]:
    for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be"):
        try:
            form = text.encode(encoding)
        except UnicodeEncodeError:
            continue
        if len(form) >= _SURE:  # what is shorter stands in any bytes, of checksums and of sounds
            yield form


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a value, and those that formats join."""
    if isinstance(value, str):
        if not _UUID.fullmatch(value):
            yield value
    elif isinstance(value, Message):
        yield from _joined(value)
        for each in fields(value):
            yield from _texts(getattr(value, each.name))
    elif isinstance(value, Mapping):
        for key, held in value.items():
            yield from _texts(key)
            yield from _texts(held)
    elif isinstance(value, list | tuple):
        for held in value:
            yield from _texts(held)
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from _texts(getattr(value, each.name))


def left_over(before: Rebuilt, after: Rebuilt, matcher: Matcher) -> bool:
    """Whether a text says more than it should: a part of a secret is still there, without the rest of it.

    Less may be there: what a rule finds in a single delta is left out too.
    """
    looking = matcher.again()
    pairs = zip((*_said(before), *_asked(before)), (*_said(after), *_asked(after)), strict=False)
    for was, now in pairs:
        for text, text_now in zip(was, now, strict=True):
            if text_now != text and not _is_part(_bare(text_now), _bare(looking.text(text, "text"))):
                return True
    return False


def lost(before: Rebuilt, after: Rebuilt, matcher: Matcher) -> bool:
    """Whether texts say less than they should: more characters are gone than were taken out of the bytes.

    :param matcher: that which has taken them out.
    """
    sides = (
        (BODY, before.answer_messages, after.answer_messages),
        (REQUEST, before.request_messages, after.request_messages),
    )
    return any(_size(was) - _size(now) > matcher.taken[place] for place, was, now in sides)


def _size(messages: Iterable[Message]) -> int:
    parts = (part for message in messages for part in message.parts)
    return sum(len(_bare(part.text)) for part in parts if isinstance(part, JOINED))


def _said(rebuilt: Rebuilt) -> list[list[str]]:
    return [_joined(message) for message in rebuilt.answer_messages]


def _asked(rebuilt: Rebuilt) -> list[list[str]]:
    return [_joined(message) for message in rebuilt.request_messages]


def _joined(message: Message) -> list[str]:
    """The texts of a message as formats join them, and what its calls say."""
    found = ["".join(part.text for part in message.parts if isinstance(part, kind)) for kind in JOINED]
    return [*found, "".join(call.arguments_text for call in message.tool_calls)]


def _bare(text: str) -> str:
    """Return a text without markers, and without the quotes that a marker has where a number was."""
    return re.sub(r'["\\]', "", text.replace(MARKER, ""))


def _is_part(text: str, whole: str) -> bool:
    """Whether *text* is *whole* with some characters left out."""
    letters = iter(whole)
    return all(letter in letters for letter in text)


class Guard:
    """A last look at a document that is written.

    :param matcher: knows what may not be in it.
    """

    def __init__(self, matcher: Matcher) -> None:
        self._forms = [
            (form, rule, bool(_NUMBER_LIKE.fullmatch(form)))
            for text, rule in {**matcher.numbers, **matcher.secrets}.items()
            if len(text) >= LEAST
            for form in sorted(_forms(text))
        ]
        self._longest = max((len(form) for form, _, _ in self._forms), default=0)

    def checked(self, pieces: Iterable[str | bytes]) -> Iterator[str | bytes]:
        """Yield *pieces*, each after it was looked at together with the end of what came before it.

        :raises RedactionRefused: something is in it.
        """
        before = ""
        for piece in pieces:
            text = before + (piece if isinstance(piece, str) else piece.decode("utf-8", "replace"))
            for form, rule, number_like in self._forms:
                if form in text and (not number_like or _alone(form, text)):
                    raise RedactionRefused(
                        f"{rule.label} still finds something in what this format writes: nothing more is exported; "
                        "use another format, or a rule that is more specific"
                    )
            before = text[-self._longest :] if self._longest else ""
            yield piece


def _alone(form: str, text: str) -> bool:
    return re.search(rf"(?<![\w:.-]){re.escape(form)}(?![\w:-]|\.\d)", text) is not None


def _forms(text: str) -> set[str]:
    """The ways in which a text is written; of base64 the middle, whatever it begins with."""
    escaped = json.dumps(text)[1:-1]
    plain = json.dumps(text, ensure_ascii=False)[1:-1]
    found = {text, escaped, plain, json.dumps(escaped)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1]}
    found |= {html.escape(text), html.escape(text, quote=False), text.replace('"', '""')}
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError:
        return found
    found |= {quote(text), quote(text, safe=""), quote_plus(text)}
    for shift in range(3):
        coded = base64.b64encode(bytes(shift) + raw).decode()
        middle = coded[(0, 2, 3)[shift] : len(coded) - (0, 4, 3)[coded.count("=")] or None]
        if len(middle) >= 2 * LEAST - 4:
            found.add(middle)
    return found
