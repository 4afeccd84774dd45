"""HTML: a transcript for people, in one file that needs nothing and runs nothing.

No script, no network: the Content-Security-Policy (https://www.w3.org/TR/CSP3/, as a ``meta`` element, WHATWG HTML
§4.2.5.3) allows the style sheet in the document and nothing else, and everything that was recorded is text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from recorder.core.conversation import Conversation
from recorder.core.exchange import Exchange, first_header
from recorder.core.json_text import milliseconds
from recorder.core.linked import Linked
from recorder.core.message_text import reports_told, tokens_text
from recorder.core.rebuilt import Rebuilt, changes_of, place_of
from recorder.formats.bodies import as_text, decoded_body
from recorder.formats.endings import WARNINGS, started, titled
from recorder.formats.html_parts import message_html
from recorder.formats.html_style import STYLE
from recorder.formats.html_text import bare, block, code, folded, json_block, shown
from recorder.formats.repeats import Recent, Repeats

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
#: A longer list helps nobody, and what is kept for it would grow with the document.
_LISTED: Final = 2000
_TITLE: Final = 80


class Html:
    """A transcript in one file: contents, each exchange with its messages, how its answer ended.

    Recorded text is escaped; control characters and those that turn the direction of a text are shown by their
    numbers (``U+202E``), so that nothing hides. Recorded URLs are text, but for plain ones of http and https that a
    citation or an image names. Messages that an exchange repeats from the one it extends are not shown again.

    An answer that is not complete says so in a banner above it, by its verdict in the contents and in its heading;
    a tool call whose arguments may be cut says it in its title; what is not as it was written, above everything and
    at the exchange; what the program changed in the history that it sent back, above the messages. The contents list
    the first 2,000 exchanges.
    """

    name = "html"
    help = "a transcript to read in a browser"
    is_binary = False

    def render(self, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[str]:
        """Yield head and title, one piece for each exchange, then the contents: the style puts them in front."""
        seen = _Seen(conversation, Repeats(conversation))
        yield _head(conversation)
        for rebuilt in exchanges:
            yield seen.heading(rebuilt) + "".join(_exchange(rebuilt, seen))
            seen.take(rebuilt)
        yield "</main>\n" + seen.contents() + seen.warning() + "</div>\n</body>\n</html>\n"


@dataclass
class _Seen:
    """What later exchanges and the contents need to know of those before.

    :ivar numbers: ``exchange -> its number in the document``, of those that others may extend.
    """

    conversation: Conversation | None
    repeats: Repeats
    count: int = 0
    last: str | None = None
    home: str | None = None
    numbers: Recent[int] = field(default_factory=Recent)
    lines: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    def parent(self, rebuilt: Rebuilt) -> str | None:
        return place_of(rebuilt, self.conversation).parent

    def heading(self, rebuilt: Rebuilt) -> str:
        """The heading of a conversation that begins here, where there are several."""
        place = rebuilt.place
        if self.conversation is not None or place is None or place.conversation in (None, self.home):
            return ""
        self.home = place.conversation
        named = (
            code(self.home or "")
            if place.name is None
            else f"{shown(place.name)} <small>{code(self.home or '')}</small>"
        )
        return f'<h2 class="conversation">Conversation {named}</h2>\n'

    def take(self, rebuilt: Rebuilt) -> None:
        self.count += 1
        before, self.last = self.last, rebuilt.id
        self.numbers[rebuilt.id] = self.count
        place = f'<a href="#x-{rebuilt.id}">'
        if rebuilt.not_as_written is not None and len(self.changed) < _LISTED:
            self.changed.append(f"<p>Exchange {place}{self.count}</a>: {shown(rebuilt.not_as_written)}</p>\n")
        if self.count > _LISTED:
            return
        parent = self.parent(rebuilt) or before
        fork = f" · from {self.numbers[parent]}" if parent and parent != before and parent in self.numbers else ""
        led = "".join(f" · led to {shown(one.title)}" for one in rebuilt.links)
        self.lines.append(
            f'<li class="{rebuilt.verdict}">{place}{self.count}. {_subject(rebuilt)}'
            f"<small>{started(rebuilt.exchange).partition('.')[0]} · {rebuilt.verdict}{fork}{led}</small></a></li>\n"
        )

    def contents(self) -> str:
        more = f'<p class="dim">and {self.count - _LISTED:,} more</p>\n' if self.count > _LISTED else ""
        listed = "".join(self.lines)
        return f'<nav id="contents" aria-label="Contents">\n<h2>Contents</h2>\n<ol>\n{listed}</ol>\n{more}</nav>\n'

    def warning(self) -> str:
        if not self.changed:
            return ""
        text = "<p><strong>Not as written</strong>: the recording was changed or damaged after it was made.</p>\n"
        return f'<aside class="first banner changed">\n{text}{"".join(self.changed)}</aside>\n'


def _head(conversation: Conversation | None) -> str:
    name = (conversation.name or conversation.id) if conversation else "Exchanges"
    if conversation is not None and conversation.one_of is not None:
        name = f"One of {conversation.one_of:,} exchanges of the conversation {name}"
    named = conversation is not None and conversation.name is not None
    identity = f'<p class="facts">Conversation {code(conversation.id)}</p>\n' if conversation and named else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{bare(name)}</title>\n<style>\n{STYLE}</style>\n</head>\n"
        f'<body>\n<div class="page">\n<header>\n<h1>{shown(name)}</h1>\n{identity}'
        '<p class="facts skip"><a href="#contents">Contents</a></p>\n</header>\n<main>\n'
    )


def _subject(rebuilt: Rebuilt) -> str:
    """The last words that the application sent, else the request's URL, else the id."""
    said = next((message.text for message in reversed(rebuilt.request_messages) if message.text.strip()), None)
    request = rebuilt.exchange.request
    text = said or (request.url if request else rebuilt.id)
    text = " ".join(text[: 4 * _TITLE].split())
    return shown(text if len(text) <= _TITLE else text[:_TITLE] + "…")


