"""Which parts of a request's payload are replaced: those that the user's rules name, and whatever the rules, members
that can be nothing else than credentials, credentials of the request that stand in its payload again, and those in a
request for an OAuth token.

Such a request is a form, a form with files or a JSON object with a member that nothing else has: ``grant_type``,
``client_secret``, ``client_assertion`` (RFC 6749 §2.3.1 and §4, RFC 7521 §4.2). How it is written does not matter: a
line end after it, names in percent encoding, a byte order mark, UTF-16.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

from recorder.core.body_credentials import (
    MEMBER,
    TEXT,
    credentials_in,
    is_all_of,
    is_credential_member,
    names_a_credential,
    names_a_part,
    repeated_in,
    written,
)
from recorder.core.credentials import MARKER, asks_for_token, is_credential_of_grant
from recorder.core.form_fields import FORM, fields_of, names_of, with_values
from recorder.core.json_spans import Span, find_spans
from recorder.core.json_texts import Selects, find_texts, in_letters, strings_around
from recorder.core.multipart import Part, parts_of

if TYPE_CHECKING:
    from recorder.core.redaction import Redacted

#: Returns the marker for a value: from its kind, the value, what was replaced so far, and the place.
Mark = Callable[[str, str, "Redacted", str], str]

_LARGEST_GRANT: Final = 1 << 16  # bytes of a request for a token; a recorder has that much of a payload in one piece
_MARKS: Final = (  # the longer before those that they begin with
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BY_NULLS: Final = {"000x": "utf-32-be", "x000": "utf-32-le", "0x0x": "utf-16-be", "x0x0": "utf-16-le"}
_ESCAPED_NAME: Final = re.compile(rb"\\u00[2-7]")  # letters that no writer of JSON escapes, unless to hide them
_MEMBER: Final = re.compile(r"""["']([\w%.\- ]{1,64})["']\s*:\s*("(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s,}"']+)""")
#: How compressed data begin: gzip, zip, zstd, bzip2, xz.
_COMPRESSED: Final = (b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1a]")
_LOOKED_AT: Final = 1024
_TEXTS: Final = re.compile(r"(?i)text/|[^;]*(?:json|xml|yaml|csv|x-www-form-urlencoded)")


class PayloadRedaction:
    """The rules for payloads of one recorder or player.

    :param mark: makes markers.
    """

    def __init__(self, mark: Mark) -> None:
        self._mark = mark
        self._names: set[str] = set()
        self._pointers: list[tuple[str, ...]] = []

    def add(self, what: str) -> None:
        """Add a rule: a name at any depth, or a JSON Pointer (RFC 6901), ``*`` for any index or name."""
        if what.startswith("/"):
            steps = what[1:].split("/")
            self._pointers.append(tuple(step.replace("~1", "/").replace("~0", "~") for step in steps))
        else:
            self._names.add(what)

    @property
    def has_rules(self) -> bool:
        """Whether a payload has to be complete before it can be redacted."""
        return bool(self._names or self._pointers)

    def redacted(self, body: bytes, seen: Redacted) -> bytes:
        """Return a payload with what the rules select replaced; every other byte stays as it is.

        :param seen: what was replaced in the head and the URL of the same request; what stands here again goes, too.
        """
        if len(body) <= _LARGEST_GRANT and _may_ask_for_token(body):
            body = self._token_request(body, seen)
        if names_a_credential(body):
            body = self._without_members(body, seen)
        secrets = [*seen.secrets]  # not what rules name: a player without these rules finds it nowhere else
        if body and self.has_rules:
            body = self._by_rules(body, seen)
        repeated = repeated_in(body, secrets) if secrets else []
        return self._without_repeated(body, repeated, seen) if repeated else body

    def _without_members(self, body: bytes, seen: Redacted) -> bytes:
        """Return a payload without texts under the names of credentials."""
        if names_a_part(body) and (parts := parts_of(body)):
            hidden = [is_credential_member(part.name) for part in parts]
            return self._without_loose_members(self._without_parts(body, parts, hidden, seen), seen)
        before, text, spans = _read(body, credentials_in, _is_credential)
        if spans is not None:
            return before + self._without_spans(text, spans, seen).encode("utf-8") if spans else body
        if FORM.fullmatch(text.rstrip("\r\n")):
            return self._without_fields(text, is_credential_member, seen).encode("utf-8", "surrogateescape")
        return self._without_loose_members(body, seen)

    def _without_loose_members(self, body: bytes, seen: Redacted) -> bytes:
        """Return what is no JSON without texts under such names as far as it looks like JSON."""

        def without(found: re.Match[bytes]) -> bytes:
            name = found[1].decode("utf-8", "replace")
            if not is_credential_member(name):
                return found[0]

            def marked(string: re.Match[bytes]) -> bytes:
                value = string[0][1:-1].decode("utf-8", "surrogateescape")
                marker = self._mark(name, value, seen, f"body:/{_pointed(name)}") if value else ""
                return b'"%s"' % marker.encode("ascii")

            return found[0][: found.start(3) - found.start()] + TEXT.sub(marked, found[3])

        return MEMBER.sub(without, body)

    def _without_repeated(self, body: bytes, secrets: list[str], seen: Redacted) -> bytes:
        """Return a payload without values that were replaced elsewhere in the request.

        A text that is nothing else than such a value is a place as any other, which equals any value. Of a longer text
        only the value itself is one: the rest still counts.
        """
        wanted = re.compile("|".join([MARKER.pattern, *map(re.escape, secrets)]))

        def without(text: str) -> str:
            return wanted.sub(lambda found: self._mark("repeated", found[0], type(seen)(), ""), text)

        def is_one(text: str) -> bool:
            return any(is_all_of(text, secret) for secret in secrets)

        def of_field(name: str, value: str) -> str | None:
            is_whole = is_one(unquote_plus(value))
            return self._mark("repeated", value, seen, f"body:/{name}") if is_whole else without(value)

        as_bytes = [*map(written, secrets)]
        before, text, spans = _read(
            body,
            lambda payload: strings_around(payload, as_bytes),
            lambda _, value: any(secret in value for secret in secrets),
        )
        if spans is None:
            kept = with_values(text, of_field) if FORM.fullmatch(text) else without(text)
            return before + kept.encode("utf-8", "surrogateescape")
        pieces, at = [], 0
        for span in spans:
            value = text[span.start : span.end]
            kept = without(value)
            if is_one(span.value) or (kept == value and not MARKER.search(value)):  # or it is written with escapes
                place = "body:/" + "/".join(map(_pointed, span.path))
                kept = f'"{self._mark("repeated", span.value, seen, place)}"'
            pieces += [text[at : span.start], kept]
            at = span.end
        return before + "".join([*pieces, text[at:]]).encode("utf-8")

    def _token_request(self, body: bytes, seen: Redacted) -> bytes:
        """Return what asks for an OAuth token without its credentials; anything else as it is."""
        parts = parts_of(body)
        if parts is not None:
            if not asks_for_token(part.name for part in parts):
                return body
            hidden = [is_credential_of_grant(part.name) for part in parts]
            return self._without_parts(body, parts, hidden, seen)
        before, text, encoding = _decoded(body)
        if text.lstrip()[:1] in ("{", "["):
            return before + self._json_token_request(text, seen).encode(encoding, "surrogateescape")
        if not asks_for_token(field.name for field in fields_of(text)):
            return body
        kept = self._without_fields(text, is_credential_of_grant, seen)
        return before + kept.encode(encoding, "surrogateescape")

    def _json_token_request(self, text: str, seen: Redacted) -> str:
        try:
            top = find_spans(text, lambda span: len(span.path) == 1 and span.named)
        except (ValueError, RecursionError):
            return self._broken_token_request(text, seen)
        if not asks_for_token(span.path[0] for span in top):
            return text
        told = (span for span in top if is_credential_of_grant(span.path[0]))
        return self._without_spans(text, [span for span in told if span.value not in (None, True, False)], seen)

    def _broken_token_request(self, text: str, seen: Redacted) -> str:
        """Return what only a lenient reader takes for JSON without what looks like credentials in it."""
        if not asks_for_token(found[1] for found in _MEMBER.finditer(text)):
            return text

        def without(found: re.Match[str]) -> str:
            name, value = found[1], found[2]
            if not is_credential_of_grant(name):
                return found[0]
            marker = self._mark(name, value.strip("\"'"), seen, f"body:/{name}")
            return f'{found[0][: -len(value)]}"{marker}"'

        return _MEMBER.sub(without, text)

    def _by_rules(self, body: bytes, seen: Redacted) -> bytes:
        parts = parts_of(body)
        if parts and all(part.name for part in parts):
            return self._parts_by_rules(body, parts, seen)
        before = codecs.BOM_UTF8 if body.startswith(codecs.BOM_UTF8) else b""
        try:
            text = body[len(before) :].decode("utf-8")
            spans = find_spans(text, lambda span: self._selects(span.path, named=span.named))
        except (ValueError, RecursionError):
            return self._unread_body(body, seen)
        return before + self._without_spans(text, spans, seen).encode("utf-8") if spans else body

    def _selects(self, path: tuple[str, ...], *, named: bool) -> bool:
        if not path:
            return False
        if named and path[-1] in self._names:
            return True
        return any(
            len(pointer) == len(path) and all(want in ("*", step) for want, step in zip(pointer, path, strict=True))
            for pointer in self._pointers
        )

    def _of_form(self, name: str) -> bool:
        """Whether a rule names a field of a form; of a pointer, the last name counts."""
        return not names_of(name).isdisjoint(self._names | {pointer[-1] for pointer in self._pointers})

    def _unread_body(self, body: bytes, seen: Redacted) -> bytes:
        text = body.decode("utf-8", "surrogateescape")
        if not FORM.fullmatch(text) or any("\ud800" <= letter <= "\udfff" for letter in text):
            return self._mark("body", text, seen, "body:").encode("ascii")
        return self._without_fields(text, self._of_form, seen).encode("utf-8")

    def _parts_by_rules(self, body: bytes, parts: list[Part], seen: Redacted) -> bytes:
        """Return a form with files without the parts, and without the members of JSON in parts, that rules name."""
        pieces, done = [], 0
        for part in parts:
            content = body[part.start : part.end]
            if self._of_form(part.name):
                kept = self._marked_part(part, content, seen)
            else:
                kept = self._inside(part, content, seen)
            pieces += [body[done : part.start], kept]
            done = part.end
        return b"".join([*pieces, body[done:]])

    def _without_parts(self, body: bytes, parts: list[Part], hidden: list[bool], seen: Redacted) -> bytes:
        pieces, done = [], 0
        for part, hides in zip(parts, hidden, strict=True):
            content = body[part.start : part.end]
            pieces += [body[done : part.start], self._marked_part(part, content, seen) if hides else content]
            done = part.end
        return b"".join([*pieces, body[done:]])

    def _marked_part(self, part: Part, content: bytes, seen: Redacted) -> bytes:
        if not content.strip():
            return content
        text = content.decode("utf-8", "surrogateescape")
        return self._mark(part.name, text, seen, f"body:/{_pointed(part.name)}").encode("ascii")

    def _inside(self, part: Part, content: bytes, seen: Redacted) -> bytes:
        """Return the content of a part: JSON, or lines of JSON, without what rules name in it.

        What should be read to know that, and cannot be, is replaced whole.
        """
        if content.startswith(_COMPRESSED):
            return self._marked_part(part, content, seen)
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            return self._marked_part(part, content, seen) if _may_be_text(part, content) else content
        if text.lstrip("\ufeff \t\r\n")[:1] not in ("{", "["):
            return content
        before, text = ("\ufeff", text[1:]) if text[:1] == "\ufeff" else ("", text)
        try:
            kept = self._json_of_part(part.name, text, seen)
        except (ValueError, RecursionError):
            try:
                kept = "".join(self._json_line(part.name, line, seen) for line in text.splitlines(keepends=True))
            except (ValueError, RecursionError):
                return self._marked_part(part, content, seen)
        return (before + kept).encode("utf-8")

    def _json_line(self, name: str, line: str, seen: Redacted) -> str:
        return self._json_of_part(name, line, seen) if line.strip() else line

    def _json_of_part(self, name: str, text: str, seen: Redacted) -> str:
        spans = find_spans(text, lambda span: bool(span.path) and self._in_part(name, span))
        return self._without_spans(text, spans, seen, within=(name,))

    def _in_part(self, name: str, span: Span) -> bool:
        return self._selects((name, *span.path), named=span.named)

    def _without_spans(self, text: str, spans: Iterable[Span], seen: Redacted, within: tuple[str, ...] = ()) -> str:
        pieces: list[str] = []
        at = 0
        for span in spans:
            value = text[span.start : span.end]
            secret = span.value if isinstance(span.value, str) else value
            pointer = "/" + "/".join(map(_pointed, (*within, *span.path)))
            around = "" if span.named else span.path[-2:][0]  # the name of its array
            kind = around if is_credential_member(around) else span.path[-1]
            marker = self._mark(kind, secret, seen, f"body:{pointer}")
            pieces += [text[at : span.start], '"', marker, '"']
            at = span.end
        return "".join([*pieces, text[at:]])

    def _without_fields(self, text: str, hides: Callable[[str], bool], seen: Redacted) -> str:
        """Return a form without the values of the fields that *hides* picks by their names."""

        def value_of(name: str, value: str) -> str | None:
            if not hides(name):
                return None
            seen.decoded(value)
            return self._mark(name, value, seen, f"body:/{name}")

        return with_values(text, value_of)


def _is_credential(name: str, text: str) -> bool:
    """Whether a text of JSON stands under the name of a credential."""
    return text != "" and is_credential_member(name)


def _read(
    body: bytes, places: Callable[[bytes], Iterable[int]], selects: Selects
) -> tuple[bytes, str, list[Span] | None]:
    """Return a byte order mark, the text after it, and the texts in it that are picked; None where it is no JSON.

    :param places: says of bytes where such texts begin, if they are JSON.
    """
    before = codecs.BOM_UTF8 if body.startswith(codecs.BOM_UTF8) else b""
    body = body[len(before) :]
    try:
        text = body.decode("utf-8")
        if text.lstrip()[:1] in ("{", "["):
            return before, text, find_texts(text, in_letters(body, text, places(body)), selects)
    except (ValueError, RecursionError):
        pass  # it is no JSON: what else it may be is looked at by its signs
    return before, body.decode("utf-8", "surrogateescape"), None


def _may_be_text(part: Part, content: bytes) -> bool:
    """Whether what is no UTF-8 may be a text of another charset."""
    start = content[:_LOOKED_AT]
    if _TEXTS.match(part.kind) or start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    return start.lstrip()[:1] in (b"{", b"[") or _CONTROL.search(start) is None


def _may_ask_for_token(body: bytes) -> bool:
    """Whether it is worth looking whether a payload asks for an OAuth token."""
    start = body[:8].lstrip()
    lower = body.lower()
    if b"grant" in lower or (b"client" in lower and (b"secret" in lower or b"assertion" in lower)):
        return True
    if start[:1] in (b"{", b"["):
        return b"\0" in start or (b"\\u00" in lower and _ESCAPED_NAME.search(lower) is not None)
    return b"\0" in start or body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"%" in body


def _decoded(body: bytes) -> tuple[bytes, str, str]:
    """Return a byte order mark, the text after it, and in what encoding that is (RFC 8259 §8.1, RFC 4627 §3)."""
    unmarked = b"", _unmarked_encoding(body[:4])
    mark, encoding = next((each for each in _MARKS if body.startswith(each[0])), unmarked)
    try:
        return mark, body[len(mark) :].decode(encoding), encoding
    except UnicodeDecodeError:
        return b"", body.decode("utf-8", "surrogateescape"), "utf-8"


def _unmarked_encoding(start: bytes) -> str:
    return _BY_NULLS.get("".join("0" if letter == 0 else "x" for letter in start), "utf-8")


def _pointed(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")
