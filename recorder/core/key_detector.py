"""What looks like a key: private keys in their armour, and keys and tokens of well-known forms.

Recorded answers end in the middle. A private key is therefore all that stands behind its first line and can be a part
of it, whether the last line came or not; a token is found as soon as enough of it is there to know it by.

Every quantifier is bounded, or takes what it takes for good, so that long texts cost linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

Span = tuple[int, int]

#: The first and the last line (RFC 7468 §3, RFC 9580 §6.2.1; RFC 4716 §3.2 has four dashes and spaces).
_BOUND: Final = re.compile(
    r"-----(BEGIN|END) (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
    r"|---- (BEGIN|END) (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY ----"
)
#: Between a first and a last line that are no farther apart, all is the key, in whatever way it is written there.
_NEAR: Final = 8192
#: Of base64, with the backslashes of a text in JSON.
_LETTERS: Final = r"[A-Za-z0-9+/=\\]"
#: What is put around a line in quotations, in lists, in programs and in differences.
_AROUND: Final = r"(?:[ \t\r>|#*\"'`+,;()]|-(?!-))*+"
_END: Final = r"(?:\n|\Z)"
_HEADERS: Final = r"(?:Proc-Type|DEK-Info|Version|Comment|MessageID|Hash|Charset|Subject|[Xx]-[A-Za-z-]{1,40}+)"
#: Lines of armour: empty ones, its headers, base64. On the first line's own line there may be base64 between spaces.
_LINE: Final = (
    rf"{_HEADERS}:[^\n]*+{_END}"
    rf"|(?:\d{{1,6}}[ \t:.|]++)?{_LETTERS}++{_AROUND}(?:{_END}|(?=-))"
    rf"|{_LETTERS}{{32,}}+"
)
_ARMOUR: Final = re.compile(
    rf"(?:[ \t]*+(?:{_LETTERS}{{16,}}+|{_LETTERS}++(?=[ \t]*+\Z)))*+(?:{_AROUND}(?:{_END}|{_LINE}))*+"
)
_TRAILING: Final = " \t\r\n>|#*\"'`,;()"
_LETTER: Final = re.compile(r"[A-Za-z0-9]")
#: A last line that was cut.
_CUT_BOUND: Final = re.compile(r"-{1,5}(?: ?E(?:N(?:D[A-Z0-9 ]{0,80}-{0,5})?)?)?\Z")

#: What follows is no name of several words: there is a capital or a digit in it, or more letters than words have.
_RANDOM: Final = r"(?=[a-z_-]{0,40}[A-Z0-9]|[a-z_-]{0,40}[a-z]{16})"
#: The same for what may be a word by itself, with a capital or in capitals.
_NO_WORD: Final = r"(?=[A-Za-z._~+/-]{0,64}(?:[0-9]|[a-z][A-Z])|[A-Za-z._~+/-]{0,64}[A-Za-z]{20})"
_WORD: Final = r"[A-Za-z0-9_-]"
_FORMS: Final = (
    # Models: OpenAI, Anthropic, OpenRouter, DeepSeek and many others; Stripe and Langfuse have sk, pk and rk too.
    rf"(?:sk|pk|rk)[-_]{_RANDOM}{_WORD}{{16,}}",
    r"(?:hf|gsk|r8)_[A-Za-z0-9]{16,}",
    rf"(?:nvapi|tvly)-{_RANDOM}{_WORD}{{16,}}",
    r"(?:pplx|xai|csk)-[A-Za-z0-9]{16,}",
    r"fw[-_][A-Za-z0-9]{16,}",
    r"tgp_v1_[A-Za-z0-9_-]{16,}",
    r"lsv2_(?:pt|sk)_[a-f0-9]{16,}(?:_[a-f0-9]{1,32})?",
    rf"pcsk_{_RANDOM}[A-Za-z0-9_]{{16,}}",
    # Clouds.
    r"(?:AKIA|ASIA)[A-Z0-9]{16}",
    r"AIza[A-Za-z0-9_-]{30,}",
    r"ya29\.(?:[A-Za-z]\.)?[A-Za-z0-9_-]{20,}",
    r"GOCSPX-[A-Za-z0-9_-]{20,}",
    r"1//0[A-Za-z0-9_-]{30,}",
    r"do[opr]_v1_[a-f0-9]{16,}",
    r"dapi[a-f0-9]{32}(?:-\d)?",
    # Code and packages.
    r"ghs_\d{1,12}_eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+){0,2}",
    r"gh[oprsu]_[A-Za-z0-9_]{16,}",
    r"github_pat_[A-Za-z0-9_]{20,}",
    rf"gl(?:pat|ptt|dt|rt|cbt|ft|soat|oas|agent|imt|ffct)-{_RANDOM}{_WORD}{{16,}}(?:\.[A-Za-z0-9_-]{{2,}}){{0,2}}",
    r"npm_[A-Za-z0-9]{16,}",
    r"pypi-(?:AgE[A-Za-z0-9_-]{13,}|[A-Za-z0-9_]{32,})",
    r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{16,}",
    r"hv[bs]\.[A-Za-z0-9_-]{24,}",
    # Messages and the rest.
    r"SG\.[A-Za-z0-9_-]{16,32}(?:\.[A-Za-z0-9_-]{16,}|\.[A-Za-z0-9_-]{0,15}\Z)",
    r"whsec_[A-Za-z0-9+/]{16,}={0,2}",
    r"xox(?:[abcdeprs]|o(?=-[A-Za-z-]{0,32}\d))-[A-Za-z0-9%-]{10,}",
    r"xapp-\d-[A-Za-z0-9-]{10,}",
    r"SK(?=\d{0,31}[a-f])[a-f0-9]{24,32}(?![A-Za-z0-9])",
    r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{16,}",
    r"PMAK-[a-f0-9]{24}-[a-f0-9]{1,34}",
    r"AGE-SECRET-KEY-1[A-Z0-9]{16,}",
    # Discord: the first part is the base64 of a number.
    r"[MNO][DTjz][AEIMQUYcgk][w-z0-5][A-Za-z0-9_-]{15,24}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{16,}",
    # JSON Web Tokens (RFC 7519 §3), signed and encrypted.
    r"(?:(?<![_-])eyJ[A-Za-z0-9_-]{8,}+|eyJ[A-Za-z0-9_-]{8,512}+)\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",
    r"(?<![_-])eyJ[A-Za-z0-9_-]{16,}+\.[A-Za-z0-9_-]*+\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
)
_TOKEN: Final = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_FORMS)})")
#: What is a key because of what stands before it, which stays: ``what is in such a text, in small letters -> form``.
_PLACES: Final = {
    needle: re.compile(form)
    for needle, form in {
        "bearer": rf"(?<=(?i:bearer)[ \t])(?!~redacted~){_NO_WORD}[A-Za-z0-9._~+/-]{{16,}}=*",
        "authorization: basic ": r"(?<=(?i:authorization: basic ))[A-Za-z0-9+/]{8,}={0,2}",
        "key-": r"(?<![\w-])key-[a-f0-9]{32}(?![A-Za-z0-9])",  # Mailgun
        ":aa": r"(?<![0-9])\d{8,10}:AA[A-Za-z0-9_-]{20,}",  # Telegram, also behind /bot in a URL
        "sig=": r"(?<=[?&;]sig=)[A-Za-z0-9%+/]{20,}={0,2}",  # shared access signatures of Azure
        "accountkey=": r"(?<=AccountKey=)[A-Za-z0-9+/]{20,}={0,2}",
        "sharedaccesskey=": r"(?<=SharedAccessKey=)[A-Za-z0-9+/]{20,}={0,2}",
        "hooks.slack": r"(?<=(?i:hooks\.slack\.com)/(?:services|triggers)/)[A-Za-z0-9_/-]{8,}",
        "/workflows/": r"(?<=(?i:hooks\.slack\.com)/workflows/)[A-Za-z0-9_/-]{8,}",
        "/api/webhooks/": r"(?<=/api/webhooks/)\d{15,21}/[A-Za-z0-9_-]{16,}",  # Discord
    }.items()
}


def keys(text: str) -> Iterator[Span]:
    """Yield where in *text* keys stand, in order and apart from each other."""
    folded = text.lower()
    forms = [_TOKEN, *(form for needle, form in _PLACES.items() if needle in folded)]
    found = [one.span() for form in forms for one in form.finditer(text)]
    last: Span | None = None
    for start, end in sorted([*_private_keys(text), *found]):
        if last is not None and start < last[1]:
            last = last[0], max(last[1], end)
            continue
        if last is not None:
            yield last
        last = start, end
    if last is not None:
        yield last


def _private_keys(text: str) -> Iterator[Span]:
    bounds = list(_BOUND.finditer(text)) if "PRIVATE KEY" in text else []
    for bound, after in zip_longest(bounds, bounds[1:]):
        if "BEGIN" not in bound[0]:
            continue
        is_whole = after is not None and "END" in after[0]
        if after is not None and is_whole and after.start() - bound.end() <= _NEAR:
            yield bound.start(), after.end()
            continue
        limit = after.start() if after is not None else len(text)
        armour = _ARMOUR.match(text, bound.end(), limit)
        end = armour.end() if armour else bound.end()
        if after is not None and is_whole and end == limit:
            end = after.end()
        elif cut := _CUT_BOUND.match(text, end):
            end = cut.end()
        else:
            end = bound.end() + len(text[bound.end() : end].rstrip(_TRAILING))
        if _LETTER.search(text, bound.end(), end):
            yield bound.start(), end
