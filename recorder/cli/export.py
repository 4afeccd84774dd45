"""``recorder export``: a transcript in a file."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import click

from recorder.api.exporting import Compared, Exchanges, events_of, of_conversation, of_filters
from recorder.api.foreign_files import is_part_of
from recorder.api.redacting import Standing
from recorder.api.store import Store
from recorder.cli.application import Settings, pass_settings, store_option
from recorder.cli.failures import warn
from recorder.cli.naming import IN_PLACE, resolve, tell_others
from recorder.cli.once import command
from recorder.cli.output import Recorded, counted, short
from recorder.cli.progress import progress
from recorder.cli.redact import standing_of, tell_standing, unredacted_option
from recorder.cli.redacting import redact_options, redacted, tell_redacted
from recorder.cli.selecting import Selection, selection_options
from recorder.cli.trail import note
from recorder.core.conversation import Conversation
from recorder.core.events import Event
from recorder.core.export_redaction import ExportRedaction
from recorder.core.rebuilt import Place, Rebuilt
from recorder.errors import ConfigurationError
from recorder.formats.base import Piece, event_formats, formats, render
from recorder.locations import sqlite_path

_MANY: Final = 50  # exchanges, which are exported in less than a second
_REASONS: Final = 8  # that are told
_FORMATS: Final = {name: each.help for name, each in formats().items()} | {
    name: each.help for name, each in event_formats().items()
}
#: Formats that tell what each exchange of a conversation is to those before it.
_COMPARED: Final = ("json", "jsonl", "markdown", "html", "otlp", "csv")

#: What says ``-o`` for it. By another name than ``-``, it may be a file that the shell made: that one goes on, it is
#: not replaced.
_STANDARD_OUTPUT: Final = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")

#: Shows a bar for so many exchanges, that many times over; what it returns is told of those that are done.
_Begin = Callable[..., Callable[[int], None]]


class _File(click.Path):
    """The path of a file to write; an empty one would be the current directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value):
            self.fail("the name is empty: give the name of a file, or - for standard output.", param, ctx)
        return super().convert(value, param, ctx)


@command()
@click.argument("identity", metavar="[ID]", required=False)
@click.option(
    "--format",
    "name",
    type=click.Choice(sorted(_FORMATS)),
    default="markdown",
    show_default=True,
    help="; ".join(f"{name}: {_FORMATS[name]}" for name in sorted(_FORMATS)) + ".",
)
@click.option(
    "-o",
    "--output",
    "file",
    type=_File(path_type=Path, dir_okay=False),
    help="Write to this file, not to standard output, which is also -.",
)
@click.option("--force", is_flag=True, help="Replace the file where it exists.")
@click.option("--all", "everything", is_flag=True, help="Everything that is recorded.")
@selection_options
@redact_options
@unredacted_option
@store_option
@pass_settings
def export(
    settings: Settings,
    selection: Selection,
    identity: str | None,
    name: str,
    file: Path | None,
    force: bool,
    everything: bool,
    redaction: ExportRedaction,
    unredacted: bool,
) -> None:
    """Export an exchange, a conversation, what the filters leave, or everything.

    ID is what list shows, or a conversation's name. A conversation that no program opened has the ID of its first
    exchange, which is exported alone: --conversation ID, in the place of ID, takes all of it. What is chosen by filters
    or by --all comes conversation by conversation, and one exchange is in memory at a time, however many they are. A
    recording that was changed after it was made is exported all the same; the transcript says so, and so does a
    warning. Among several exchanges, one with an event of a newer recorder is exported as far as it can be read, with a
    warning. What `recorder redact` hides is left out.
    """
    _check_choice(identity, selection, everything=everything)
    to_file = file if str(file) not in _STANDARD_OUTPUT else None
    if to_file is not None and to_file.is_file() and not force:  # a pipe or a device loses nothing
        raise ConfigurationError(f"{file} exists already: give --force to replace it, or another file")
    if to_file is not None and is_part_of(to_file, sqlite_path(settings.store)):
        raise ConfigurationError(f"{file} is the store itself, or lies beside it for it: give another file")
    if to_file is None and sys.stdout.isatty() and _is_binary(name):
        raise ConfigurationError(f"{name} is no text, and a terminal cannot show it: give -o FILE")
    with Store(settings.store) as store, ExitStack() as shown:

        def begin(count: int, passes: int = 1) -> Callable[[int], None]:
            seen = count >= _MANY and not (to_file is None and sys.stdout.isatty())  # no bar amid what is exported
            return shown.enter_context(progress("exporting", count * passes if seen else 0))

        left_out = _LeftOut()
        standing = standing_of(store, unredacted=unredacted)
        if name in event_formats():
            pieces = _event_pieces(store, selection, identity, name, redaction, standing, begin)
        elif identity is None:
            pieces = _chosen_pieces(store, selection, name, redaction, standing, begin, left_out)
        else:
            exchanges, conversation = _named(store, identity, name, redaction, standing)
            told = _Told(exchanges, begin(len(conversation.exchanges)), warn, left_out)
            pieces = redaction.guard(render(name, told, conversation))
        _put(to_file, pieces)
        if identity is not None:
            tell_others(store, resolve(store, identity), IN_PLACE)
    selected = "everything" if everything else "a selection"
    note(settings.store, "export", f"as {name}{', unredacted' if unredacted else ''}", identity, selected)
    if to_file is not None:
        click.echo(f"{file}: {_size(to_file)}", err=True)
    _tell_left_out(name, left_out)
    tell_redacted(redaction)
    tell_standing(standing, "--unredacted exports what is recorded")


