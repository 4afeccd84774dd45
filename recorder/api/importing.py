"""Import: files that something else recorded, brought to a store, with a report of what could not be kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from recorder.api.acts import signing_key
from recorder.api.cassette_rules import rules_for
from recorder.api.foreign_files import ForeignFile, bodies_of_hars, is_part_of
from recorder.api.import_comparing import Compared, Different, compared
from recorder.api.vouching import signed
from recorder.clock import Clock, SystemClock, id_text
from recorder.core.content_coding import damage
from recorder.core.exchange import first_header
from recorder.core.journal_facts import StreamWrittenMeta
from recorder.core.json_text import present
from recorder.core.redaction import Redaction
from recorder.errors import ImportRefused, RecorderError, VersionConflict
from recorder.formats.importing.base import Foreign, Refused, importer_for
from recorder.ledger.sealer import Sealer
from recorder.locations import absolute_url, fingerprint_key
from recorder.recording.imports import File, Identities, Made, Writer
from recorder.recording.short_journal import short_journal
from recorder.store import open_events
from recorder.store.base import EventLog
from recorder.store.sql import SqlStore
from recorder.store.urls import parse_url

_ACTION: Final = {"action": "import"}
_BATCH: Final = 1024  # exchanges in one transaction
_BATCH_BYTES: Final = 16 * 1024 * 1024
_SEALED_TOGETHER: Final = 20  # such transactions: a sealer keeps no more than some ten thousand heads


class Damaged(NamedTuple):
    """An entry of a file whose answer was damaged when it was recorded: its bytes are kept as they are."""

    number: int
    reason: str


class NotThere(NamedTuple):
    """A file that a HAR names instead of a body, and that is not beside it.

    :ivar side: whose body it has: of the ``request``, or of the ``response``.
    """

    number: int
    side: str
    name: str


@dataclass(slots=True)
class FileReport:
    """What became of one file.

    :ivar path: as it was given, or found in a folder that was given.
    :ivar status: ``imported``; ``different``: so is some of it from what the store has under the same ids; ``refused``;
        ``passed_over``: found in a folder, and in no known format, or a body that a HAR names.
    :ivar imported: exchanges that the store did not have; ``present``: those that it had, the same.
    :ivar untold: of how many of these it was not compared what the file says of them beside their recordings, and why.
    :ivar different: those that it had, and different ones; nothing of these was written.
    :ivar refused: entries that could not be imported, and why.
    :ivar damaged: entries that were imported as they are, though their answers cannot be decoded, and what is wrong.
    :ivar absent: files that it names instead of bodies, and that are not there.
    :ivar lacks: how many of the exchanges lack what, by name.
    :ivar reason: why the file, or the rest of it, was not imported.
    :ivar advice: what to do about that, where it is known.
    :ivar body_of: the HAR that names it instead of a body, where it was passed over for that.
    """

    path: str
    status: str = "imported"
    sha256: str | None = None
    format: str | None = None
    version: str | None = None
    creator: str | None = None
    imported: int = 0
    present: int = 0
    untold: Counter[str] = field(default_factory=Counter)
    different: list[Different] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    damaged: list[Damaged] = field(default_factory=list)
    absent: list[NotThere] = field(default_factory=list)
    lacks: Counter[str] = field(default_factory=Counter)
    reason: str | None = None
    advice: str | None = None
    body_of: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether everything in it is in the store now."""
        return self.status != "refused" and self.reason is None and not self.refused and not self.different

    def as_json(self) -> dict[str, Any]:
        """Return a line of ``import --json``."""
        return present(
            file=self.path,
            status=self.status,
            sha256=self.sha256,
            format=self.format,
            version=self.version,
            creator=self.creator,
            imported=self.imported,
            present=self.present,
            untold=dict(sorted(self.untold.items())) or None,
            different=[one.as_json() for one in self.different],
            refused=[{"entry": one.number, "reason": one.reason} for one in self.refused],
            damaged=[{"entry": one.number, "reason": one.reason} for one in self.damaged] or None,
            absent=[{"entry": one.number, "side": one.side, "file": one.name} for one in self.absent] or None,
            lacks=dict(sorted(self.lacks.items())),
            reason=self.reason,
        )


