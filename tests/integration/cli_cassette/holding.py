"""What the cassettes of these tests hold, and who is in one."""

from __future__ import annotations

from pathlib import Path

from recorder.store import open_events
from tests.building import ExchangeBuilder
from tests.commands import answered, asking, identity_of
from tests.recorded import streams

HOME = ExchangeBuilder(1).event("conversation_named", {"name": "order"})
ONE = answered(2, ("user", "one"), conversation=identity_of(HOME), name="order")
TWO = answered(3, ("user", "two"))
CUT = asking(4, ("user", "three"))


def fill_cassette(path: Path, *built: ExchangeBuilder) -> None:
    log = open_events(str(path))
    for one in built:
        log.append([one.opened], one.events)
    log.close()


def held(path: Path) -> list[str]:
    return sorted(streams(str(path)))


def names(*built: ExchangeBuilder) -> list[str]:
    return sorted(map(identity_of, built))