def _exchange(rebuilt: Rebuilt, seen: _Seen) -> Iterator[str]:
    number = seen.count + 1
    yield f'<section class="exchange" id="x-{rebuilt.id}">\n<h2><a href="#x-{rebuilt.id}">Exchange {number}</a>'
    yield f' {code(rebuilt.id)} <span class="verdict {rebuilt.verdict}">{rebuilt.verdict}</span></h2>\n'
    yield f'<p class="facts">{" · ".join(_facts(rebuilt))}</p>\n'
    if rebuilt.not_as_written is not None:
        told = shown(rebuilt.not_as_written)
        yield f'<div class="banner changed"><p><strong>Not as written</strong>: {told}</p></div>\n'
    if rebuilt.erased is not None:
        yield f'<div class="banner"><p><strong>Erased</strong>: {shown(rebuilt.erased)}</p></div>\n'
    if rebuilt.unknown_events is not None:
        yield f'<div class="banner"><p><strong>Not read</strong>: {shown(rebuilt.unknown_events)}</p></div>\n'
    for told in rebuilt.lost:
        yield f'<div class="banner"><p><strong>Lost</strong>: {shown(told)}</p></div>\n'
    yield from _changes(rebuilt, seen)
    yield from _request(rebuilt, seen)
    yield from _banner(rebuilt)
    yield from _answer(rebuilt)
    for one in rebuilt.links:
        yield from _link(one)
    yield "</section>\n"


def _link(linked: Linked) -> Iterator[str]:
    """Yield what rests on an exchange; its facts in a table of their own, so that none passes for another row."""
    rows = [(name, shown(text)) for name, text in linked.rows()]
    facts = [(shown(name), shown(text)) for name, text in linked.fact_rows()]
    yield f'<div class="banner linked">\n<p><strong>Led to {shown(linked.title)}</strong></p>\n'
    yield _table(rows)
    yield "<p>Its facts, as they were recorded:</p>\n" + _table(facts) if facts else ""
    yield "</div>\n"


def _table(rows: Iterable[tuple[str, str]]) -> str:
    told = "".join(f'<tr><th scope="row">{name}</th><td>{text}</td></tr>\n' for name, text in rows)
    return f"<table>\n{told}</table>\n"


def _changes(rebuilt: Rebuilt, seen: _Seen) -> Iterator[str]:
    changes = changes_of(rebuilt, seen.conversation)
    if changes:
        yield '<div class="banner history">\n<p><strong>History changed</strong>: what was sent back is not what was '
        yield "said before.</p>\n"
        yield from (f"<p>{code(change.kind)}: {shown(change.detail)}</p>\n" for change in changes)
        yield "</div>\n"


