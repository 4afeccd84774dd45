"""``recorder show``: an exchange or a conversation, rebuilt from its events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import click

from recorder.api.redacting import Standing
from recorder.api.store import ConversationView, Store
from recorder.api.threaded import Found
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.naming import conversation_option, named, tell_others
from recorder.cli.once import command
from recorder.cli.output import clean, counted, dim, duration, emit_json, short, verdict
from recorder.cli.redact import standing_of, tell_standing, unredacted_option
from recorder.cli.trail import note
from recorder.core.conversation import Conversation, Relation
from recorder.core.exchange import Exchange
from recorder.core.json_text import milliseconds, plain, rfc3339
from recorder.core.message_text import part_text, reports_told, tokens_text
from recorder.core.messages import ERASED, Answer, Message
from recorder.core.rebuilt import Rebuilt, as_json
from recorder.formats.repeats import Repeats

_PREVIEW: Final = 400
_FINDINGS: Final = 5
_ALONE: Final = Relation("begins")
_AGAIN: Final = {
    "retries": "retry of",
    "regenerates": "asks again",
    "attempts": "same call as",
    "fetches": "answer of",
}


@command()
@click.argument("identity", metavar="ID")
@conversation_option
@unredacted_option
@json_option
@store_option
@pass_settings
def show(settings: Settings, identity: str, whole: bool, unredacted: bool, as_json: bool) -> None:
    """Show an exchange or a conversation, and how it ended.

    ID is what list shows, or a conversation's name. A conversation that no program opened has the ID of its first
    exchange, which is shown alone without --conversation. What `recorder redact` hides is left out.
    """
    with Store(settings.store) as store:
        standing = standing_of(store, unredacted=unredacted)
        found = named(store, identity, whole=whole)
        _show(store, standing, found, as_json=as_json)
        tell_others(store, found, "--conversation")
    if unredacted:
        note(settings.store, "show", "unredacted", identity, whole=whole)
    tell_standing(standing)


def _show(store: Store, standing: Standing, found: Found, *, as_json: bool) -> None:
    if found.kind == "conversation":
        view = standing.view(store.conversation(found))
        if as_json:
            relations = view.relations()
            for rebuilt in view.exchanges:
                emit_json(_json(rebuilt, view.id, view.parents.get(rebuilt.id), relations[rebuilt.id]))
        else:
            _print_conversation(view)
        return
    rebuilt = standing.redacted(store.exchange(found))
    home, parent = store.conversation_of(found.id)
    if as_json:
        emit_json(_json(rebuilt, home, parent))
    else:
        _print(rebuilt, home, parent)


def _json(rebuilt: Rebuilt, conversation: str, parent: str | None, relation: Relation = _ALONE) -> dict[str, Any]:
    return as_json(rebuilt, conversation=conversation, parent=parent, relation=relation)


def _print_conversation(view: ConversationView) -> None:
    name = "" if view.name is None else f" {clean(view.name)}"
    tags = "".join(f" {clean(key)}={clean(value)}" for key, value in view.tags.items())
    click.echo(click.style(f"conversation{name}", bold=True) + dim(f"  {view.id}{tags}"))
    repeats = Repeats(Conversation(view.id, view.name, parents=view.parents))
    relations = view.relations()
    for rebuilt in view.exchanges:
        parent = view.parents.get(rebuilt.id)
        click.echo()
        _print(rebuilt, view.id, parent, relations[rebuilt.id], repeated=repeats.take(rebuilt) or 0)


def _print(rebuilt: Rebuilt, home: str, parent: str | None, relation: Relation = _ALONE, *, repeated: int = 0) -> None:
    """Print one exchange.

    :param repeated: how many of its first messages were printed with the exchange that it goes on from.
    """
    click.echo(click.style(f"exchange {rebuilt.id}", bold=True))
    for name, value in _facts(rebuilt, home, parent, relation):
        click.echo(f"  {dim(f'{name:13}')}{value}")
    for message in rebuilt.request_messages[repeated:]:
        _print_message(message, message.role or "role not sent")
    several = len(rebuilt.answer.choices) > 1
    for choice in rebuilt.answer.choices:
        role = choice.message.role or "answer, role not sent"
        reason = "" if choice.finish_reason is None else f", finished: {choice.finish_reason}"
        _print_message(choice.message, f"{role}{f', choice {choice.index}' if several else ''}{reason}")
    if not rebuilt.answer.choices:
        _print_body(rebuilt)


def _facts(rebuilt: Rebuilt, home: str, parent: str | None, relation: Relation) -> Iterator[tuple[str, str]]:
    exchange = rebuilt.exchange
    name = "" if exchange.conversation_name is None else f"{clean(exchange.conversation_name)}  "
    yield "conversation", name + dim(home)
    if relation.kind in _AGAIN:
        yield _AGAIN[relation.kind], relation.of or ""
    elif parent is not None or relation.of is not None:
        yield "goes on from", parent or relation.of or ""
    if exchange.attempt is not None and exchange.attempt > 1:
        yield "attempt", str(exchange.attempt)
    if not exchange.lacks("started_at"):
        yield "started", rfc3339(exchange.started_ns)
    yield from _origin(exchange)
    if exchange.request is not None:
        yield "request", clean(f"{exchange.request.method} {exchange.request.url}")
    if exchange.response is not None:
        yield "answer", clean(f"{exchange.response.status} {exchange.response.reason}".rstrip())
    yield "arrived", _arrived(rebuilt)
    if rebuilt.model is not None:
        yield "model", clean(rebuilt.model)
    yield "verdict", f"{verdict(rebuilt.verdict)}  {dim(_evidence(rebuilt))}"
    yield from _usage(rebuilt.answer)
    for frame in rebuilt.evidence.error_frames:
        yield "error sent", clean(json.dumps(plain(frame), ensure_ascii=False))
    if rebuilt.evidence.failure:
        yield "failure", clean(json.dumps(plain(rebuilt.evidence.failure), ensure_ascii=False))
    yield from _unusual(rebuilt, relation)


def _usage(answer: Answer) -> Iterator[tuple[str, str]]:
    """The counts in one form, and the reports that they are from: of several, the last one may lack what others say."""
    counts = tokens_text(answer.tokens)
    if counts is not None:
        yield "tokens", counts
    first, last, between = reports_told(answer.usage_reports)
    yield from (("usage", clean(json.dumps(plain(report)))) for report in first)
    if between:
        yield "usage", dim(f"… {counted(between, 'more report')}, which --json has")
    yield from (("usage", clean(json.dumps(plain(report)))) for report in last)


def _unusual(rebuilt: Rebuilt, relation: Relation) -> Iterator[tuple[str, str]]:
    if rebuilt.erased is not None:
        yield "erased", clean(rebuilt.erased)
    for title, facts in (("history", relation.findings), ("unusual", rebuilt.anomalies)):
        told = [fact for fact in facts if fact.kind != ERASED]
        yield from ((title, clean(f"{fact.kind}: {fact.detail}"[:_PREVIEW])) for fact in told[:_FINDINGS])


def _origin(exchange: Exchange) -> Iterator[tuple[str, str]]:
    """Where it was imported from, and what that does not tell."""
    told = exchange.imported
    if told is None:
        return
    source = " ".join(str(told[key]) for key in ("format", "version") if told.get(key))
    maker = f", written by {told['creator']}" if told.get("creator") else ""
    yield "imported", clean(f"{rfc3339(exchange.imported_ns or 0)} from {told.get('file')} ({source}{maker})")
    missing = told.get("missing")
    if isinstance(missing, list) and missing:
        yield "not told", clean(", ".join(map(str, missing)))


def _arrived(rebuilt: Rebuilt) -> str:
    exchange = rebuilt.exchange
    cuts = [] if exchange.lacks("chunk_boundaries") else [counted(len(exchange.chunks), "chunk")]
    facts = [*cuts, counted(len(exchange.body), "byte")]
    if exchange.first_chunk_ns is not None:
        facts.append(f"first after {duration(milliseconds(exchange.first_chunk_ns))}")
    if exchange.duration_ns is not None:
        facts.append(f"all after {duration(milliseconds(exchange.duration_ns))}")
    return ", ".join(facts)


def _evidence(rebuilt: Rebuilt) -> str:
    evidence = rebuilt.evidence
    facts = [f"ended by {evidence.transport_end}" if evidence.transport_end else "no end recorded"]
    if evidence.sentinel_seen:
        facts.append("end marker seen")
    missing = [str(index) for index, reason in evidence.finish_reasons.items() if reason is None]
    if missing:
        facts.append(f"no finish reason for choice {', '.join(missing)}")
    if evidence.unparsed_tail_bytes:
        facts.append(f"{counted(evidence.unparsed_tail_bytes, 'byte')} at the end are no whole event")
    if evidence.missing:
        facts.append("the recording has gaps")
    if rebuilt.exchange.lacks("response_body"):
        facts.append("the file that it comes from does not have the whole body")
    if rebuilt.exchange.lacks("websocket_messages"):
        facts.append("what was sent over the WebSocket is not kept")
    if rebuilt.exchange.lacks("answer_end"):
        facts.append("nothing in the file that it comes from says that the answer is whole")
    return ", ".join(facts)


def _print_message(message: Message, title: str) -> None:
    name = "" if message.name is None else f" ({clean(message.name)})"
    answers = "" if message.tool_call_id is None else f", answers {clean(message.tool_call_id)}"
    click.echo(f"\n{click.style(clean(title), fg='cyan', bold=True)}{name}{answers}")
    for part in message.parts:
        for line in clean(part_text(part), lines=True).split("\n"):
            click.echo(f"  {line}".rstrip())


def _print_body(rebuilt: Rebuilt) -> None:
    exchange = rebuilt.exchange
    if not exchange.body or (exchange.response is not None and exchange.response.header("content-encoding")):
        return
    click.echo(f"\n{click.style('body', fg='cyan', bold=True)}")
    text = exchange.body[:_PREVIEW].decode("utf-8", "replace")
    for line in clean(text, lines=True).split("\n"):
        click.echo(f"  {line}".rstrip())
    if len(exchange.body) > _PREVIEW:
        click.echo(dim(f"  … {len(exchange.body) - _PREVIEW:,} bytes more: recorder events {short(rebuilt.id)}"))
