"""Which headers and query parameters hold credentials, by their names.

A name is compared as readers compare it: case does not count, ``_`` and ``.`` are ``-``, and where a small
letter stands before a capital a word begins (``accessToken``). It names a credential where it is in one of
the lists below, holds ``api-key`` or ``secret``, has one of :data:`_WORDS` as a word or of :data:`_LAST_WORDS` as
its last word, or ends with one of :data:`_ENDS` whether or not its words are parted. ``max_tokens`` and
``x-ratelimit-remaining-tokens`` do not: their last word is another one.

What is listed here is listed in docs/format.md, "Redaction".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus

#: What stands in the place of a credential.
MARKER: Final = re.compile(r"~redacted~[a-z0-9-]+~[0-9a-f]{16}~")

_HEADERS: Final = frozenset(
    re.findall(
        r"\S+",
        """cookie set-cookie set-cookie2 authentication-info proxy-authentication-info
        key x-key access x-access sid x-sid sas x-sas pat x-pat""",
    )
)
_PARAMETERS: Final = frozenset({"key", "code", "sas", "sid"})
#: Parameters that go through pages, and let nobody in.
_PAGES: Final = frozenset(
    {"page-token", "next-page-token", "prev-page-token", "next-token", "continuation-token", "sync-token"}
)
_ANYWHERE: Final = ("api-key", "apikey", "secret")
_WORDS: Final = frozenset({"jwt", "signature"})
_LAST_WORDS: Final = frozenset(
    re.findall(
        r"\S+",
        """assertion auth authentication authorization bearer credential credentials pass passphrase passwd password
        pw pwd session sig signature""",
    )
)
_KEYS: Final = re.findall(
    r"\S+",
    """access account app application auth encryption encryption-customer function functions license licence master
    pass private service session shared signing subscription""",
)
_ENDS: Final = (
    *("token", "password", "passwd", "passphrase", "sessionid", "accesskeyid", "credential"),
    *(f"{kind.replace('-', '')}key" for kind in _KEYS),
)
#: Members of a request for an OAuth token that let somebody in, beside those whose name sounds like it.
_GRANTS: Final = frozenset(
    {"code-verifier", "device-code", "user-code", "auth-req-id", "otp", "passcode", "oob-code", "binding-code"}
)
#: Members that only a request for an OAuth token has, or one of a client that says who it is.
_TOKEN_REQUEST: Final = frozenset({"grant-type", "client-secret", "client-assertion"})
_NEW_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@lru_cache(maxsize=512)
def canonical(name: str) -> str:
    """Return a name as it is compared: readers fold case, drop blanks, take ``_`` or ``.`` for ``-``."""
    return re.sub(r"[\W_]+", "-", name.lower()).strip("-")


def canonical_parameter(name: str) -> set[str]:
    """Return what a query parameter may be called, each as it is compared."""
    return {canonical(part) for part in _parts(name)} - {""}


def _parts(name: str) -> set[str]:
    """Decoded (twice: so do some gateways); ``a[b]`` is ``b`` too."""
    name = unquote_plus(unquote_plus(name))
    return {name, *re.split(r"[\[\]]", name)} - {""}


@lru_cache(maxsize=512)
def is_credential_header(name: str) -> bool:
    """Whether the values of this header are credentials by the built-in rules."""
    return canonical(name) in _HEADERS or _sounds_secret(name)


@lru_cache(maxsize=512)
def is_credential_parameter(name: str) -> bool:
    """Whether the values of this query parameter are credentials by the built-in rules."""
    return any(_is_secret_parameter(part) for part in _parts(name))


@lru_cache(maxsize=512)
def is_credential_of_grant(name: str) -> bool:
    """Whether a field of a request for an OAuth token (RFC 6749 §4) is a credential by the built-in rules."""
    return not _GRANTS.isdisjoint(_forms(name)) or is_credential_parameter(name)


def asks_for_token(names: Iterable[str]) -> bool:
    """Whether a payload with members of these names is a request for an OAuth token."""
    return any(not _TOKEN_REQUEST.isdisjoint(_forms(name)) for name in names)


@lru_cache(maxsize=512)
def _forms(name: str) -> frozenset[str]:
    """What a name may be, each as it is compared."""
    return frozenset(
        form for part in _parts(name) for form in (canonical(part), canonical(_NEW_WORD.sub("-", part))) if form
    )


def _is_secret_parameter(name: str) -> bool:
    forms = {canonical(name), canonical(_NEW_WORD.sub("-", name))}
    return _PAGES.isdisjoint(forms) and (not _PARAMETERS.isdisjoint(forms) or _sounds_secret(name))


def _sounds_secret(name: str) -> bool:
    for form in (canonical(name), canonical(_NEW_WORD.sub("-", name))):
        words = form.split("-")
        if (
            any(part in form for part in _ANYWHERE)
            or not _WORDS.isdisjoint(words)
            or words[-1] in _LAST_WORDS
            or form.replace("-", "").endswith(_ENDS)
        ):
            return True
    return False