def _request(rebuilt: Rebuilt, seen: _Seen) -> Iterator[str]:
    parent = seen.parent(rebuilt)
    repeated = seen.repeats.take(rebuilt) or 0
    if parent is not None and parent in seen.numbers:
        place = f'<a href="#x-{parent}">exchange {seen.numbers[parent]}</a>'
        again = _counted(min(repeated, len(rebuilt.request_messages)), "message")
        told = f"Goes on from {place}" if parent != seen.last else f"Goes on from {place}, the one before"
        yield f'<p class="dim">{told}{f"; {again} as there" if repeated else ""}.</p>\n'
    elif parent is not None:
        yield f'<p class="dim">Goes on from exchange {code(parent)}.</p>\n'
    for message in rebuilt.request_messages[repeated:]:
        yield from message_html(message, message.role or "role not sent")
    request = rebuilt.exchange.request
    if request is not None and request.payload and not rebuilt.request_messages:
        yield _body("Request body", request.payload, first_header(request.headers, "content-type"))


def _answer(rebuilt: Rebuilt) -> Iterator[str]:
    exchange, answer = rebuilt.exchange, rebuilt.answer
    for title, choice in titled(answer.choices):
        reason = "" if choice.finish_reason is None else f" · finish reason {code(choice.finish_reason)}"
        yield from message_html(choice.message, title, reason)
    if exchange.body and not answer.choices:
        yield _answer_body(exchange)
    counts = tokens_text(answer.tokens)
    if counts is not None:
        yield f'<p class="facts">Tokens: {counts}</p>\n'
    if answer.usage_reports:
        yield _usage(answer.usage_reports)


def _usage(reports: Sequence[Any]) -> str:
    first, last, between = reports_told(reports)
    blocks = [*map(json_block, first)]
    if between:
        blocks.append(f'<p class="dim">{between:,} more reports between these two.</p>\n')
    told = "Usage as sent" if len(reports) == 1 else f"Usage as sent, {_counted(len(reports), 'report')}"
    return folded(told, "".join((*blocks, *map(json_block, last))))


def _answer_body(exchange: Exchange) -> str:
    decoded = decoded_body(exchange)
    media_type = exchange.response.header("content-type") if exchange.response else None
    return _body("Answer, as it came", decoded.body, media_type if decoded.understood else None)


def _body(title: str, body: bytes, media_type: str | None) -> str:
    text = as_text(body, media_type or "")
    told = f"{title} ({_counted(len(body), 'byte')})"
    if text is None:
        return f'<p class="dim">{told}: it is no text, and not shown.</p>\n'
    return folded(told, block(text, "mono"))


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _facts(rebuilt: Rebuilt) -> Iterator[str]:
    exchange = rebuilt.exchange
    yield started(exchange)
    asked = [] if exchange.request is None else [exchange.request.method, exchange.request.url]
    if any(asked):  # chats that are imported tell neither
        yield code(" ".join(filter(None, asked)))
    if exchange.response is not None:
        yield f"status {exchange.response.status}"
    if rebuilt.model is not None:
        yield f"model {code(rebuilt.model)}"
    if exchange.attempt is not None and exchange.attempt > 1:
        yield f"attempt {exchange.attempt}"
    size = _counted(len(exchange.body), "byte")
    yield size if exchange.lacks("chunk_boundaries") else f"{_counted(len(exchange.chunks), 'chunk')}, {size}"
    if exchange.first_chunk_ns is not None:
        yield f"first after {milliseconds(exchange.first_chunk_ns):,} ms"
    if exchange.duration_ns is not None:
        yield f"all after {milliseconds(exchange.duration_ns):,} ms"


def _banner(rebuilt: Rebuilt) -> Iterator[str]:
    warning, evidence = WARNINGS.get(rebuilt.verdict), rebuilt.evidence
    if warning is None:
        return
    status = f", status {evidence.http_status}" if evidence.http_status is not None else ""
    yield f'<div class="banner {rebuilt.verdict}">\n<p><strong>{rebuilt.verdict}</strong>: {warning} '
    yield f"The transport ended with {code(evidence.transport_end or 'no event yet')}{status}.</p>\n"
    for frame in evidence.error_frames:
        yield "<p>Error sent:</p>\n" + json_block(frame)
    if evidence.failure:
        yield "<p>Failure:</p>\n" + json_block(evidence.failure)
    yield "</div>\n"


FORMAT = Html()
