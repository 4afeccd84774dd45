"""What can be wrong with the rows of a store apart from events and their chains (``recorder db check``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from recorder.clock import ID_SIZE, id_or_digits
from recorder.core.events import TYPE_NAMES
from recorder.store.tables import records

_TABLES: Final = ("events", "event_streams", *records.tables)


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One thing that was looked at.

    :ivar what: a stable word.
    :ivar ok: False when something should be done about it.
    :ivar detail: one sentence.
    """

    what: str
    ok: bool
    detail: str


def contents(connection: Connection) -> list[CheckLine]:
    """Look at what the tables hold; every page must be sound."""
    looks = (_orphans, _types, _type_names, _spools, _checkpoints)
    return [look(connection) for look in looks]


def triggers(connection: Connection) -> CheckLine:
    """Look whether events are still append-only."""
    verbs = ["update", "delete"]
    sql = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    if connection.dialect.name == "postgresql":
        verbs.append("truncate")
        sql = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'"
    present = {str(row[0]) for row in connection.exec_driver_sql(sql)}
    missing = sorted({f"{table}_no_{verb}" for table in _TABLES for verb in verbs} - present)
    if missing:
        return CheckLine("append-only", False, f"triggers are missing or switched off: {', '.join(missing)}")
    return CheckLine("append-only", True, "UPDATE and DELETE of events and of the ledger are refused")


def _orphans(connection: Connection) -> CheckLine:
    sql = (
        "SELECT count(*) FROM (SELECT DISTINCT stream FROM events) AS e "
        "WHERE NOT EXISTS (SELECT 1 FROM event_streams s WHERE s.stream = e.stream)"
    )
    count = int(connection.exec_driver_sql(sql).scalar() or 0)
    if count:
        lost = "event stream has lost its" if count == 1 else "event streams have lost their"
        return CheckLine("openings", False, f"{count} {lost} opening: restore a backup")
    return CheckLine("openings", True, "every event belongs to an opened event stream")


def _types(connection: Connection) -> CheckLine:
    codes = ", ".join(map(str, TYPE_NAMES))
    sql = f"SELECT type, count(*), count(DISTINCT stream) FROM events WHERE type NOT IN ({codes}) GROUP BY type"
    found = [
        f"{counted(events, 'event')} of {counted(streams, 'event stream')} with code {code}"
        for code, events, streams in connection.exec_driver_sql(f"{sql} ORDER BY type")
    ]
    if found:
        return CheckLine(
            "types", False, f"of a type that this version does not know: {', '.join(found)}: upgrade recorder"
        )
    return CheckLine("types", True, "every event is of a known type")


def _type_names(connection: Connection) -> CheckLine:
    found = {int(code): str(name) for code, name in connection.exec_driver_sql("SELECT code, name FROM event_types")}
    wrong = sorted(code for code in found.keys() | TYPE_NAMES.keys() if found.get(code) != TYPE_NAMES.get(code))
    if wrong:
        codes = ", ".join(f"{code} is {TYPE_NAMES.get(code, 'no type')}" for code in wrong)
        told = f"event_types names events wrong in the view event_log ({codes}): correct its rows, verify is not misled"
        return CheckLine("type-names", False, told)
    return CheckLine("type-names", True, "the view event_log calls every event by its name")


def _spools(connection: Connection) -> CheckLine:
    rows = [(bytes(spool), drained) for spool, drained in connection.exec_driver_sql(_of_spools(connection))]
    wrong = [spool for spool, drained in rows if len(spool) != ID_SIZE or drained <= 0]
    if wrong:
        named = ", ".join(id_or_digits(spool) for spool in wrong[:4])
        hold = "hold" if len(wrong) > 1 else "holds"
        told = f"{counted(len(wrong), 'row')} of spools {hold} what no recorder writes ({named}): delete what it names"
        return CheckLine("spools", False, told)
    told = f"{counted(len(rows), 'spool')} drained in part or whole, not finished yet"
    return CheckLine("spools", True, told)


def _of_spools(connection: Connection) -> str:
    column = "uuid_send(spool)" if connection.dialect.name == "postgresql" else "spool"
    return f"SELECT {column}, drained FROM spools ORDER BY spool"


def _checkpoints(connection: Connection) -> CheckLine:
    """A checkpoint beyond the last event would keep what comes next out of every view."""
    place, end = "position", "SELECT coalesce(max(position), 0) FROM events"
    if connection.dialect.name == "postgresql":  # where positions count within a transaction
        place, end = "xid", "SELECT coalesce(max(xid::text::bigint), 0) FROM batches"
    wrong = f"SELECT name FROM projection_checkpoints WHERE {place} > ({end}) OR xid < 0 OR position < 0 ORDER BY name"
    names = ", ".join(str(row[0]) for row in connection.exec_driver_sql(wrong))
    if names:
        told = f"{names} stands where no event is, which hides new ones from the views: run `recorder db rebuild`"
        return CheckLine("checkpoints", False, told)
    return CheckLine("checkpoints", True, "no view is ahead of the events")


def counted(number: int, noun: str) -> str:
    """Return ``1 event``, ``2 events``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