def _chosen_pieces(
    store: Store,
    selection: Selection,
    name: str,
    redaction: ExportRedaction,
    standing: Standing,
    begin: _Begin,
    left_out: _LeftOut,
) -> Iterator[Piece]:
    chosen = of_filters(store, **selection.filters)
    advance = begin(chosen.size, 2 if redaction.rules else 1)
    if redaction.rules:
        redaction.learn(_Told(Exchanges(store, chosen.places, standing.redacted), advance))
    made = _Made(redaction, standing)
    if name not in _COMPARED:
        exchanges = Exchanges(store, chosen.places, made.chosen)
    else:
        exchanges = Compared(store, chosen, made.chosen, made.unchosen)
    return redaction.guard(render(name, _Told(exchanges, advance, warn, left_out)))


class _Made:
    """What is made of each exchange of an export: what is hidden in it goes first, then what the options name."""

    def __init__(self, redaction: ExportRedaction, standing: Standing) -> None:
        self._redaction, self._standing = redaction, standing

    def chosen(self, rebuilt: Rebuilt, *, counted: bool = True) -> Rebuilt:
        rebuilt = self._standing.redacted(rebuilt)
        return self._redaction.exchange(rebuilt, counted=counted) if self._redaction.rules else rebuilt

    def unchosen(self, rebuilt: Rebuilt) -> Rebuilt:
        return self.chosen(rebuilt, counted=False)


def _event_pieces(
    store: Store,
    selection: Selection,
    identity: str | None,
    name: str,
    redaction: ExportRedaction,
    standing: Standing,
    begin: _Begin,
) -> Iterator[Piece]:
    if redaction.rules:
        raise ConfigurationError(
            f"{name} holds the bytes as they were recorded, and nothing can be left out of them: give another format"
        )
    if identity is not None:
        conversation, _ = of_conversation(store, resolve(store, identity))
        place = Place(conversation.id, conversation.name)
        streams = events_of(store, lambda: ((one, place) for one in conversation.exchanges))
        count = len(conversation.exchanges)
        hidden = any(map(standing.of, conversation.exchanges))
    elif selection.is_given:
        places, count, _ = of_filters(store, **selection.filters)
        streams = events_of(store, places)
        hidden = any(standing.of(one) for one, _ in places())
    else:
        streams, count = (events for _, events in store.reader.walk()), store.reader.store.counts()[1]
        hidden = standing.hides
    if hidden:
        raise ConfigurationError(
            f"{name} holds the bytes as they were recorded, also what `recorder redact` hides: give another format, or "
            "--unredacted"
        )
    return event_formats()[name].render(_advancing(streams, begin(count)))


def _advancing(streams: Iterable[Iterable[Event]], advance: Callable[[int], None]) -> Iterator[Iterable[Event]]:
    for events in streams:
        yield events
        advance(1)


def _check_choice(identity: str | None, selection: Selection, *, everything: bool) -> None:
    filters = ", ".join(selection.options)
    if identity is not None and everything:
        raise ConfigurationError("an ID and --all are given together: leave one of them out")
    if identity is not None and filters:
        raise ConfigurationError(
            f"an ID and {filters} are given together: leave the ID out (--conversation ID is a filter too), or the rest"
        )
    if everything and filters:
        raise ConfigurationError(f"--all and {filters} are given together: leave --all out, filters take all that fit")
    if identity is None and not everything and not filters:
        raise ConfigurationError("nothing says what to export: give an ID, filters as for `recorder list`, or --all")


def _tell_left_out(name: str, left_out: _LeftOut) -> None:
    """Tell how many exchanges the format has no place for, and why: whoever counts the lines would miss them."""
    told = []
    if left_out.exchanges:
        told.append(f"{counted(left_out.exchanges.total(), 'exchange')}: {_reasons(left_out.exchanges)}")
    if left_out.choices:
        named = ", ".join(left_out.named)
        rest = ", …" if left_out.choices.total() > len(left_out.named) else ""
        told.append(
            f"{counted(left_out.choices.total(), 'answer')} of several to one request: {_reasons(left_out.choices)}; "
            f"{named}{rest}"
        )
    if told:
        warn(f"{name} has no place for {'; and for '.join(told)}")


