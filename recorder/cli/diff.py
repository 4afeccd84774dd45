"""``recorder diff``: two conversations or exchanges, or a request and its nearest recording, word by word."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from recorder.api.nearest import NearestRecording, nearest_to_body, nearest_to_exchange
from recorder.api.store import ConversationView, Store
from recorder.api.threaded import Found
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.naming import begun_by, conversation_option, named, resolve
from recorder.cli.once import command
from recorder.cli.output import clean, dim, emit_json
from recorder.core.comparing import Difference, Run, compare
from recorder.core.history_names import kept_history
from recorder.core.history_states import INSTRUCTIONS
from recorder.core.json_text import parse_json, whole
from recorder.core.messages import Message
from recorder.core.rebuilt import Rebuilt
from recorder.errors import ConfigurationError
from recorder.formats.repeats import repeated_of

_MARKS: Final = {"removed": ("[-", "-]", "red"), "added": ("{+", "+}", "green"), "same": ("", "", None)}
_SIGNS: Final = {"same": " ", "changed": "~", "removed": "-", "added": "+"}


@command()
@click.argument("first", metavar="[A]", required=False)
@click.argument("second", metavar="[B]", required=False)
@conversation_option
@click.option(
    "--exchange", "alone", is_flag=True, help="The exchanges A and B alone, also where they began conversations."
)
@click.option("--nearest", is_flag=True, help="Compare the request of A with the one recorded that is nearest to it.")
@click.option("--in", "within", metavar="URL", help="With --nearest: the store to look in; else the other exchanges.")
@click.option(
    "--request",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Compare the JSON body in this file (- for standard input) with the nearest recorded request.",
)
@click.option("--url", metavar="URL", help="With --request: where it would be sent; else any URL will do.")
@json_option
@store_option
@pass_settings
@click.pass_context
def diff(
    ctx: click.Context,
    settings: Settings,
    first: str | None,
    second: str | None,
    whole: bool,
    alone: bool,
    nearest: bool,
    within: str | None,
    file: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Compare two conversations or exchanges, or a request and its nearest recording, word by word.

    A and B are what list shows, or names of conversations. A conversation that no program opened has the ID of its
    first exchange: where A and B are both IDs of conversations, these are compared, and with --exchange the exchanges
    alone. What only A says is [-marked so-], what only B says {+so+}. With --nearest or --request, the recording is A
    and the request B; fields that differ are told besides, as replay tells of a miss. The exit code is 1 where they
    differ.
    """
    fields: tuple[str, ...] = ()
    if whole and alone:
        raise ConfigurationError("--conversation and --exchange are given together: leave one of them out")
    if (whole or alone) and second is None:
        raise ConfigurationError("--conversation and --exchange say what A and B are: give both")
    with Store(settings.store) as store:
        if file is not None and first is None and within is None:
            before, now, fields = _near(nearest_to_body(store, _body(file), url), as_json=as_json)
        elif first is not None and nearest and second is None and file is None and url is None:
            before, now, fields = _near(_to_recorded(store, first, within), as_json=as_json)
        elif first is not None and second is not None and not (nearest or within or file or url):
            before, now = _both(store, first, second, whole=whole, alone=alone)
        else:
            raise ConfigurationError(
                "nothing says what to compare: give A and B, or A and --nearest, or --request FILE"
            )
    differences = compare(before, now)
    if as_json:
        for difference in differences:
            emit_json(_json(difference))
    else:
        _print(differences, fields)
    ctx.exit(0 if not fields and all(difference.change == "same" for difference in differences) else 1)


def _to_recorded(store: Store, name: str, within: str | None) -> NearestRecording:
    asked = store.exchange(resolve(store, name))
    if within is None:
        return nearest_to_exchange(store, asked)
    with Store(within) as other:
        return nearest_to_exchange(store, asked, within=other)


def _near(found: NearestRecording, *, as_json: bool) -> tuple[Sequence[Message], Sequence[Message], tuple[str, ...]]:
    """Tell which recording it is and which fields differ; return what both say, and these fields."""
    if as_json:
        emit_json({"nearest": found.recorded.id, "fields": [whole(field) for field in found.fields]})
    else:
        click.echo(click.style(f"nearest recording {found.recorded.id}", bold=True))
        for field in found.fields:
            click.echo(f"  {clean(field)}")
    return found.recorded.request_messages, found.messages, found.fields


def _body(file: Path) -> bytes:
    try:
        body = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read ({error.strerror}): give a file with a JSON body") from error
    try:
        parse_json(body)
    except ValueError as error:
        raise ConfigurationError(f"{file} is no JSON: give a file with the JSON body of a request") from error
    return body


def _both(
    store: Store, first: str, second: str, *, whole: bool, alone: bool
) -> tuple[Sequence[Message], Sequence[Message]]:
    """The messages of two conversations, where both are IDs of some; else those of what has these names.

    :param whole: of the conversations in which they are; *alone*: of the exchanges, whatever they began.
    """
    one, other = named(store, first, whole=whole), named(store, second, whole=whole)
    if alone:
        return _said(store.exchange(one)), _said(store.exchange(other))
    begun, too = begun_by(store, one), begun_by(store, other)
    if begun is not None and too is not None:
        if any(
            each.kind == "exchange" and len(store.exchanges_of(of)) > 1 for each, of in ((one, begun), (other, too))
        ):
            click.echo("compared are the conversations with these IDs: --exchange compares the exchanges", err=True)
        one, other = begun, too
    return _messages(store, one), _messages(store, other)


def _messages(store: Store, found: Found) -> Sequence[Message]:
    """The messages of an exchange; of a conversation, those of its last branch."""
    if found.kind == "exchange":
        return _said(store.exchange(found))
    view = store.conversation(found)
    return _said_on_branch(view) if view.exchanges else []


def _said_on_branch(view: ConversationView) -> list[Message]:
    """What its last exchange sent and got, after what the provider had kept of those before it."""
    exchanges = {one.id: one for one in view.exchanges}
    last = view.exchanges[-1]
    said = _said(last)
    while kept_history(last).named is not None and (parent := exchanges.get(view.parents.get(last.id, ""))) is not None:
        if not repeated_of(last, parent):
            said = [*_before(parent), *said]
        last = parent
    return said


def _before(rebuilt: Rebuilt) -> Iterator[Message]:
    """What an exchange said that others go on from by name: its instructions were for itself."""
    yield from (message for message in _said(rebuilt) if message.role not in INSTRUCTIONS)


def _said(rebuilt: Rebuilt) -> list[Message]:
    return [*rebuilt.request_messages, *rebuilt.answer_messages]


def _json(difference: Difference) -> dict[str, object]:
    return {
        "change": difference.change,
        "role": whole(difference.role),
        "words": [{"change": run.change, "text": whole(run.text)} for run in difference.runs],
    }


def _print(found: Sequence[Difference], fields: Sequence[str]) -> None:
    if not fields and all(difference.change == "same" for difference in found):
        click.echo("they say the same", err=True)
    for difference in found:
        if difference.change == "same":
            click.echo(dim(f"  {clean(difference.role)}: the same"))
            continue
        click.echo(click.style(f"{_SIGNS[difference.change]} {clean(difference.role)}", bold=True))
        text = "".join(_marked(run) for run in difference.runs)
        for line in text.split("\n"):
            click.echo(f"  {line}".rstrip())


def _marked(run: Run) -> str:
    before, after, colour = _MARKS[run.change]
    return (
        click.style(f"{before}{clean(run.text, lines=True)}{after}", fg=colour)
        if colour
        else clean(run.text, lines=True)
    )
