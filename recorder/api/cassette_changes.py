"""What changes cassettes as files: exchanges of a store written to them, taken out; other rules; written again.

Each of these reads a file whole, makes another one of it, and puts that in its place at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from recorder.api.cassette_rules import rules_for
from recorder.api.copying import CopyReport, chosen_streams, copy, report
from recorder.api.store import ExchangeFilters, Store
from recorder.clock import id_text
from recorder.core.cassette import Cassette
from recorder.core.cassette_lines import ConflictError, LineError, NewerVersionError
from recorder.core.events import TERMINAL_TYPES
from recorder.core.match_rules import Match
from recorder.errors import ConfigurationError, CorruptRecording, NotFound, VersionConflict
from recorder.locations import cassette_path, spool_directory, url_of_path
from recorder.recording.spool_file import spool_files
from recorder.store.cassette_file import (
    Rules,
    Written,
    content,
    events_of,
    left_open,
    locked,
    make_folder,
    read_file,
    refused,
    replace,
    require_sound,
    told,
)
from recorder.store.copying import Carried, Refused
from recorder.store.erased import erased_streams


@contextmanager
def _changing(path: Path) -> Iterator[Cassette]:
    """Hold the lock of a cassette that is there; yield what it says."""
    if not path.is_file():
        read_file(path)  # which says why
    with locked(path):
        yield read_file(path)


def _require_at_rest(path: Path, cassette: Cassette) -> None:
    if cassette.recording or spool_files(spool_directory(url_of_path(path))):
        raise ConfigurationError(left_open(path))


def _streams(path: Path, cassette: Cassette) -> Iterator[Written]:
    """Yield the event streams of a cassette that nobody writes and that is what was written."""
    require_sound(path, cassette)
    _require_at_rest(path, cassette)
    for block in cassette.blocks.values():
        yield Written(block.opening[0], events_of(path, block))


def _rules_of(cassette: Cassette) -> Rules:
    return Rules(cassette.match, cassette.redact)


def save(
    source: str, path: Path, names: Iterable[str] = (), match: Match | None = None, **filters: Unpack[ExchangeFilters]
) -> CopyReport:
    """Write exchanges of a store to a cassette, bit for bit; those that it has already are compared and kept.

    :param source: URL of the store.
    :param path: of the cassette; it is made, or added to.
    :param names: ids of exchanges, ids or names of conversations; with filters, those of them that fit.
    :param match: how its requests are matched, where it is made.
    :raises NotFound: nothing fits.
    :raises VersionConflict: the cassette holds another event stream under one of the ids; nothing was written.
    :raises ConfigurationError: the path is none of a cassette, or the cassette has other rules.
    """
    target = cassette_path(url_of_path(path))
    if target is None:
        raise ConfigurationError(f"{path} is no name of a cassette: let it end in .jsonl")
    with Store(source) as store:
        streams = chosen_streams(store, filters, store.members(names) if names else None)
        carried = Carried()
        given = list(_given(store, streams, carried))
        make_folder(target)
        with locked(target):
            rules = rules_for(target, match, None)
            if rules.redact:
                raise ConfigurationError(
                    f"{path}, line 1: it was recorded with the redaction rule {rules.redact[0]!r}, by which the store "
                    "was not: write to another file"
                )
            there = {one.opened.stream: one for one in (_streams(target, read_file(target)) if target.exists() else ())}
            before = len(there), sum(len(one.events) for one in there.values())
            for one in given:
                there[one.opened.stream] = _longer(path, one, there.get(one.opened.stream), carried)
            if before != (len(there), sum(len(one.events) for one in there.values())):
                replace(target, content(there.values(), rules))
        return report(store, source, str(path), carried, set(streams))


def _given(store: Store, streams: Sequence[bytes], carried: Carried) -> Iterator[Written]:
    erased = erased_streams(store.reader.store)
    for stream in streams:
        opened, events = store.reader.opening(stream), store.reader.checked(stream)
        if stream in erased:
            carried.refused.append(Refused(stream, None, "since what was said in it was erased"))
            continue
        if opened is None or not events:
            carried.absent.append(stream)
            continue
        one = Written(opened, events)
        carried.openings += not one.is_exchange
        carried.exchanges += one.is_exchange
        if one.is_exchange and not any(event.type in TERMINAL_TYPES for event in events):
            carried.unfinished.append(stream)
        yield one


def _longer(path: Path, given: Written, there: Written | None, carried: Carried) -> Written:
    """Return what is to stand in a cassette: what it has is a beginning of what is given, or the other way round."""
    if there is None:
        carried.events += len(given.events)
        return given
    common = min(len(given.events), len(there.events))
    if given.opened != there.opened or given.events[common - 1].hash != there.events[common - 1].hash:
        name = id_text(given.opened.stream)
        raise VersionConflict(f"{path} holds another exchange {name}, nothing was written: write to another file")
    carried.present += common
    carried.events += len(given.events) - common
    return given if len(given.events) > common else there


def load(path: Path, target: str) -> CopyReport:
    """Bring a cassette to a store, bit for bit; what the store has already is compared and kept.

    :raises VersionConflict: the store holds another event stream under one of the ids; nothing was written.
    """
    return copy(url_of_path(path), target)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was taken out of a cassette: ids of exchanges, and how many are left."""

    removed: tuple[str, ...]
    left: int


