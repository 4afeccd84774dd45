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
    *("session-token", "security-token", "authorization-token", "authorization", "client-secret", "client-assertion"),
    *("secret-key", "secret-access-key", "private-key", "subscription-key"),
)
_ENDS: Final = tuple(name.replace("-", "") for name in _NAMES)
#: How the last words of these names end, as people write them: whether one is there is told in no time.
_LAST: Final = tuple(
    form
    for word in (b"key", b"token", b"secret", b"zation", b"assertion")
    for form in (word, word.title(), word.upper())
)
_IN_JSON: Final = tuple(last + b'"' for last in _LAST)
_IN_FORM: Final = tuple(last + b"=" for last in _LAST)
_PARTED: Final = "|".join(name.replace("-", r"[\W_]?") for name in _NAMES).encode("ascii")
_JSON_NAME: Final = re.compile(rb'(?i)(?:%s)"\s*:\s*"[^"]' % _PARTED)
_FORM_NAME: Final = re.compile(rb"(?i)(?:%s)=[^&]" % _PARTED)
#: A member whose value is a text, wherever it stands: also in what only a lenient reader takes for JSON.
MEMBER: Final = re.compile(rb'"([\w.\- ]{1,64})"(\s*:\s*)"((?:[^"\\]|\\.)+)"', re.DOTALL)
_SCHEME: Final = re.compile(r"(?i)(?:basic|bearer|token|apikey|key)[ \t]+")


@lru_cache(maxsize=512)
def is_credential_member(name: str) -> bool:
    """Whether a text that a payload has under this name is a credential by the built-in rules."""
    return canonical(name).replace("-", "").endswith(_ENDS)


def names_a_credential(payload: bytes) -> bool:
    """Whether it is worth looking for members of such names: nearly no payload has one."""
    if any(last in payload for last in _IN_JSON) and _JSON_NAME.search(payload) is not None:
        return True
    is_json = payload[:1] in (b"{", b"[")
    return not is_json and any(last in payload for last in _IN_FORM) and _FORM_NAME.search(payload) is not None


def repeated_in(payload: bytes, secrets: Iterable[str]) -> list[str]:
    """Return which values of a request's head or URL stand in its payload as they are, the longest first."""
    told = {secret for secret in secrets if len(secret) >= SHORTEST}
    found = (secret for secret in told if secret.encode("utf-8", "surrogateescape") in payload)
    return sorted(found, key=lambda secret: (-len(secret), secret))


def is_all_of(text: str, secret: str) -> bool:
    """Whether a text is a credential and nothing else, but for the scheme before it."""
    scheme = _SCHEME.match(text)
    return text == secret or (scheme is not None and text[scheme.end() :] == secret)
