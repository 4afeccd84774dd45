"""What can be done with cassettes as files: looked at, checked, written from a store, pruned, written again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Unpack

from recorder.api.copying import CopyReport, chosen_streams, copy, report
from recorder.api.store import ExchangeFilters, Store
from recorder.clock import id_text
from recorder.core.cassette import Block, Cassette
from recorder.core.cassette_lines import LineError
from recorder.core.events import TERMINAL_TYPES, Event
from recorder.core.json_text import present, rfc3339
from recorder.core.match_rules import Match
from recorder.errors import ConfigurationError, CorruptRecording, RecorderError, StoreUnreachable
from recorder.locations import CASSETTE_SUFFIX, absolute_url, as_url, spool_directory
from recorder.recording.spool_file import spool_files
from recorder.store.cassette import CassetteStore
from recorder.store.cassette_file import Rules, Written, content, locked, read_file, refused, replace, told
from recorder.store.copying import Carried

if TYPE_CHECKING:
    pass

_BEGINS: Final = b'{"cassette":'


def cassettes_in(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the cassettes that paths name: files as they are, and every cassette below folders, in order.

    :raises StoreUnreachable: one of them is not there.
    """
    for path in paths:
        if path.is_dir():
            yield from (found for found in sorted(path.rglob(f"*{CASSETTE_SUFFIX}")) if _looks_like_one(found))
        elif path.exists():
            yield path
        else:
            raise StoreUnreachable(f"there is no cassette {path}: check the name")


def _looks_like_one(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(_BEGINS)) == _BEGINS
    return False


@dataclass(slots=True)
class CassetteReport:
    """What a cassette holds, and what is wrong with it.

    :ivar path: as it was given.
    :ivar exchanges: how many are there; ``unfinished`` of them have no end.
    :ivar first_ns: when the first of them was sent, UTC nanoseconds; ``last_ns`` the last one.
    :ivar size: of the file, in bytes.
    :ivar match: how requests are matched; None for strictly.
    :ivar redact: rules of redaction beside the built-in ones.
    :ivar requests: method and URL of each.
    :ivar problems: what is wrong, each with its place and what to do.
    """

    path: Path
    exchanges: int = 0
    unfinished: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    size: int = 0
    match: Mapping[str, Any] | None = None
    redact: tuple[str, ...] = ()
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return a line of ``cassette list --json`` and ``cassette check --json``."""
        return present(
            file=str(self.path),
            exchanges=self.exchanges,
            unfinished=self.unfinished,
            first_at=None if self.first_ns is None else rfc3339(self.first_ns),
            last_at=None if self.last_ns is None else rfc3339(self.last_ns),
            size=self.size,
            match=dict(self.match) if self.match else None,
            redact=list(self.redact) or None,
            requests=self.requests,
            problems=self.problems,
        )


def look(path: Path) -> CassetteReport:
    """Return what a cassette holds, every line of it read and every hash compared; what is wrong is in it."""
    found = CassetteReport(path)
    try:
        cassette = read_file(path)
        found.size = path.stat().st_size
    except RecorderError as error:
        found.problems.append(str(error))
        return found
    found.match, found.redact = cassette.match, cassette.redact
    found.problems += [str(refused(path, problem)) for problem in cassette.problems]
    found.problems += _rules(path, cassette)
    for block in cassette.blocks.values():
        _look_at(path, block, found)
    if cassette.recording:
        found.problems.append(_left_open(path))
    return found


def _rules(path: Path, cassette: Cassette) -> Iterator[str]:
    try:
        Match.from_json(cassette.match or {})
    except ConfigurationError as error:
        yield f"{path}, line 1: {error}"


def _left_open(path: Path) -> str:
    return (
        f"{path} is being recorded, or its program was killed: "
        f"where nothing runs any more, `recorder recover --store {path}` finishes it"
    )


def _look_at(path: Path, block: Block, found: CassetteReport) -> None:
    if not block.is_exchange:
        events: list[Event] = []
    else:
        found.exchanges += 1
        found.first_ns = block.wall_ns if found.first_ns is None else min(found.first_ns, block.wall_ns)
        found.last_ns = block.wall_ns if found.last_ns is None else max(found.last_ns, block.wall_ns)
    try:
        events = block.events()
    except LineError as error:
        found.problems.append(str(refused(path, error)))
        return
    if block.is_exchange:
        found.unfinished += not any(event.type in TERMINAL_TYPES for event in events)
        asked = next((event for event in events if event.type == "request_sent"), None)
        if asked is not None:
            with suppress(CorruptRecording):
                found.requests.append(f"{asked.facts.get('method', '')} {asked.facts.get('url', '')}".strip())


def save(
    source: str, path: Path, names: Iterable[str] = (), match: Match | None = None, **filters: Unpack[ExchangeFilters]
) -> CopyReport:
    """Write exchanges of a store to a cassette, bit for bit; those that it has already are compared and kept.

    :param source: URL of the store.
    :param path: of the cassette; it is made, or added to.
    :param names: ids of exchanges, ids or names of conversations; with filters, those of them that fit.
    :param match: how its requests are matched, where it is made.
    :raises NotFound: nothing fits.
    :raises VersionConflict: the cassette holds another event stream under one of the ids.
    :raises ConfigurationError: the path is none of a cassette, or the cassette has other rules.
    """
    from recorder.api.cassettes import rules_for

    target = Path(absolute_url(_url_of(path)).removeprefix("cassette:///"))
    rules = rules_for(target, match, None)
    with Store(source) as store, closing(CassetteStore(target, rules)) as taking:
        carried = Carried()
        streams = chosen_streams(store, filters, store.members(names) if names else None)
        for stream in streams:
            _save_one(store, taking, stream, carried)
        return report(store, source, str(path), carried, set(streams))


def _url_of(path: Path) -> str:
    if path.suffix != CASSETTE_SUFFIX:
        raise ConfigurationError(f"{path} is no name of a cassette: let it end in {CASSETTE_SUFFIX}")
    return as_url(path)


def _save_one(store: Store, taking: CassetteStore, stream: bytes, carried: Carried) -> None:
    opened, events = store.reader.opening(stream), store.reader.checked(stream)
    if opened is None or not events:
        carried.absent.append(stream)
        return
    there = taking.counts()[0]
    taking.append([opened], events)
    new = taking.counts()[0] - there
    carried.events += new
    carried.present += len(events) - new
    if any(event.type in TERMINAL_TYPES for event in events):
        carried.exchanges += 1
    elif events[0].type in ("conversation_named", "tags_set"):
        carried.openings += 1
    else:
        carried.exchanges += 1
        carried.unfinished.append(stream)


def load(path: Path, target: str) -> CopyReport:
    """Bring a cassette to a store, bit for bit; what the store has already is compared and kept.

    :raises VersionConflict: the store holds another event stream under one of the ids; nothing was written.
    """
    return copy(_url_of(path), target)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was taken out of a cassette: ids and requests."""

    removed: tuple[str, ...]
    left: int


