"""The command line on a store with journals and links: exchanges are what they were without."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from recorder.api.following import Following
from recorder.api.reader import Reader
from recorder.clock import id_text
from recorder.ledger.verify import verify
from recorder.recording.recovery import recover
from recorder.recording.streams import StreamWriter
from recorder.store import open_store
from tests.building import identity
from tests.commands import answered, fill, run, told
from tests.contract.journaled import journal, link
from tests.unit.recording.spooled import CLOCK, Recording

EXCHANGES = (answered(11, ("user", "hold")), answered(12, ("user", "sell")))
COMMANDS = (
    ("list", "--json"),
    ("search", "hold", "--json"),
    ("stats", "--json"),
    ("export", "--all", "--format", "jsonl"),
    ("export", "--all", "--format", "markdown"),
)


@pytest.fixture
def both(tmp_path: Path) -> tuple[str, str]:
    """URLs of two stores: one of exchanges, and one of the same among journals and links."""
    plain, mixed = (f"sqlite:///{tmp_path}/{name}.db" for name in ("plain", "mixed"))
    fill(plain, *EXCHANGES)
    fill(mixed, journal(1, 11, ended=None), *EXCHANGES, journal(13, 11, 12), link(14, 11))
    return plain, mixed


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("projected", [False, True], ids=["fresh", "projected"])
def test_what_is_shown_of_exchanges_is_the_same(
    both: tuple[str, str], command: tuple[str, ...], projected: bool
) -> None:
    shown = []
    for url in both:
        if projected:
            assert run("db", "rebuild", "--store", url).exit_code == 0
        result = run(*command, "--store", url)
        assert result.exit_code == 0, result.stderr
        shown.append(result.stdout)
    assert shown[0] == shown[1] != ""


def test_the_tables_behind_them_are_checked(both: tuple[str, str]) -> None:
    _, mixed = both
    assert run("db", "rebuild", "--store", mixed).stdout.endswith(
        "2 exchanges and 0 openings of conversations built again from the events\n"
    )
    result = run("db", "check", "--store", mixed)
    assert result.exit_code == 0, result.stdout


@pytest.mark.parametrize("number", [1, 13, 14])
def test_a_journal_is_shown_as_no_exchange(both: tuple[str, str], number: int) -> None:
    line = told(run("show", id_text(identity(number)), "--store", both[1]), 1)
    assert "nothing is recorded" in line or "no exchange" in line


def test_all_events_are_all_events(both: tuple[str, str], tmp_path: Path) -> None:
    written = tmp_path / "events.parquet"
    arguments = ("export", "--all", "--format", "parquet-events", "-o", str(written), "--store", both[1])
    assert run(*arguments).exit_code == 0
    found = parquet.read_table(written).column("type").to_pylist()
    assert {"instance_started", "linked", "request_sent"} <= set(found)


def test_recovery_ends_the_journal_of_a_dead_process_after_its_exchanges(tmp_path: Path) -> None:
    directory = tmp_path / "spools"
    directory.mkdir()
    dead = Recording(directory)
    running = StreamWriter(dead.spool, CLOCK, dead.instance, dead.instance, CLOCK.secret(32))
    running.write(b"instance_started", 0, b"{}")
    exchange = dead.exchange(end=False).id
    dead.die()
    with closing(open_store(f"sqlite:///{tmp_path}/store.db", write=True)) as store:
        done = recover(directory, store, CLOCK, b"r" * 16)
        assert done.died == [id_text(exchange)]
        ends = [list(store.events(stream))[-1] for stream in (exchange, dead.instance)]
        assert [event.type for event in ends] == ["process_died"] * 2
        assert (ends[0].position or 0) < (ends[1].position or 0)
        assert list(store.unfinished_journals()) == []
        assert verify(store.walk()).findings == ()


def test_whoever_follows_is_told_of_exchanges_alone(both: tuple[str, str]) -> None:
    with closing(open_store(both[1], write=True)) as store, closing(Reader(both[1])) as reader:
        following = Following(reader)
        died = journal(21, ended=None).event("process_died", {"found_by": "x"}, instance=b"r" * 16)
        for built in (journal(22, 23), answered(23, ("user", "late")), link(24, 23), died):
            store.append([built.opened], built.events)
        told = [(change["state"], change["id"]) for change in following.changes()]
    assert told == [(state, id_text(identity(23))) for state in ("began", "ended")]
