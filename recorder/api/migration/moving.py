"""One cassette of vcrpy becomes one of ours; what lies there already is never changed for another.

Theory of operation: the old files are imported into a cassette in a temporary folder, so that what they hold can be
told without writing anything. Ids of imported exchanges are made from what they hold, so whether a target holds the
same is seen from its ids: a second run writes nothing, and one after the old file has grown adds what is new.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recorder.api.importing import FileReport, Import
from recorder.api.migration.filters import filters_in
from recorder.api.migration.old_cassettes import Move
from recorder.api.migration.strictness import Strictness, strictness
from recorder.core.json_text import present
from recorder.errors import RecorderError
from recorder.store.cassette_file import make_folder, read_file, replace, require_sound


@dataclass(slots=True)
class Moved:
    """What became of a cassette.

    :ivar status: ``written``; ``added``: the target had a part of it; ``present``: it had all; ``conflict``: it holds
        something else, and was left; ``refused``: the old file cannot be read.
    :ivar exchanges: how many the old files hold.
    :ivar lacks: how many of them lack what, as in an import.
    :ivar reasons: why something was left.
    """

    move: Move
    status: str = "written"
    exchanges: int = 0
    lacks: Counter[str] = field(default_factory=Counter)
    strictness: Strictness = field(default_factory=Strictness)
    reasons: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether everything that the old files hold is, or would be, in the new one."""
        return self.status in ("written", "added", "present") and not self.reasons

    def as_json(self) -> dict[str, Any]:
        """Return a line of ``migrate --json``."""
        return present(
            kind="cassette",
            status=self.status,
            sources=list(map(str, self.move.sources)),
            target=str(self.move.target),
            tests=self.move.tests,
            note=self.move.note,
            exchanges=self.exchanges,
            lacks=dict(sorted(self.lacks.items())),
            stricter=[{"kind": one.kind, "detail": one.detail, "advice": one.advice} for one in self.strictness.found],
            rules=self.strictness.rules or None,
            secrets=dict(sorted(self.strictness.secrets.items())),
            reasons=self.reasons,
        )


def moved(move: Move, redact: Iterable[str], *, dry: bool) -> Moved:
    """Make a cassette of old ones, or say what would be made.

    :param redact: rules beside the built-in ones, and beside those that filters of vcrpy make.
    :param dry: nothing is written.
    :raises StoreError: the cassette cannot be written.
    :raises ConfigurationError: PyYAML is not installed; a rule is none.
    """
    found, redact, filters = Moved(move), tuple(redact), filters_in(move.options)
    if reasons := filters.missing(redact):
        found.status, found.reasons = "refused", reasons
        return found
    redact = tuple(dict.fromkeys((*redact, *filters.rules)))
    with tempfile.TemporaryDirectory(prefix="recorder-migrate-") as folder:
        made = Path(folder) / "made.jsonl"
        reports = _imported(move, made, redact)
        found.exchanges = sum(one.imported + one.present for one in reports)
        for report in reports:
            found.lacks.update(report.lacks)
            found.reasons += [f"{report.path}: {report.reason}"] if report.reason else []
            found.reasons += [f"{report.path}, entry {one.number}: {one.reason}" for one in report.refused]
            found.reasons += [
                f"{report.path}, entry {one.number}: another exchange came under its id {one.exchange}"
                for one in report.different
            ]
        if not made.exists():
            found.status = "refused"
            return found
        found.strictness = strictness(made, move.options)
        found.status = _status(move.target, made, found)
        if not dry and found.status == "written":
            make_folder(move.target)
            replace(move.target, made.read_bytes())
        elif not dry and found.status == "added":
            _imported(move, move.target, redact)
    return found


def _imported(move: Move, target: Path, redact: tuple[str, ...]) -> list[FileReport]:
    with Import(str(target), redact) as importing:
        return [importing.file(source) for source in move.sources]


def _status(target: Path, made: Path, found: Moved) -> str:
    if not target.exists():
        return "written"
    try:
        cassette = read_file(target)
        require_sound(target, cassette)
    except RecorderError as error:
        found.reasons.append(str(error))
        return "conflict"
    new = read_file(made)
    if unknown := [rule for rule in new.redact if rule not in cassette.redact]:
        found.reasons.append(
            f"{target} was made without the redaction rule {unknown[0]!r}, and may hold what that hides: "
            "remove it and run this again"
        )
        return "conflict"
    there, ours = set(cassette.blocks), set(new.blocks)
    if there >= ours:
        return "present"
    if there < ours:
        return "added"
    found.reasons.append(f"{target} is there with other content: move it away, or keep it and leave the old one")
    return "conflict"
