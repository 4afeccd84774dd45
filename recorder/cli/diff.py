"""``recorder diff``: two conversations or exchanges, word by word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import click

from recorder.api.store import Found, Store
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.naming import resolve
from recorder.cli.output import clean, dim, emit_json
from recorder.core.comparing import Difference, Run, compare
from recorder.core.json_text import whole
from recorder.core.messages import Message
from recorder.core.rebuilt import Rebuilt

_MARKS: Final = {"removed": ("[-", "-]", "red"), "added": ("{+", "+}", "green"), "same": ("", "", None)}
_SIGNS: Final = {"same": " ", "changed": "~", "removed": "-", "added": "+"}


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@json_option
@store_option
@pass_settings
@click.pass_context
def diff(ctx: click.Context, settings: Settings, first: str, second: str, as_json: bool) -> None:
    """Compare two conversations or exchanges, word by word.

    A and B are what list shows, or names of conversations. What only A says is [-marked so-], what only B says
    {+so+}. The exit code is 1 where they differ.
    """
    with Store(settings.store) as store:
        before, now = (_messages(store, resolve(store, name)) for name in (first, second))
    found = compare(before, now)
    if as_json:
        for difference in found:
            emit_json(_json(difference))
    else:
        _print(found)
    ctx.exit(0 if all(difference.change == "same" for difference in found) else 1)


def _messages(store: Store, found: Found) -> list[Message]:
    """The messages of an exchange; of a conversation, those of its last branch."""
    if found.kind == "exchange":
        return _said(store.exchange(found))
    view = store.conversation(found)
    return _said(view.exchanges[-1]) if view.exchanges else []


def _said(rebuilt: Rebuilt) -> list[Message]:
    return [*rebuilt.request_messages, *rebuilt.answer_messages]


def _json(difference: Difference) -> dict[str, object]:
    return {
        "change": difference.change,
        "role": whole(difference.role),
        "words": [{"change": run.change, "text": whole(run.text)} for run in difference.runs],
    }


def _print(found: Sequence[Difference]) -> None:
    if all(difference.change == "same" for difference in found):
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
