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

from recorder.core.credentials import (
    MARKER as MARKER,
)
from recorder.core.credentials import (
    canonical,
    canonical_parameter,
    is_credential_header,
    is_credential_parameter,
)
from recorder.core.payload_redaction import PayloadRedaction
from recorder.errors import ConfigurationError

_URL_HEADERS: Final = frozenset({"location", "content-location", "referer", "link", "refresh"})
_SCHEMES: Final = re.compile(r"(?i)(basic|bearer|digest|negotiate|token|apikey|key|aws4-hmac-sha256)[ \t]+(?=\S)")
# Readers differ in what ends a line (RFC 9112 §2.2): whatever one of them takes for a header is one.
_LINE_END: Final = re.compile(rb"(\r\n|\n|\r)")
_LABELS: Final = re.compile(rb"[\r\n]([^:\r\n]+)(:?)")
_FIRST_LINE: Final = re.compile(rb"[^\r\n]*")
_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "content-encoding", "connection"})
_SHORTEST_ECHO: Final = 8
_MOST_KNOWN: Final = 512
_START_LINE: Final = re.compile(rb"HTTP/|[^\s:]+ [^\s:].*HTTP/\d")
_ATTRIBUTE: Final = re.compile(
    r"(?i)(?:expires=\w{3,9}, [\w :+-]*|(?:path|domain|expires|max-age|samesite|priority)=[^,\"]*"
    r"|secure|httponly|partitioned|)"
)
_DEEPEST: Final = 4
_ANY_START: Final = b"GET / HTTP/1.1\r\n"  # a head begins with a line that is no header
_PARAMETER: Final = re.compile(r"[?&;#]([^=&;#?\s]+)=")
_VALUE: Final = re.compile(r"[^&#\s]*")
_VALUE_IN_HEADER: Final = re.compile(r"[^&#\s>\"]*")
_USERINFO: Final = re.compile(r"(//)([^/?#@\s]*(?:@[^/?#@\s]*)*)@")