def prune(path: Path, drop: Callable[[str, int, bool], bool], *, dry: bool = False) -> Pruned:
    """Take exchanges out of a cassette, and the openings of conversations that nothing is left of.

    :param drop: tells of an exchange by its id, when it was sent (UTC nanoseconds), and whether it has an end.
    :param dry: only tell.
    """
    with locked(path):
        cassette = _sound(path)
        gone = {
            block.stream
            for block in cassette.exchange_blocks()
            if drop(id_text(block.stream), block.wall_ns, block.is_ended)
        }
        kept = [one for one in _streams(path, cassette) if one.opened.stream not in gone]
        homes = {home for one in kept if one.is_exchange for home in _homes(one)}
        kept = [one for one in kept if one.is_exchange or id_text(one.opened.stream) in homes]
        if gone and not dry:
            replace(path, content(kept, _rules_of(cassette)))
        return Pruned(tuple(map(id_text, sorted(gone))), sum(one.is_exchange for one in kept))


def _homes(one: Written) -> Iterator[str]:
    for event in one.events:
        if event.type == "request_sent":
            with suppress(CorruptRecording):
                yield event.facts.get("conversation", "")


def _sound(path: Path) -> Cassette:
    cassette = read_file(path)
    if cassette.problems:
        raise refused(path, cassette.problems[0])
    if cassette.recording or spool_files(spool_directory(absolute_url(as_url(path)))):
        raise ConfigurationError(_left_open(path))
    return cassette


def _streams(path: Path, cassette: Cassette) -> Iterator[Written]:
    for block in cassette.blocks.values():
        try:
            yield Written(block.opening[0], block.events())
        except LineError as error:
            raise refused(path, error) from None


def _rules_of(cassette: Cassette) -> Rules:
    return Rules(cassette.match, cassette.redact)


def set_match(path: Path, match: Match) -> None:
    """Write other rules of matching into the first line of a cassette."""
    with locked(path):
        cassette = _sound(path)
        replace(path, content(_streams(path, cassette), Rules(match.as_json() or None, cassette.redact)))


def match_of(path: Path) -> Match:
    """Return the rules of matching of a cassette.

    :raises ConfigurationError: they cannot be understood.
    """
    try:
        return Match.from_json(read_file(path).match or {})
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}, line 1: {error}") from None


def upgrade(path: Path, *, accept: bool = False) -> tuple[bool, list[str]]:
    """Write a cassette again in the newest version, in the form in which a recorder writes it.

    :param accept: keep what can be read of it, as it is now: lines that were changed, an exchange that was cut off.
    :return: whether the file is another one now, and what was accepted.
    :raises CorruptRecording: its lines are not what was written, and nothing was to be accepted.
    """
    with locked(path):
        before = path.read_bytes() if path.exists() else b""
        cassette = read_file(path) if accept else _sound(path)
        if cassette.recording:
            raise ConfigurationError(_left_open(path))
        accepted = [told(path, problem) for problem in cassette.problems]
        kept = list(_accepted(path, cassette, accepted) if accept else _streams(path, cassette))
        after = content(kept, _rules_of(cassette))
        if after != before:
            replace(path, after)
        return after != before, accepted


def _accepted(path: Path, cassette: Cassette, accepted: list[str]) -> Iterator[Written]:
    for block in cassette.blocks.values():
        events: list[Event] = []
        try:
            events.extend(block.readable())  # as far as it can be read
        except LineError as error:
            accepted.append(told(path, error))
        if events and block.end is not None and events[-1].hash != block.end:
            accepted.append(f"{path}, lines {block.number} to {block.last_number} are not those that were recorded")
        if events:
            yield Written(block.opening[0], events)


def read_match(text: str) -> Match:
    """Return rules of matching that are given as JSON.

    :raises ConfigurationError: they cannot be understood.
    """
    try:
        return Match.from_json(json.loads(text))
    except ValueError as error:
        told = f"{text!r} is no JSON ({error}): give an object, as"
        raise ConfigurationError(told + ' {"ignore": ["/user"]}') from None
