"""Credentials out, typed markers in, before anything is written.

A marker is ``~redacted~KIND~FINGERPRINT~``: it survives in a header, a URL and a JSON string as it
is. The fingerprint is keyed (BLAKE2b, RFC 7693), so that one can see that the same key was used
without being able to guess it. The key comes in as an argument and lives outside the store.

Rules given by the user add to the built-in ones; nothing takes a built-in rule away.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_plus

from recorder.core.json_spans import Span, find_spans
from recorder.errors import ConfigurationError

MARKER: Final = re.compile(r"~redacted~[a-z0-9-]+~[0-9a-f]{16}~")

_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "set-cookie2"})
_URL_HEADERS: Final = frozenset({"location", "content-location", "referer", "link", "refresh"})
_QUERY: Final = frozenset(
    re.findall(
        r"\S+",
        """key api-key apikey access-key accesskey access-token auth auth-token authorization client-secret code
        credential credentials id-token jwt password passwd pwd refresh-token secret session-token sig signature
        subscription-key token x-amz-credential x-amz-security-token x-amz-signature x-api-key
        x-goog-credential x-goog-signature""",
    )
)
_SCHEMES: Final = re.compile(r"(?i)(basic|bearer|digest|negotiate|token|apikey|key|aws4-hmac-sha256)[ \t]+(?=\S)")
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
_QUERY_FIELD: Final = re.compile(r"([?&;])([^=&;#\s]+)=([^&;#\s>\"']*)")
_USERINFO: Final = re.compile(r"(//)([^/?#@\s]*(?:@[^/?#@\s]*)*)@")


def is_credential_header(name: str) -> bool:
    """Whether the values of this header are credentials by the built-in rules."""
    name = name.lower().replace("_", "-").strip()
    return (
        name in _HEADERS
        or "api-key" in name
        or "apikey" in name
        or "secret" in name
        or name.rsplit("-", 1)[-1] == "token"
    )


def is_credential_parameter(name: str) -> bool:
    """Whether the values of this query parameter are credentials by the built-in rules."""
    return unquote_plus(name).lower().replace("_", "-") in _QUERY


@dataclass(slots=True)
class Redacted:
    """What was replaced in one message.

    :ivar places: ``header:NAME``, ``url:PARAMETER``, ``url:userinfo`` and ``body:/json/pointer``.
    :ivar secrets: the values, to scrub them from error messages; never written anywhere.
    """

    places: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)


class Redaction:
    """The rules and the key of one recorder or player.

    :param key: the fingerprint key, up to 64 bytes.
    :param rules: ``"header:NAME"``, ``"query:NAME"``, ``"body:NAME"`` (that JSON field at any depth),
        ``"body:/a/*/b"`` (a JSON Pointer, RFC 6901, ``*`` for any index or name); a bare name means
        ``body:``.
    :raises ConfigurationError: a rule is not of that form.
    """

    def __init__(self, key: bytes, rules: Iterable[str] = ()) -> None:
        self._key = hashlib.sha256(key).digest()
        self._headers: set[str] = set()
        self._query: set[str] = set()
        self._names: set[str] = set()
        self._pointers: list[tuple[str, ...]] = []
        for rule in (rules,) if isinstance(rules, str) else rules:
            self._add(rule)

    def _add(self, rule: str) -> None:
        where, colon, what = rule.partition(":")
        if not colon:
            where, what = "body", rule
        if not what.strip() or where not in ("header", "query", "body"):
            raise ConfigurationError(
                f"redaction rule {rule!r} is not understood: "
                "use header:NAME, query:NAME, body:NAME or body:/json/pointer"
            )
        if where == "header":
            self._headers.add(what.lower())
        elif where == "query":
            self._query.add(what.lower())
        elif what.startswith("/"):
            steps = what[1:].split("/")
            self._pointers.append(tuple(step.replace("~1", "/").replace("~0", "~") for step in steps))
        else:
            self._names.add(what)

    @property
    def reads_bodies(self) -> bool:
        """Whether a request's payload has to be complete before it can be redacted."""
        return bool(self._names or self._pointers)

    def fingerprint(self, value: str) -> str:
        """Return 16 hexadecimal digits that are the same for the same value and key only."""
        return hashlib.blake2b(value.encode("utf-8", "surrogatepass"), key=self._key, digest_size=8).hexdigest()

    def _mark(self, kind: str, value: str, seen: Redacted, place: str) -> str:
        if MARKER.fullmatch(value):
            return value
        seen.places.append(place)
        seen.secrets.append(value)
        kind = re.sub(r"[^a-z0-9-]+", "-", kind.lower()) or "value"
        return f"~redacted~{kind}~{self.fingerprint(value)}~"

    def head(self, head: bytes, seen: Redacted) -> bytes:
        """Return a request's or a response's head (or trailers) with the credentials replaced.

        :param head: start line and header lines as on the wire; a first line without a colon before
            its first space is taken for a start line, its URL is redacted.
        """
        lines = head.split(b"\n")
        kept: list[bytes] = []
        dropping = False
        for index, line in enumerate(lines):
            if dropping and line[:1] in (b" ", b"\t"):
                seen.secrets.append(line.strip().decode("latin-1"))
                continue  # a folded continuation of a value that was replaced
            dropping = False
            name, colon, rest = line.partition(b":")
            if not colon or b" " in name:
                kept.append(self.url(line.decode("latin-1"), seen).encode("latin-1") if index == 0 else line)
                continue
            redacted = self._header_value(name.decode("latin-1"), rest.decode("latin-1"), seen)
            dropping = redacted is not None and bool(seen.places) and seen.places[-1].startswith("header:")
            kept.append(line if redacted is None else name + b":" + redacted.encode("latin-1"))
        return b"\n".join(kept)

    def _header_value(self, name: str, rest: str, seen: Redacted) -> str | None:
        """The rest of a header line after the colon, redacted; None where nothing is to be replaced."""
        lower = name.strip().lower()
        if lower in _URL_HEADERS:
            replaced = self.url(rest, seen)
            return replaced if replaced != rest else None
        if not (is_credential_header(lower) or lower in self._headers):
            return None
        value = rest.strip()
        if not value:
            return None
        start = rest.index(value)
        before, end = rest[:start], rest[start + len(value) :]
        place = f"header:{lower}"
        if "cookie" in lower:
            return before + self._cookies(value, seen, place, only_first=lower.startswith("set-")) + end
        scheme = _SCHEMES.match(value) if lower.endswith("authorization") else None
        prefix = scheme.group(0) if scheme else ""
        return before + prefix + self._mark(lower, value[len(prefix) :], seen, place) + end

    def _cookies(self, value: str, seen: Redacted, place: str, *, only_first: bool) -> str:
        """The cookies of a header without their values; names and a Set-Cookie's attributes are kept."""
        parts = value.split(";")
        for index, part in enumerate(parts[:1] if only_first else parts):
            name, equals, secret = part.partition("=")
            name, secret = (name + equals, secret) if equals else ("", part)
            if secret.strip():
                parts[index] = name + self._mark("cookie", secret.strip(), seen, place)
        return ";".join(parts)

    def url(self, url: str, seen: Redacted) -> str:
        """Return *url* (or a text that holds one) without userinfo and credential parameters."""

        def without_userinfo(match: re.Match[str]) -> str:
            user, _, password = match.group(2).partition(":")
            seen.secrets += [part for part in (user, password) if part]
            return f"{match.group(1)}{self._mark('userinfo', match.group(2), seen, 'url:userinfo')}@"

        def without_credential(match: re.Match[str]) -> str:
            name = match.group(2)
            if not match.group(3) or not (is_credential_parameter(name) or unquote_plus(name).lower() in self._query):
                return match.group(0)
            seen.secrets.append(unquote_plus(match.group(3)))
            return f"{match.group(1)}{name}={self._mark(name, match.group(3), seen, f'url:{name}')}"

        if "@" in url:
            url = _USERINFO.sub(without_userinfo, url)
        if "=" in url:
            url = _QUERY_FIELD.sub(without_credential, url)
        return url

    def body(self, body: bytes, seen: Redacted) -> bytes:
        """Return a request's payload with the user's fields replaced; every other byte stays as it is.

        A payload that holds one of the names but cannot be read as JSON or as a form is replaced
        whole: when in doubt, nothing is written.
        """
        if not self.reads_bodies or not body:
            return body
        try:
            text = body.decode("utf-8")
            spans = find_spans(text, self._selects)
        except (ValueError, RecursionError):
            return self._unread_body(body, seen)
        pieces: list[str] = []
        at = 0
        for span in spans:
            value = text[span.start : span.end]
            secret = span.value if isinstance(span.value, str) else value
            pointer = "/" + "/".join(step.replace("~", "~0").replace("/", "~1") for step in span.path)
            marker = self._mark(span.path[-1], secret, seen, f"body:{pointer}")
            pieces += [text[at : span.start], '"', marker, '"']
            at = span.end
        return body if not pieces else "".join([*pieces, text[at:]]).encode("utf-8")

    def _selects(self, span: Span) -> bool:
        if not span.path:
            return False
        if span.named and span.path[-1] in self._names:
            return True
        return any(
            len(pointer) == len(span.path)
            and all(want in ("*", step) for want, step in zip(pointer, span.path, strict=True))
            for pointer in self._pointers
        )

    def _unread_body(self, body: bytes, seen: Redacted) -> bytes:
        names = self._names | {pointer[-1] for pointer in self._pointers}
        text = body.decode("utf-8", "surrogateescape")
        spelled = (text, unquote_plus(text), _ESCAPED.sub(lambda match: chr(int(match.group(1), 16)), text))
        if not any(name in spelling for name in names for spelling in spelled):
            return body
        form = re.compile(r"(^|&)([^=&]+)=([^&]*)")
        if re.fullmatch(r"[^=&\s{\[\"]+=[^&\s]*(&[^=&\s]+=[^&\s]*)*", text):

            def without_field(match: re.Match[str]) -> str:
                name = unquote_plus(match.group(2))
                if name not in names or not match.group(3):
                    return match.group(0)
                seen.secrets.append(unquote_plus(match.group(3)))
                return f"{match.group(1)}{match.group(2)}={self._mark(name, match.group(3), seen, f'body:/{name}')}"

            return form.sub(without_field, text).encode("utf-8", "surrogateescape")
        return self._mark("body", text, seen, "body:").encode("ascii")


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Return *text* without any of the *secrets*: error messages quote URLs and headers."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= 4:
            text = text.replace(secret, "~redacted~")
    return text