def _reasons(reasons: Counter[str]) -> str:
    told = ", ".join(f"{reason} ({number:,})" for reason, number in reasons.most_common(_REASONS))
    return told + (f", {len(reasons) - _REASONS:,} other reasons" if len(reasons) > _REASONS else "")


class _LeftOut:
    """What a format had no place for, and why.

    :ivar exchanges: how many exchanges, by reason; ``choices``: how many of several answers to one request.
    :ivar named: the first of these.
    """

    def __init__(self) -> None:
        self.exchanges, self.choices = Counter[str](), Counter[str]()
        self.named: list[str] = []

    def take(self, exchange: str, choice: int, reason: str) -> None:
        """Take an answer of several."""
        self.choices[reason] += 1
        if len(self.named) < _REASONS:
            self.named.append(f"choice {choice} of {short(exchange)}")


class _Told:
    """Exchanges whose passing is told: to a bar, and where one is not as it was written, to whoever looks on."""

    def __init__(
        self,
        exchanges: Exchanges | list[Rebuilt],
        advance: Callable[[int], None],
        complain: Callable[[str], None] = lambda _: None,
        left_out: _LeftOut | None = None,
    ) -> None:
        self._exchanges, self._advance, self._complain = exchanges, advance, complain
        self._left_out = left_out or _LeftOut()

    def __iter__(self) -> Iterator[Rebuilt]:
        for rebuilt in self._exchanges:
            found = rebuilt.not_as_written
            if found is not None:
                self._complain(f"exchange {rebuilt.id} is not as it was written ({found}): see `recorder verify`")
            elif rebuilt.erased is not None:
                self._complain(f"exchange {rebuilt.id} is exported without content: {rebuilt.erased}")
            if rebuilt.unknown_events is not None:
                self._complain(
                    f"exchange {rebuilt.id} is exported without all of it, {rebuilt.unknown_events}: upgrade recorder"
                )
            yield rebuilt
            self._advance(1)

    def left_out(self, reason: str) -> None:
        self._left_out.exchanges[reason] += 1

    def choice_left_out(self, exchange: str, choice: int, reason: str) -> None:
        self._left_out.take(exchange, choice, reason)

    def changed(self) -> Iterable[tuple[str, str]]:
        if isinstance(self._exchanges, Exchanges):
            return self._exchanges.changed()
        return [(one.id, one.not_as_written) for one in self._exchanges if one.not_as_written is not None]


def _named(
    store: Store, identity: str, name: str, redaction: ExportRedaction, standing: Standing
) -> tuple[Exchanges | list[Rebuilt], Conversation]:
    """What an ID stands for, and the conversation that it is or is in.

    They are read one at a time, but where each has to be compared with those before it, or where nothing may leave
    before it is known that all can.
    """
    found = resolve(store, identity)
    if found.kind == "conversation" and name in _COMPARED:
        view = standing.view(store.conversation(found))
        ids = tuple(rebuilt.id for rebuilt in view.exchanges)
        whole = Conversation(view.id, view.name, ids, view.parents, view.relations())
        return redacted(redaction, view.exchanges, whole)
    conversation, places = of_conversation(store, found)
    conversation = standing.named(conversation)
    exchanges = Exchanges(store, places, standing.redacted)
    if redaction.rules:
        return redacted(redaction, list(exchanges), conversation)
    return exchanges, conversation


def _is_binary(name: str) -> bool:
    return (event_formats() | formats())[name].is_binary


def _put(file: Path | None, pieces: Iterator[Piece]) -> None:
    if file is not None:
        _write(file, pieces)
        return
    out = Recorded()
    for piece in pieces:
        out.text(piece) if isinstance(piece, str) else out.data(piece)
    out.close()


def _size(file: Path) -> str:
    return f"{file.stat().st_size:,} bytes" if file.is_file() else "written"


def _write(file: Path, pieces: Iterator[Piece]) -> None:
    """Write a file whole or not at all; a device or a named pipe takes the pieces as they come.

    Those must not be replaced: by root, even ``/dev/null`` would be. Of a symbolic link, it is the target
    that is replaced.
    """
    try:
        if file.exists() and not file.is_file():
            with file.open("wb") as out:
                out.writelines(map(_encoded, pieces))
            return
        whole = file.resolve()
        partial = whole.with_name(f".{whole.name}.{os.getpid()}.partial")
        try:
            with partial.open("xb") as out:
                out.writelines(map(_encoded, pieces))
            partial.replace(whole)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written ({error.strerror}): give another file") from error


def _encoded(piece: Piece) -> bytes:
    return piece.encode() if isinstance(piece, str) else piece
