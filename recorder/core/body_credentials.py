"""Members of payloads that hold credentials by their names, whatever the rules, and credentials that stand there again.

Providers take keys of other services in the JSON of a request (``tools[].authorization``, ``api_key``), and gateways
the caller's own. Names in payloads are those of an API, of a tool's arguments, of a user's data: so only names that
say nothing else count (``password`` does not: it is as often data; ``bid_token`` is no ``id_token``), and only where
their values are texts: ``{"api_key": {"type": "string"}}`` is a schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus

from recorder.core.credentials import canonical
from recorder.core.json_texts import STRING

#: What is shorter can be a word of a prompt: the dummies that servers without keys are given are (``lm-studio``).
SHORTEST: Final = 16
#: How the names end: whole words, parted or as one.
_NAMES: Final = (
    *("api-key", "api-secret", "api-token", "access-token", "refresh-token", "auth-token", "bearer-token"),
    *("session-token", "authorization-token", "client-secret"),
    *("secret-key", "secret-access-key", "private-key", "subscription-key"),
)
#: Names that are those of something else after other words: and after which words they are not.
_AFTER: Final = {
    "authorization": {"", "x", "proxy"},
    "id-token": {"", "x", "oidc", "oauth", "openid", "google", "firebase"},
    "security-token": {"aws", "amz"},
}
_JOINED: Final = {name.replace("-", "") for name in _NAMES}
_JOINED_AFTER: Final = {name.replace("-", ""): words for name, words in _AFTER.items()}
_MOST_WORDS: Final = max(name.count("-") + 1 for name in _NAMES)
_NEW_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
#: How the last words of these names end: whether one is there is told in no time.
_LAST: Final = (b"key", b"token", b"secret", b"zation")
_ENDS: Final = frozenset(last[-3:].decode() for last in _LAST)
_IN_JSON: Final = tuple(last + b'"' for last in _LAST)
_LONGEST: Final = 256  # bytes of a name
_TEXTS: Final = rb"(?!\"\")%s|\[\s*+%s(?:\s*+,\s*+%s)*+\s*+\]" % (STRING, STRING, STRING)
_VALUE: Final = re.compile(rb"\s*+:\s*+(?:\"[^\"]|\[\s*+\")")  # of a member: a text that is not empty, or an array
_VALUES: Final = re.compile(rb"\s*+:\s*+(%s)" % _TEXTS, re.DOTALL)
#: A text of JSON, with its quotes.
TEXT: Final = re.compile(STRING, re.DOTALL)
#: Letters, digits and what parts words, as no writer of JSON escapes them, unless to hide them.
_ESCAPED: Final = re.compile(rb"\\u00(?:2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aA])")
_FORM_START: Final = re.compile(rb"[^=&\s{\[\"\x00-\x20]{1,256}=")
_FIELD: Final = re.compile(rb"(?:\A|[&;\r\n])([^=&;\s]{1,256})=[^&]")
_DISPOSITION: Final = re.compile(rb"form-data\s*+;[^\r\n]*+(?:\r?\n[ \t][^\r\n]*+)*+")  # in small letters
#: A member whose value is a text or an array of texts, wherever it stands: also in what only a lenient reader takes for
#: JSON.
MEMBER: Final = re.compile(rb'"([\w.\- \x80-\xff]{1,256})"(\s*+:\s*+)(%s)' % _TEXTS, re.DOTALL)
_SCHEME: Final = re.compile(r"(?i)(?:basic|bearer|token|apikey|key)[ \t]+")


def is_credential_member(name: str) -> bool:
    """Whether a text that a payload has under this name is a credential by the built-in rules."""
    return name[-3:].lower() in _ENDS and _is_credential_name(name)


@lru_cache(maxsize=512)
def _is_credential_name(name: str) -> bool:
    return any(_ends_as_one(form.split("-")) for form in {canonical(name), canonical(_NEW_WORD.sub("-", name))})


def _ends_as_one(words: list[str]) -> bool:
    for count in range(1, min(len(words), _MOST_WORDS) + 1):
        last, before = "".join(words[-count:]), words[:-count]
        if last in _JOINED or (before[-1] if before else "") in _JOINED_AFTER.get(last, ()):
            return True
    return False


def names_a_credential(payload: bytes) -> bool:
    """Whether it is worth looking for members of such names: nearly no payload has one."""
    if next(credentials_in(payload), None) is not None:
        return True
    if payload.lstrip()[:1] in (b"{", b"["):
        return b"\\u00" in payload and _ESCAPED.search(payload) is not None
    if _FORM_START.match(payload):
        return any(is_credential_member(_text(name)) for name in _FIELD.findall(payload))
    return names_a_part(payload)


def names_a_part(payload: bytes) -> bool:
    """Whether a payload may be a form with files in which a part has such a name."""
    if payload.lstrip()[:1] in (b"{", b"["):
        return False
    heads = (head[0] for head in _DISPOSITION.finditer(payload.lower()))
    return any(b"%" in head or any(last in head for last in _LAST) for head in heads)


def credentials_in(payload: bytes) -> Iterator[int]:
    """Yield where texts begin that stand under such names, if the payload is JSON: there a quote inside of a text is
    escaped, and so whatever looks like the end of a name is one.
    """
    lower = payload.lower()
    for end in sorted(end for last in _IN_JSON for end in _ends_of(payload, lower, last)):
        values = _VALUES.match(payload, end)
        if values is not None:
            yield from (string.start() for string in TEXT.finditer(payload, *values.span(1)) if len(string[0]) > 2)
        else:
            yield end  # it ends nowhere, or is an array of other things, too


def _ends_of(payload: bytes, lower: bytes, last: bytes) -> Iterator[int]:
    """Yield the ends of names of credentials that end so, where a text follows.

    :param lower: the payload in lower case.
    :param last: the end of the name, and the quote after it.
    """
    at = lower.find(last)
    while at >= 0:
        end = at + len(last)
        if _VALUE.match(payload, end) is not None:
            start = payload.rfind(b'"', max(0, at - _LONGEST), at) + 1
            if start and is_credential_member(_named(payload[start : end - 1])):
                yield end
        at = lower.find(last, end)


def _named(written: bytes) -> str:
    """Return a name of JSON as it is read."""
    name = written.decode("utf-8", "replace")
    if "\\" not in name:
        return name
    try:
        return str(json.loads(f'"{name}"'))
    except ValueError:  # it is no name, or only the end of one
        return name


def _text(written: bytes) -> str:
    return unquote_plus(written.decode("utf-8", "replace"))


def can_be_key(secret: str) -> bool:
    """Whether a value is long and random enough that it stands in a payload for nothing else than itself.

    A dummy is none: it would be cut out of what is said, where the next dummy is not.
    """
    return (
        len(secret) >= SHORTEST
        and not any(map(str.isspace, secret))
        and any(map(str.isdigit, secret))
        and any(map(str.isalpha, secret))
    )


def repeated_in(payload: bytes, secrets: Iterable[str]) -> list[str]:
    """Return which values of a request's head, URL or payload stand in its payload as they are, the longest first."""
    told = {secret for secret in secrets if can_be_key(secret)}
    return sorted((one for one in told if written(one) in payload), key=lambda secret: (-len(secret), secret))


def written(secret: str) -> bytes:
    """Return a value as it stands in a payload; of half a surrogate pair, which only escapes write, what none has."""
    try:
        return secret.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return secret.encode("utf-8", "surrogatepass")


def is_all_of(text: str, secret: str) -> bool:
    """Whether a text is a credential and nothing else, but for the scheme before it."""
    scheme = _SCHEME.match(text)
    return text == secret or (scheme is not None and text[scheme.end() :] == secret)