class Import:
    """One import into a store; the store is opened, and made where there is none, when there is something to write.

    :param url: the store.
    :param redact: rules beside the built-in ones, as for a recorder; a cassette has its own.
    :param advance: told of bytes of files as they are done.
    """

    def __init__(
        self,
        url: str,
        redact: Iterable[str] = (),
        *,
        clock: Clock | None = None,
        advance: Callable[[int], None] = lambda _: None,
    ) -> None:
        clock = clock or SystemClock()
        target = parse_url(url, cassettes=True)
        self._url = absolute_url(url)
        self._file = target.cassette or parse_url(self._url).path
        self._rules = None if target.cassette is None else rules_for(target.cassette, None, redact)
        redaction = Redaction(fingerprint_key(clock), redact if self._rules is None else self._rules.redact)
        self._clock, self._instance = clock, clock.new_id()
        self._writer = Writer(redaction, self._instance, clock.secret, clock.wall_ns())
        self._advance = advance
        self._store: EventLog | None = None
        self._bodies: dict[Path, Path] = {}
        self._unsealed: list[bytes] = []

    def open(self) -> EventLog:
        """Open the store, if it is not open yet; make it where there is none.

        :raises StoreError: it cannot be opened.
        """
        if self._store is None:
            self._store = open_events(self._url, rules=self._rules)
        return self._store

    def look(self, paths: Iterable[Path]) -> None:
        """Look which files the HARs among *paths* name instead of bodies: found in a folder, they are passed over."""
        self._bodies = bodies_of_hars(paths, self._file)

    def file(self, path: Path, *, found: bool = False) -> FileReport:
        """Import one file.

        :param found: nobody named it: it was found in a folder, and may be something else.
        :raises StoreError: the store failed; what was imported before is in it, and is passed over the next time.
        :raises ConfigurationError: what its format needs is not installed.
        """
        report = FileReport(str(path))
        if is_part_of(path, self._file):
            report.status, report.reason = "passed_over" if found else "refused", "it is the store itself"
            return report
        har = self._bodies.get(path.resolve()) if found else None
        if har is not None:
            report.status, report.body_of = "passed_over", str(har)
            report.reason = f"it is a body that {har} names"
            return report
        try:
            self._read(path, report, found=found)
        except OSError as error:
            report.reason = f"it cannot be read ({error.strerror})"
        except ImportRefused as error:
            report.reason = str(error)
        except MemoryError:
            report.reason = "it does not fit into memory"
        if report.different:
            report.status = "different"
        elif report.reason is not None and report.status == "imported" and not report.imported and not report.present:
            report.status = "refused"
        return report

    def _read(self, path: Path, report: FileReport, *, found: bool) -> None:
        file = ForeignFile.read(path)
        report.sha256 = file.sha256
        left = _Left(file.size, self._advance)
        try:
            with file.source(self._file) as source:
                importer = importer_for(source)
                if importer is None:
                    report.status, report.reason = "passed_over" if found else "refused", source.unknown()
                    report.advice = source.advice
                    return
                report.format = importer.name
                told = importer.read(source)
                report.format, report.version, report.creator = told.format, told.version, told.creator
                named = File(path.name, file.sha256, file.size, told.format, told.version, told.creator)
                self._entries(told.entries, named, report, left)
        finally:
            left.done()

    def _entries(self, entries: Iterator[Foreign | Refused], file: File, report: FileReport, left: _Left) -> None:
        identities, batch, size = Identities(), list[Foreign](), 0
        try:
            for entry in entries:
                if isinstance(entry, Refused):
                    report.refused.append(entry)
                    continue
                batch.append(entry)
                size += len(entry.body) + len(entry.payload)
                if len(batch) >= _BATCH or size >= _BATCH_BYTES:
                    self._commit(batch, identities, file, report)
                    left.take(size)
                    batch, size = [], 0
        finally:
            self._commit(batch, identities, file, report)  # what could be read before the file went wrong
        if report.refused and not (report.imported or report.present or report.different):
            report.status = "refused"

    def _commit(self, batch: list[Foreign], identities: Identities, file: File, report: FileReport) -> None:
        """Write exchanges that were read; reading many and then writing them is faster than taking turns."""
        if not batch:
            return
        store = self.open()
        self._instance = self._clock.new_id()
        self._writer.begin(self._instance)
        made = [self._writer.made(identities.of(one), one, file) for one in batch]
        report.damaged += filter(None, map(_damaged, batch))
        report.absent += [NotThere(one.number, *absent) for one in batch for absent in one.absent]
        for missing, count in Counter(one.missing for one in made).items():
            report.lacks.update(dict.fromkeys(missing, count))
        try:
            found = self._append(store, made)
        except VersionConflict:  # somebody imports the same at the same time
            found = self._append(store, made)
        report.imported += len(made) - found.same - len(found.different)
        report.present += found.same
        report.untold += found.untold
        report.different += found.different

    def _append(self, store: EventLog, batch: list[Made]) -> Compared:
        new, found = compared(store, batch)
        if new:
            openings, events = [one.opened for one in new], [each for one in new for each in one.events]
            if isinstance(store, SqlStore):
                key, _ = signing_key(store)
                facts = signed(map(_written, new), key)
                journal, told = short_journal(store, self._clock, facts, _ACTION, self._instance)
                openings, events = [journal, *openings], [*told, *events]
            store.append(openings, events)
            self._unsealed.append(self._instance)
        return found

    def seal(self) -> str | None:
        """Seal what was imported, where the store has a ledger; return why it is not sealed, where that is so."""
        store, instances = self._store, self._unsealed
        if not isinstance(store, SqlStore) or not instances:
            return None
        sealer = Sealer(self._clock)
        sealer.begin(store)
        try:
            for number, instance in enumerate(instances, 1):
                sealer.take(store, instance)
                if number % _SEALED_TOGETHER == 0 and sealer.state().on:
                    sealer.seal(store)
        except RecorderError as error:
            return str(error)
        finally:
            sealer.end(store)
        self._unsealed = []
        return sealer.error

    def project(self) -> None:
        """Bring the tables behind ``list`` up to date, where something was written."""
        if not isinstance(self._store, SqlStore):
            return
        from recorder.projections.runner import project  # what rebuilds
        from recorder.store.projected import SqlProjected

        project(self._store, SqlProjected(self._store))

    def close(self) -> None:
        """Release the store."""
        if self._store is not None:
            self._store.close()

    def __enter__(self) -> Import:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _written(one: Made) -> tuple[str, StreamWrittenMeta]:
    """Return what the journal says of an exchange that is imported."""
    head = one.events[-1].hash.hex()
    stream = id_text(one.opened.stream)
    return "stream_written", StreamWrittenMeta(stream=stream, length=len(one.events), head=head, kind="import")


def _damaged(foreign: Foreign) -> Damaged | None:
    """Return what is damaged of an answer that something else recorded, and that nothing tells to have been cut."""
    if foreign.origin is not None or foreign.end not in (None, "response_completed"):
        return None
    reason = damage(foreign.body, first_header(foreign.response_headers, "content-encoding"))
    return None if reason is None else Damaged(foreign.number, reason)


class _Left:
    """Shares a file's bytes out over its exchanges: how far a reader is in its file, it does not tell."""

    def __init__(self, size: int, advance: Callable[[int], None]) -> None:
        self._left, self._advance = size, advance

    def take(self, size: int) -> None:
        part = min(size, self._left)
        self._left -= part
        self._advance(part)

    def done(self) -> None:
        self.take(self._left)