def prune(
    path: Path, names: Iterable[str] = (), *, before_ns: int | None = None, unfinished: bool = False, dry: bool = False
) -> Pruned:
    """Take exchanges out of a cassette, and the openings of conversations that nothing is left of.

    :param names: ids of exchanges, or parts of them that no other has, from either end.
    :param before_ns: also those that were sent before; UTC nanoseconds.
    :param unfinished: also those that have no end.
    :param dry: only tell.
    :raises NotFound: a name stands for none, or for several.
    """
    with _changing(path) as cassette:
        streams = list(_streams(path, cassette))
        exchanges = {id_text(one.opened.stream): one for one in streams if one.is_exchange}
        gone = {_named(path, exchanges, name) for name in names}
        gone |= {name for name, one in exchanges.items() if before_ns is not None and one.events[0].wall_ns < before_ns}
        gone |= {name for name, one in exchanges.items() if unfinished and not _is_ended(one)}
        homes = {home for name, one in exchanges.items() if name not in gone for home in _homes(one)}
        kept = [
            one
            for one in streams
            if (id_text(one.opened.stream) in homes) or (one.is_exchange and _name(one) not in gone)
        ]
        if gone and not dry:
            replace(path, content(kept, _rules_of(cassette)))
        return Pruned(tuple(sorted(gone)), len(exchanges) - len(gone))


def _name(one: Written) -> str:
    return id_text(one.opened.stream)


def _named(path: Path, exchanges: Iterable[str], name: str) -> str:
    part = name.lower()
    found = [one for one in exchanges if part and (one.startswith(part) or one.endswith(part))]
    if len(found) != 1:
        many = f"{len(found)} exchanges whose ids begin or end with {name!r}: give more of it"
        raise NotFound(f"{path} has " + (many if found else f"no exchange {name}: see `recorder list --store {path}`"))
    return found[0]


def _is_ended(one: Written) -> bool:
    return any(event.type in TERMINAL_TYPES for event in one.events)


def _homes(one: Written) -> Iterator[str]:
    for event in one.events:
        if event.type == "request_sent":
            with suppress(CorruptRecording):
                yield str(event.facts.get("conversation", ""))


def set_match(path: Path, match: Match) -> None:
    """Write other rules of matching into the first line of a cassette."""
    with _changing(path) as cassette:
        replace(path, content(_streams(path, cassette), Rules(match.as_json() or None, cassette.redact)))


def upgrade(path: Path, *, accept: bool = False) -> tuple[bool, list[str]]:
    """Write a cassette again in the newest version, in the form in which a recorder writes it.

    :param accept: keep what can be read of it, as it is now: lines that were changed, an exchange that was cut off.
    :return: whether the file is another one now, and what was accepted.
    :raises CorruptRecording: its lines are not what was written, and nothing was to be accepted; or git has left a
        conflict in it, or only a later version of recorder can read it.
    """
    with _changing(path) as cassette:
        before = path.read_bytes()
        accepted: list[str] = []
        kept = list(_accepted(path, cassette, accepted) if accept else _streams(path, cassette))
        after = content(kept, _rules_of(cassette))
        if after != before:
            replace(path, after)
        return after != before, accepted


def _accepted(path: Path, cassette: Cassette, accepted: list[str]) -> Iterator[Written]:
    _require_at_rest(path, cassette)
    for problem in cassette.problems:
        if isinstance(problem, ConflictError | NewerVersionError):
            raise refused(path, problem)
        accepted.append(told(path, problem))
    for block in cassette.blocks.values():
        events = []
        try:
            for event in block.readable():
                events.append(event)  # noqa: PERF402 - as far as it can be read
        except NewerVersionError as error:
            raise refused(path, error) from None
        except LineError as error:
            accepted.append(f"{told(path, error)}, and nothing of its exchange after it is kept")
        if events and block.end is not None and events[-1].hash != block.end:
            accepted.append(f"{path}, lines {block.number} to {block.last_number} are not those that were recorded")
        if events:
            yield Written(block.opening[0], events)
