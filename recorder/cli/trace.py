"""``recorder trace``: from an order back to all that led to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import click

from recorder.api.sealing import kind_and_id
from recorder.api.store import Store
from recorder.api.tracing import trace as traced
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.failures import FOUND
from recorder.cli.once import command
from recorder.cli.output import clean, counted, dim, duration, emit_json, verdict
from recorder.cli.redact import standing_of, tell_standing, unredacted_option
from recorder.cli.trail import note
from recorder.core.authority import on_whose_word
from recorder.core.link_words import tag_told

_PREVIEW: Final = 2000  # characters of a part


@command()
@click.argument("thing", metavar="KIND:ID")
@unredacted_option
@json_option
@store_option
@pass_settings
@click.pass_context
def trace(ctx: click.Context, settings: Settings, thing: str, unredacted: bool, as_json: bool) -> None:
    """Show all that led to something outside, as an order.

    KIND:ID is what was linked: order:12345. Shown are the exchanges of the conversation up to the one that the link
    names: what was asked, what was answered and called, from which bytes, when, and whether it was sealed before. Those
    on another branch of it are shown as that: they did not lead to it. What `recorder redact` hides is left out; of
    what was erased, who erased it and why is shown.

    The exit code is 1 where an exchange, or the link, is not as it was written.
    """
    kind, identity = kind_and_id(thing)
    changed = False
    with Store(settings.store) as store:
        standing = standing_of(store, unredacted=unredacted)
        for number, found in enumerate(traced(store, kind, identity, standing)):
            changed = changed or any("not_as_written" in one for one in (found, *found["steps"]))
            if as_json:
                emit_json(found)
                continue
            if number:
                click.echo()
            for line in _lines(found):
                click.echo(line.rstrip())
    if unredacted:
        note(settings.store, "trace", "unredacted", otherwise="a selection")
    tell_standing(standing)
    ctx.exit(FOUND if changed else 0)


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield click.style(f"{clean(found['kind'])} {clean(found['id'])}", bold=True) + dim(f"  linked {found['at']}")
    for name, value in (found.get("facts") or {}).items():
        yield f"  {dim(f'{clean(name):13}')}{clean(str(value))}"
    if "tag" in found:
        yield f"  {dim('tag          ')}{_tag(found)}"
    if "erased" in found:
        yield f"  {dim('link erased  ')}{_erased(found['erased'])}"
    if "not_as_written" in found:
        yield f"  {dim('link changed ')}{clean(found['not_as_written'])}"
    yield f"  {dim('link sealed  ')}{_sealed(found.get('seal'))}"
    name = f"{clean(found['conversation_name'])}  " if "conversation_name" in found else ""
    gone = "  nothing of it is there any more" if all("erased" in step for step in found["steps"]) else ""
    if "conversation" in found:
        yield f"  {dim('conversation ')}{name}{dim(found['conversation'])}{gone}"
    yield f"  {dim('led to it    ')}{_led_to(found['steps'])}"
    numbers = {step["exchange"]: number for number, step in enumerate(found["steps"], 1)}
    for number, step in enumerate(found["steps"], 1):
        yield ""
        parent = numbers.get(step.get("parent"))
        goes_on = None if parent is None or parent == number - 1 else parent
        yield from _step(number, step, goes_on, decided=step["exchange"] == found["exchange"])


def _tag(found: Mapping[str, Any]) -> str:
    of = found.get("tag_of", {})
    stream = of.get("stream")
    return tag_told(clean(str(found["tag"])), of.get("leaf"), "" if stream in (None, found["exchange"]) else stream)


def _led_to(steps: Sequence[Mapping[str, Any]]) -> str:
    aside = sum(not step["led_to"] for step in steps)
    others = f"; {aside} on another branch" if aside else ""
    return f"{counted(len(steps) - aside, 'exchange')}{others}"


def _step(number: int, step: Mapping[str, Any], goes_on: int | None, *, decided: bool) -> Iterator[str]:
    told = "  ← the order rests on this" if decided else ""
    if not step["led_to"]:
        told = "  on another branch: it did not lead to this"
    yield click.style(f"{number}. exchange {step['exchange']}", bold=True) + told
    if goes_on is not None:
        yield f"  {dim('goes on from ')}exchange {goes_on}"
    yield f"  {dim('sent         ')}{step['started_at']}"
    took = f", {duration(step['duration_ms'])}" if "duration_ms" in step else ""
    before = (
        f", ended {duration(step['before_link_ms'])} before the link" if step.get("before_link_ms", -1) >= 0 else ""
    )
    yield f"  {dim('arrived      ')}{counted(step['chunks'], 'chunk')}, {counted(step['bytes'], 'byte')}{took}{before}"
    yield f"  {dim('verdict      ')}{verdict(step['verdict'])}"
    if "erased" in step:
        yield f"  {dim('erased       ')}{_erased(step['erased'])}"
    if "not_as_written" in step:
        yield f"  {dim('changed      ')}{clean(step['not_as_written'])}"
    yield f"  {dim('sealed       ')}{_sealed(step.get('seal'))}"
    for message in (*step["asked"], *step["answered"]):
        yield click.style(f"  {clean(str(message.get('role', 'role not sent')))}", fg="cyan", bold=True)
        yield from _parts(message["parts"])


def _parts(parts: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for part in parts:
        for line in clean(_text(part), lines=True).split("\n"):
            yield f"    {line}"
        origin = part.get("origin")
        if origin is not None:
            yield f"    {dim(_origin(origin))}"


def _text(part: Mapping[str, Any]) -> str:
    if part["type"] == "tool_call":
        whole = "" if part["complete"] else "  (not complete)"
        return f"calls {part.get('name', '?')} {part['arguments_text']}{whole}"
    text = part.get("text")
    shown = text if isinstance(text, str) else f"({part['type']})"
    return shown if len(shown) <= _PREVIEW else f"{shown[:_PREVIEW]}…"


def _origin(origin: Mapping[str, Any]) -> str:
    places = origin["bytes"]
    told = [f"from bytes {places[0][0]:,} to {places[-1][1]:,} of the body"]
    if "chunks" in origin:
        first, last = origin["chunks"]
        told.append(f"chunk {first}" if first == last else f"chunks {first} to {last}")
    if "last_ms" in origin:
        told.append(f"there {duration(origin['last_ms'])} after the request")
    return ", ".join(told)


def _erased(authority: Mapping[str, Any]) -> str:
    unsigned = "" if authority.get("signed", True) else "; NOT SIGNED by the ledger's key"
    return clean(f"{authority['at']} {on_whose_word(authority)}{unsigned}")


def _sealed(seal: Mapping[str, Any] | None) -> str:
    if seal is None:
        return "not sealed"
    lead = seal["before_link_ms"]
    when = f"{duration(lead)} before the link" if lead >= 0 else f"{duration(-lead)} after the link"
    return f"{seal['sealed_at']}, {when}: {counted(seal['events'], 'event')}, leaf {seal['leaf']}"
