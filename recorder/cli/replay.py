"""``recorder replay``: the recorded answers again, from the recording alone, compared byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import click
import requests

from recorder.api.player import Player
from recorder.api.store import Store
from recorder.cli.application import Settings, pace_option, store_option
from recorder.cli.failures import FOUND
from recorder.cli.naming import conversation_option, named, tell_others
from recorder.cli.once import command
from recorder.cli.output import Recorded, clean, counted, short
from recorder.cli.reading import FAILURES, pieces, reason
from recorder.core.exchange import Exchange
from recorder.core.messages import ERASED
from recorder.errors import ChainBroken, RecordingEnded

#: Ends after which reading on fails, as it failed when it was recorded.
_FAILURES: Final = frozenset({"request_failed", "response_failed", "response_truncated"})
#: Ends after which nobody knows what would have come.
_OPEN_ENDS: Final = frozenset({"consumer_closed", "consumer_abandoned", "process_died", "recorder_closed", None})
_LEFT_OUT: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})


@dataclass(frozen=True, slots=True)
class Replayed:
    """One exchange answered again.

    :ivar status: None where no answer came.
    :ivar body: the bytes that came, not content-decoded.
    :ivar pieces: in how many pieces.
    :ivar failure: what was raised, in one line; None where the answer ended well.
    :ivar ended_open: it ended where the recorded consumer, or its recorder, had stopped.
    """

    status: int | None
    body: bytes
    pieces: int
    failure: str | None
    ended_open: bool


@command()
@click.argument("identity", metavar="ID")
@conversation_option
@pace_option
@store_option
@click.pass_context
def replay(ctx: click.Context, identity: str, whole: bool, pace: float) -> None:
    """Answer the recorded requests again, and compare every byte.

    ID is what list shows, or a conversation's name. A conversation that no program opened has the ID of its first
    exchange, which is replayed alone without --conversation. Only the recording answers, no network is used.
    The bodies go to standard output as they come, the comparison to standard error. What is not what was
    written, as far as its hash chain tells, is not replayed. The exit code is 1 where anything differs.
    """
    different = 0
    with Store(ctx.ensure_object(Settings).store) as store:
        found = named(store, identity, whole=whole)
        for number in store.exchanges_of(found):
            recorded = store.exchange(number).exchange
            if recorded.request is None:
                gone = (fact.detail for fact in recorded.anomalies if fact.kind == ERASED)
                why = next(gone, "its request was not recorded")
                click.echo(f"{short(number)}  {clean(why)}: it cannot be replayed", err=True)
                different += 1
                continue
            try:
                store.reader.checked(recorded.stream)
            except ChainBroken as error:
                changed = click.style("CHANGED", fg="red", bold=True)
                click.echo(f"{short(number)}  {changed}: {clean(str(error))}: see recorder verify", err=True)
                different += 1
                continue
            shown = Recorded()
            replayed = play(store, recorded, pace, shown.data)
            shown.close()
            difference = compare(recorded, replayed)
            click.echo(f"{short(number)}  {summary(replayed, difference)}", err=True)
            different += difference is not None
        tell_others(store, found, "--conversation")
    ctx.exit(FOUND if different else 0)


def play(source: Store, recorded: Exchange, pace: float, each: Callable[[bytes], None]) -> Replayed:
    """Send a recorded request to a player of that one exchange, and read the whole answer.

    :param each: called with every piece as it comes.
    :raises NoMatchingExchange: the player does not know its own recording: a defect.
    """
    request = recorded.request
    assert request is not None
    headers = {name: value for name, value in request.headers if name.lower() not in _LEFT_OUT}
    came: list[bytes] = []
    status: int | None = None
    try:
        with Player(source, pace=pace, exchanges=[recorded.id]) as player, requests.Session() as session:
            session.trust_env = False
            player.mount(session)
            response = session.request(
                request.method, request.url, data=request.payload, headers=headers, stream=True, allow_redirects=False
            )
            status = response.status_code
            for piece in pieces(response, decode=False):
                came.append(piece)
                each(piece)
    except RecordingEnded:
        return Replayed(status, b"".join(came), len(came), None, True)
    except FAILURES as error:
        return Replayed(status, b"".join(came), len(came), reason(error), False)
    return Replayed(status, b"".join(came), len(came), None, False)


def compare(recorded: Exchange, replayed: Replayed) -> str | None:
    """Return in what a replay differs from its recording; None where it does not."""
    status = recorded.response.status if recorded.response is not None else None
    if replayed.status != status:
        return f"status {replayed.status} instead of {status}"
    if replayed.body != recorded.body:
        pairs = enumerate(zip(recorded.body, replayed.body, strict=False))
        at = next((number for number, (one, other) in pairs if one != other), None)
        at = min(len(recorded.body), len(replayed.body)) if at is None else at
        return f"differs from byte {at} on ({len(replayed.body):,} bytes instead of {len(recorded.body):,})"
    end = recorded.transport_end
    if end in _FAILURES and replayed.failure is None:
        return f"did not fail as recorded ({end})"
    if end not in _FAILURES | _OPEN_ENDS and (replayed.failure is not None or replayed.ended_open):
        return f"failed, unlike the recording: {replayed.failure or 'it ends early'}"
    return None


def summary(replayed: Replayed, difference: str | None) -> str:
    """Return one line about a replay."""
    facts = ["no answer" if replayed.status is None else f"status {replayed.status}"]
    facts += [counted(replayed.pieces, "piece"), counted(len(replayed.body), "byte")]
    if difference is not None:
        facts.append(click.style(f"DIFFERENT: {clean(difference)}", fg="red", bold=True))
    else:
        facts.append(click.style("same bytes", fg="green"))
    if replayed.failure is not None:
        facts.append(
            f"failed as recorded: {clean(replayed.failure)}" if difference is None else clean(replayed.failure)
        )
    if replayed.ended_open:
        facts.append("then the recording ends: nobody read on")
    return ", ".join(facts)
