"""Members of payloads that hold credentials by their names, whatever the rules, and credentials that stand there again.

Providers take keys of other services in the JSON of a request (``tools[].authorization``, ``api_key``), and gateways
the caller's own. Names in payloads are those of an API, of a tool's arguments, of a user's data: so only names that
say nothing else count (``password`` does not: it is as often data), and only where their values are texts:
``{"api_key": {"type": "string"}}`` is a schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from recorder.core.credentials import canonical

#: Shorter values stand in a payload by chance.
SHORTEST: Final = 8
#: How the names end; whether or not their words are parted.
_NAMES: Final = (
    *("api-key", "api-secret", "api-token", "access-token", "refresh-token", "id-token", "auth-token", "bearer-token"),
    *("session-token", "security-token", "authorization-token", "authorization", "client-secret"),
    *("secret-key", "secret-access-key", "private-key", "subscription-key"),
)
_ENDS: Final = tuple(name.replace("-", "") for name in _NAMES)
#: How the last words of these names end: whether one is there is told in no time.
_LAST: Final = (b"key", b"token", b"secret", b"zation")
_IN_JSON: Final = tuple(last + b'"' for last in _LAST)
_IN_FORM: Final = tuple(last + b"=" for last in _LAST)
_VALUE: Final = re.compile(rb'\s*:\s*"[^"]')  # of a member: a text that is not empty
_LONGEST: Final = 64  # characters of a name
#: A member whose value is a text, wherever it stands: also in what only a lenient reader takes for JSON.
MEMBER: Final = re.compile(rb'"([\w.\- ]{1,64})"(\s*:\s*)"((?:[^"\\]|\\.)+)"', re.DOTALL)
_SCHEME: Final = re.compile(r"(?i)(?:basic|bearer|token|apikey|key)[ \t]+")


@lru_cache(maxsize=512)
def is_credential_member(name: str) -> bool:
    """Whether a text that a payload has under this name is a credential by the built-in rules."""
    return canonical(name).replace("-", "").endswith(_ENDS)


def names_a_credential(payload: bytes) -> bool:
    """Whether it is worth looking for members of such names: nearly no payload has one."""
    lower = payload.lower()
    if any(_names_one(payload, lower, last, b'"') for last in _IN_JSON if last in lower):
        return True
    is_json = payload[:1] in (b"{", b"[")
    return not is_json and any(_names_one(payload, lower, last, b"&") for last in _IN_FORM if last in lower)


def _names_one(payload: bytes, lower: bytes, last: bytes, before: bytes) -> bool:
    """Whether a name that ends so is that of a credential, and a text follows it.

    :param lower: the payload in lower case.
    :param last: the end of the name, and the sign after it; *before*: the sign that stands before a name.
    """
    at = lower.find(last)
    while at >= 0:
        end = at + len(last)
        name = payload[payload.rfind(before, max(0, at - _LONGEST), at) + 1 : end - 1]
        is_text = (
            _VALUE.match(payload, end) is not None if before == b'"' else payload[end : end + 1] not in (b"", b"&")
        )
        if is_text and len(name) <= _LONGEST and is_credential_member(name.decode("latin-1")):
            return True
        at = lower.find(last, end)
    return False


def repeated_in(payload: bytes, secrets: Iterable[str]) -> list[str]:
    """Return which values of a request's head or URL stand in its payload as they are, the longest first."""
    told = {secret for secret in secrets if len(secret) >= SHORTEST}
    found = (secret for secret in told if secret.encode("utf-8", "surrogateescape") in payload)
    return sorted(found, key=lambda secret: (-len(secret), secret))


def is_all_of(text: str, secret: str) -> bool:
    """Whether a text is a credential and nothing else, but for the scheme before it."""
    scheme = _SCHEME.match(text)
    return text == secret or (scheme is not None and text[scheme.end() :] == secret)
