"""Recorded text in HTML: shown, never obeyed (WHATWG HTML §13.1.2, §13.1.3)."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from recorder.core.characters import STEERING
from recorder.core.json_text import dumps, plain, whole

_RUN: Final = re.compile(f"({STEERING.pattern})\\1*")
#: Characters of a segment of a long text.
_SEGMENT: Final = 16384
#: The characters of a URL (RFC 3986 §2); others can make it look like another one.
_URL: Final = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+", re.IGNORECASE)


def shown(text: str) -> str:
    """Return *text* as HTML, its line ends as LF, what would steer the reader by its number: ``U+202E``.

    A long text is cut in segments, at line ends where there are any: a browser lays out those that are in sight,
    where it would work for minutes on one line of millions of characters.
    """
    text = whole(text).replace("\r\n", "\n").replace("\r", "\n")
    if len(text) <= _SEGMENT:
        return _escaped(text)
    return "".join(f'<span class="segment">{_escaped(piece)}</span>' for piece in _segments(text))


def _segments(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        end = at + _SEGMENT
        if end < len(text):
            end = text.rfind("\n", at, end) + 1 or end
        yield text[at:end]
        at = end


def _escaped(text: str) -> str:
    return _RUN.sub(_named, html.escape(text))


def _named(run: re.Match[str]) -> str:
    times = len(run[0])
    return f'<span class="char">U+{ord(run[1]):04X}{f" ×{times}" if times > 1 else ""}</span>'


def bare(text: str) -> str:
    """Return *text* as HTML without any element, on one line: for a title; what would steer is U+FFFD."""
    return html.escape(STEERING.sub("\ufffd", " ".join(whole(text).split())))


def code(text: str) -> str:
    """Return *text* as a piece of code within a line."""
    return f"<code>{shown(text)}</code>"


def block(text: str, kind: str = "text") -> str:
    """Return *text* as a block that keeps its lines: ``text`` to read, ``mono`` for machines."""
    return f'<div class="{kind}">{shown(text)}</div>\n'


def json_block(value: Any) -> str:
    """Return a JSON value as a block."""
    return block(dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=2), "mono")


def folded(summary: str, content: str, kind: str = "") -> str:
    """Return *content*, which is HTML, folded below its *summary*, which is HTML too."""
    attribute = f' class="{kind}"' if kind else ""
    return f"<details{attribute}><summary>{summary}</summary>\n{content}</details>\n"


def link(url: str) -> str:
    """Return a recorded URL: a link where it is a plain one of http or https, else text.

    One with a user's name in it is text, since it can pass for another host's; so is one with other characters than
    those of RFC 3986.
    """
    if not _is_plain(url):
        return code(url)
    return f'<a href="{html.escape(url)}" rel="noopener noreferrer nofollow">{shown(url)}</a>'


def _is_plain(url: str) -> bool:
    try:
        return _URL.fullmatch(url) is not None and "@" not in urlsplit(url).netloc
    except ValueError:
        return False