@dataclass(slots=True)
class Redacted:
    """What was replaced in one message.

    :ivar places: ``header:NAME``, ``url:PARAMETER``, ``url:userinfo`` and ``body:/json/pointer``.
    :ivar secrets: the values, to scrub them from error messages; never written anywhere.
    """

    places: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)

    def decoded(self, value: str) -> None:
        """Note the value of a form's field or of a parameter as it is once decoded, too."""
        self.secrets.append(unquote_plus(value))


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
        self._payloads = PayloadRedaction(self._mark)
        self._harmless: dict[tuple[tuple[bytes, bytes], ...], bool] = {}  # by the names of a head's headers
        if not isinstance(rules, str | Iterable):
            raise ConfigurationError(f"redact={rules!r} is no list of rules: use a list of texts")
        for rule in (rules,) if isinstance(rules, str) else rules:
            if not isinstance(rule, str):
                raise ConfigurationError(f"redaction rule {rule!r} is no text: use header:NAME or another")
            self._add(rule)

    def _add(self, rule: str) -> None:
        where, colon, what = (part.strip() for part in rule.partition(":"))
        if not colon:
            where, what = "body", where
        if where not in ("header", "query", "body") or not (what if where == "body" else canonical(what)):
            raise ConfigurationError(
                f"redaction rule {rule!r} is not understood: "
                "use header:NAME, query:NAME, body:NAME or body:/json/pointer"
            )
        if where == "header":
            self._headers.add(canonical(what))
        elif where == "query":
            self._query.add(canonical(what))
        else:
            self._payloads.add(what)

    @property
    def reads_bodies(self) -> bool:
        """Whether a request's payload has to be complete before it can be redacted."""
        return self._payloads.has_rules

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

        Only the first line may be a start line, its URL is redacted; every other line with a colon is
        a header, whatever its name looks like. A line ends with CRLF, LF or CR.

        :param head: start line and header lines as on the wire.
        """
        if self._holds_nothing(head):
            return head
        parts = [*_LINE_END.split(head), b""]
        kept: list[bytes] = []
        hiding = False  # inside a value that is a credential
        marked = False  # its marker stands already
        before = b""
        for index in range(0, len(parts), 2):
            line, end = parts[index], parts[index + 1]
            if hiding and line.strip() and (line[:1] in (b" ", b"\t") or before == b"\r"):
                before = end
                secret = line.strip().decode("latin-1")
                if marked:
                    seen.secrets.append(secret)  # a folded continuation of a value that was replaced
                    kept[-1] = end
                else:
                    kept += [b" ", self._mark("folded", secret, seen, "header:folded").encode("latin-1"), end]
                    marked = True
                continue
            redacted, hiding, marked = self._head_line(line, index == 0, seen)
            before = end
            kept += [redacted, end]
        return b"".join(kept)

    def without_echoes(self, head: bytes, secrets: Iterable[str], seen: Redacted) -> bytes:
        """Return the head of an answer (or trailers) without values that were redacted in its request.

        Headers that say how the answer is framed stay: without them it could not be read.

        :param secrets: these values; what has fewer than 8 characters is left, since it stands there by chance.
        """
        wanted = [one.encode("latin-1", "replace") for one in secrets if len(one) >= _SHORTEST_ECHO]
        if not any(secret in head for secret in wanted):
            return head
        parts = _LINE_END.split(head)
        for index in range(0, len(parts), 2):
            name = parts[index].partition(b":")[0].decode("latin-1").strip().lower()
            if name in _FRAMING:
                continue
            place = ":status" if index == 0 and _START_LINE.match(parts[index]) else name
            for secret in sorted(wanted, key=len, reverse=True):
                if secret in parts[index]:
                    marker = self._mark("echo", secret.decode("latin-1"), seen, f"header:{place}")
                    parts[index] = parts[index].replace(secret, marker.encode("ascii"))
        return b"".join(parts)

    def _holds_nothing(self, head: bytes) -> bool:
        """Whether nothing in *head* could be replaced: told by the names of its headers, which come again and again."""
        first = _FIRST_LINE.match(head)
        if first is None or not _START_LINE.match(first[0]) or b"=" in first[0] or b"@" in first[0]:
            return False
        names = tuple(_LABELS.findall(head))
        known = self._harmless.get(names)
        if known is None:
            known = all(colon and not self._may_hold(name.decode("latin-1")) for name, colon in names)
            if len(self._harmless) >= _MOST_KNOWN:
                self._harmless.clear()
            self._harmless[names] = known
        return known

    def _may_hold(self, name: str) -> bool:
        return self._hides(name) or canonical(name) in _URL_HEADERS

    def _head_line(self, line: bytes, first: bool, seen: Redacted) -> tuple[bytes, bool, bool]:
        """The line redacted; whether its value is a credential; whether a marker stands for it."""
        name, colon, rest = line.partition(b":")
        label = name.decode("latin-1")
        if (first and _START_LINE.match(line)) or not colon or not self._hides(label):
            if first or canonical(label) in _URL_HEADERS:
                return self.url(line.decode("latin-1"), seen, in_header=not first).encode("latin-1"), False, False
            return line, False, False
        value = rest.decode("latin-1")
        redacted = self._header_value(label, value, seen)
        return name + b":" + redacted.encode("latin-1"), True, redacted != value

    def _hides(self, name: str) -> bool:
        return is_credential_header(name) or canonical(name) in self._headers

    def _header_value(self, name: str, rest: str, seen: Redacted) -> str:
        """The rest of a credential's header line after the colon, redacted."""
        lower = name.strip().lower()
        value = rest.strip()
        if not value:
            return rest
        start = rest.index(value)
        before, end = rest[:start], rest[start + len(value) :]
        place = f"header:{lower}"
        if "cookie" in lower:
            return before + self._cookies(value, seen, place, only_first="set" in lower) + end
        scheme = _SCHEMES.match(value) if lower.endswith("authorization") else None
        prefix = scheme.group(0) if scheme else ""
        return before + prefix + self._mark(lower, value[len(prefix) :], seen, place) + end

    def _cookies(self, value: str, seen: Redacted, place: str, *, only_first: bool) -> str:
        """The cookies of a header without their values; names and a Set-Cookie's attributes are kept.

        Where a quote or a joined header leaves in doubt where a value ends, all of it is replaced.
        """
        parts = value.split(";")
        if '"' in value or (only_first and not all(_ATTRIBUTE.fullmatch(part.strip()) for part in parts[1:])):
            parts = [value]
        for index, part in enumerate(parts[:1] if only_first else parts):
            name, equals, secret = part.partition("=")
            name, secret = (name + equals, secret) if equals else ("", part)
            if secret.strip():
                parts[index] = name + self._mark("cookie", secret.strip(), seen, place)
        return ";".join(parts)

    def url(self, url: str, seen: Redacted, *, in_header: bool = False) -> str:
        """Return *url* (or a text that holds one) without userinfo and credential parameters.

        A parameter's value runs to ``&``, ``#``, white space or the end: ``;`` and ``'`` may be part of it.

        :param in_header: *url* is a header line, in which ``>`` and ``"`` end a value too.
        """

        def without_userinfo(match: re.Match[str]) -> str:
            user, _, password = match.group(2).partition(":")
            seen.secrets += [part for part in (user, password) if part]
            return f"{match.group(1)}{self._mark('userinfo', match.group(2), seen, 'url:userinfo')}@"

        if "@" in url:
            url = _USERINFO.sub(without_userinfo, url)
        return self._without_parameters(url, seen, _VALUE_IN_HEADER if in_header else _VALUE) if "=" in url else url

    def _without_parameters(self, url: str, seen: Redacted, until: re.Pattern[str], *, nested: bool = True) -> str:
        pieces: list[str] = []
        at = 0
        looked_into = 0 if nested else len(url)  # a value may hold parameters: it is decoded once, not for each
        match = _PARAMETER.search(url)
        while match:
            name, end = match.group(1), match.end()
            hides = self._hides_parameter(name)
            found = until.match(url, end) if hides or end >= looked_into else None
            value = found.group(0) if found else ""
            looked_into = max(looked_into, end + len(value))
            if value and (hides or self._nests_a_credential(value)):
                end += len(value)
                seen.secrets.append(unquote_plus(value))
                pieces += [url[at : match.end()], self._mark(name, value, seen, f"url:{name}")]
                at = end
            match = _PARAMETER.search(url, end)
        return "".join([*pieces, url[at:]])

    def _hides_parameter(self, name: str) -> bool:
        return is_credential_parameter(name) or not self._query.isdisjoint(canonical_parameter(name))

    def _nests_a_credential(self, value: str) -> bool:
        """Whether *value* is an encoded URL with a credential in it, or encoded too often to tell."""
        for _ in range(_DEEPEST):
            inner = unquote_plus(value)
            if inner == value:
                return False
            plain = _USERINFO.sub("//", inner)
            if plain != inner or self._without_parameters(inner, Redacted(), _VALUE, nested=False) != inner:
                return not MARKER.fullmatch(value)
            value = inner
        return True

    def headers(self, headers: Iterable[tuple[bytes, bytes]], seen: Redacted) -> None:
        """Note what would be replaced in the headers of a request whose head is nowhere written."""
        for name, value in headers:
            if self._may_hold(name.decode("latin-1")):
                self.head(b"%s%s: %s\r\n" % (_ANY_START, name, value), seen)

    def body(self, body: bytes, seen: Redacted) -> bytes:
        """Return a request's payload with the user's fields replaced; every other byte stays as it is.

        Replaced whatever the rules: the credentials in a request for an OAuth token; texts in JSON and forms under
        names that only credentials have; and what stands there again of what was replaced in the same request before.
        A payload that is neither JSON nor a form nor one with files, readable as UTF-8, is replaced whole (a compressed
        one, another charset): when in doubt, nothing is written.
        """
        return self._payloads.redacted(body, seen)


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Return *text* without any of the *secrets*: error messages quote URLs and headers."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= 4:
            text = text.replace(secret, "~redacted~")
    return text
