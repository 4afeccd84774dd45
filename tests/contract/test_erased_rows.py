"""What an erasure may change of events and streams, and that it is nothing else."""

from __future__ import annotations

import pytest

from recorder.errors import StoreError
from recorder.store.sql import SqlStore
from tests.building import identity
from tests.contract.stored import exchange, unchecked

ERASE = "UPDATE events SET meta = NULL, body = NULL"


class Erasing:
    """A store of two exchanges; the payloads of the first are told to be erased, up to a version."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        for number in (1, 2):
            built = exchange(number)
            store.append([built.opened], built.events)
        self.place = f"stream = {store.id_literal(identity(1))}"

    def tell(self, versions: int) -> None:
        columns = "stream, version, 300, hash"
        unchecked(
            self.store,
            f"INSERT INTO erased_payloads SELECT {columns} FROM events WHERE {self.place} AND version <= {versions}",
        )

    def refuse(self, statement: str) -> None:
        with pytest.raises(StoreError, match="append-only"):
            unchecked(self.store, statement)

    @property
    def zeros(self) -> str:
        return "zeroblob(32)" if self.store.name.startswith("sqlite") else "decode(repeat('00', 32), 'hex')"

    @property
    def blob(self) -> str:
        return "x'00'" if self.store.name.startswith("sqlite") else "'\\x00'::bytea"


@pytest.fixture
def erasing(store: SqlStore) -> Erasing:
    return Erasing(store)


def test_a_payload_that_is_told_to_be_erased_may_go(erasing: Erasing) -> None:
    erasing.tell(6)
    before = list(erasing.store.events(identity(1)))
    unchecked(erasing.store, f"{ERASE} WHERE {erasing.place}")
    after = list(erasing.store.events(identity(1)))
    assert after == [event._replace(meta=None, body=None) for event in before]
    assert len(list(erasing.store.events(identity(2)))[2].body or b"") == 300
    unchecked(erasing.store, f"UPDATE event_streams SET secret = {erasing.zeros} WHERE {erasing.place}")
    opened = erasing.store.opening(identity(1))
    assert opened is not None
    assert opened.secret == bytes(32)


def test_no_other_payload_may_go(erasing: Erasing) -> None:
    erasing.tell(3)
    erasing.refuse(ERASE)
    erasing.refuse(f"{ERASE} WHERE {erasing.place}")
    erasing.refuse(f"{ERASE} WHERE stream = {erasing.store.id_literal(identity(2))}")
    erasing.refuse(f"{ERASE} WHERE {erasing.place} AND version = 4")
    unchecked(erasing.store, f"{ERASE} WHERE {erasing.place} AND version <= 3")
    assert all(event.body for event in list(erasing.store.events(identity(1)))[3:5])


@pytest.mark.parametrize(
    "change",
    ["body = body", "meta = NULL", "body = NULL", "meta = NULL, body = {blob}", f"{ERASE[18:]}, hash = {{blob}}"]
    + [f"{ERASE[18:]}, {column} = {column} + 1" for column in ("version", "type", "wall_ns", "mono_ns", "flags")]
    + [f"{ERASE[18:]}, instance = stream", f"{ERASE[18:]}, stream = {{other}}"],
)
def test_an_erasure_changes_nothing_else(erasing: Erasing, change: str) -> None:
    erasing.tell(6)
    change = change.format(blob=erasing.blob, other=erasing.store.id_literal(identity(7)))
    before = list(erasing.store.events(identity(1)))
    erasing.refuse(f"UPDATE events SET {change} WHERE {erasing.place} AND version = 1")
    assert list(erasing.store.events(identity(1))) == before


def test_the_place_in_the_feed_stays(erasing: Erasing) -> None:
    erasing.tell(6)
    column = "position" if erasing.store.name.startswith("sqlite") else "batch"
    erasing.refuse(f"{ERASE}, {column} = {column} + 100 WHERE {erasing.place} AND version = 6")


def test_events_are_not_deleted_whatever_was_erased(erasing: Erasing) -> None:
    erasing.tell(6)
    unchecked(erasing.store, f"{ERASE} WHERE {erasing.place}")
    erasing.refuse(f"DELETE FROM events WHERE {erasing.place}")
    erasing.refuse(f"UPDATE events SET body = {erasing.blob} WHERE {erasing.place}")


def test_a_secret_stays_while_anything_is_left(erasing: Erasing) -> None:
    zero = f"UPDATE event_streams SET secret = {erasing.zeros} WHERE {erasing.place}"
    erasing.refuse(zero)
    erasing.tell(5)
    unchecked(erasing.store, f"{ERASE} WHERE {erasing.place} AND version <= 5")
    erasing.refuse(zero)  # the end has no payload, and its hash still needs a salt


def test_only_the_secret_is_zeroed(erasing: Erasing) -> None:
    erasing.tell(6)
    zero = f"UPDATE event_streams SET secret = {erasing.zeros}"
    erasing.refuse(f"{zero} WHERE {erasing.place}")  # the payloads are still there
    unchecked(erasing.store, f"{ERASE} WHERE {erasing.place}")
    erasing.refuse(f"UPDATE event_streams SET secret = {erasing.blob} WHERE {erasing.place}")
    erasing.refuse(f"{zero}, format = 2 WHERE {erasing.place}")
    erasing.refuse(f"{zero}, instance = stream WHERE {erasing.place}")
    erasing.refuse(f"{zero} WHERE stream = {erasing.store.id_literal(identity(2))}")
    unchecked(erasing.store, f"{zero} WHERE {erasing.place}")
    erasing.refuse(f"DELETE FROM event_streams WHERE {erasing.place}")
