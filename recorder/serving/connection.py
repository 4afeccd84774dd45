"""One client's connection: its requests in order, each answered from the recording or told why it is not."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable
from typing import Final, Protocol

from recorder.clock import id_text
from recorder.core.matching import canonical_url
from recorder.core.tape import Tape
from recorder.errors import CassetteExhausted, ConfigurationError, NoMatchingExchange, RecorderError, RecordingEnded
from recorder.replay.answers import Answer
from recorder.replay.pace import Pace
from recorder.serving.asked import Asked, Requests, UnreadableError
from recorder.serving.control import PREFIX, Control
from recorder.serving.peers import Peers
from recorder.serving.playing import GRACE, Channel, End, LeftError, end_of, without_continue
from recorder.serving.refusals import Reply, not_played, refusal, refusal_of
from recorder.serving.tally import Report, Tally
from recorder.serving.visitors import why_not

_REDIRECT: Final = re.compile(rb"(?i)\AHTTP/1\.[01] 3\d\d.*?\nlocation:[ \t]*(https?://[^/\s?#]+)", re.DOTALL)


class Desk(Protocol):
    """What connections need of the server."""

    tally: Tally
    report: Report
    control: Control
    pace: Pace
    peers: Peers
    patience: float
    hosts: frozenset[str] | None

    def find(self, asked: Asked) -> Awaitable[Answer]:
        """Return the recorded answer to a request, without keeping other connections waiting."""
        ...

    def tell(self, line: str) -> None:
        """Say what somebody should know."""
        ...


class Connection:
    """Serves one client.

    :param desk: the server's side.
    :param reader: what the client sends.
    :param writer: what it gets.
    """

    def __init__(self, desk: Desk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._desk = desk
        self._channel = Channel(reader, writer, desk.peers)
        self._requests = Requests(reader, self._channel.write, desk.patience)

    async def serve(self) -> None:
        """Answer one request after the other, until the connection ends."""
        end = End.KEPT
        try:
            while end is End.KEPT:
                asked = await self._requests.next()
                if asked is None:
                    break
                end = await self._answered(asked)
        except UnreadableError as error:
            self._desk.tally.unreadable += 1
            self._desk.tell(f"not a request, {error}")
            said = refusal(error.status, "bad_request", str(error))
            said.headers["connection"] = "close"
            with contextlib.suppress(OSError):
                await self._reply(said, head_only=False)
        except OSError:  # between two answers nobody misses anything
            pass
        if end is End.RESET:
            await self._channel.reset()
        else:
            await self._channel.close()

    async def _answered(self, asked: Asked) -> End:
        desk = self._desk
        said = why_not(asked, desk.hosts)
        if asked.target.partition("?")[0].startswith(PREFIX):
            said = said or desk.control.reply(asked)
        else:
            desk.tally.asked += 1
            said = said or not_played(asked)
            if said is None:
                return await self._recorded(asked)
            desk.tally.refused.append(f"{_line(asked)}: {said.why}")
            desk.tell(f"not answered: {_line(asked)}: {said.why}")
        return await self._reply(said, head_only=asked.method == "HEAD")

    async def _recorded(self, asked: Asked) -> End:
        desk, pace = self._desk, self._desk.pace.start()
        try:
            answer = await desk.find(asked)
        except RecorderError as error:
            if not isinstance(error, NoMatchingExchange) and error not in desk.report.answers.refused:
                desk.tally.refused.append(f"{_line(asked)}: {error}")
            desk.tell(f"{_kind(error)}: {error}")
            return await self._reply(refusal_of(error), head_only=asked.method == "HEAD")
        desk.tally.answered += 1
        reads = without_continue(answer.tape.reads) if asked.continued else answer.tape.reads
        if (found := _REDIRECT.match(b"".join(read.data for read in reads[:2]))) is not None:
            place = found[1].decode("latin-1")
            desk.tell(f"{_line(asked)}: the recorded answer redirects to {place}: the client will ask there, not here")
        try:
            await self._channel.play(reads, pace)
        except LeftError as gone:
            desk.tally.left += 1
            whole = sum(len(read.data) for read in reads)
            desk.tell(f"{_line(asked)}: the client left after {gone.sent:,} of {whole:,} bytes of {_of(answer)}")
            return End.CLOSED
        return await self._end(asked, answer, pace)

    async def _end(self, asked: Asked, answer: Answer, pace: Pace) -> End:
        """Let the connection end as the recorded one did, when it did."""
        end, tape = end_of(answer.tape), answer.tape
        if end in (End.CLOSED, End.RESET) and tape.end is not None:
            await pace.rest(tape.elapsed_ns, asyncio.sleep)
        if end is End.HELD:
            await self._channel.left_by(None)
            return End.CLOSED
        if end is End.UNKNOWN:
            move = b"" if self._requests.ahead else await self._channel.next_move(GRACE)
            if move is not None:  # it closes, or asks something else: it has had all that it wanted
                self._requests.push(move)
                return End.CLOSED if asked.last else End.KEPT
            self._desk.tally.ended += 1
            told = f"{_line(asked)}: {_of(answer)} ends {_where(tape)}: the client reads on, and is reset"
            self._desk.report.answers.note_ended(RecordingEnded(told))
            self._desk.tell(told)
            return End.RESET
        return End.CLOSED if asked.last and end is End.KEPT else end

    async def _reply(self, said: Reply, *, head_only: bool) -> End:
        data, stays = self._requests.reply(said.status, said.headers, said.body, head_only=head_only)
        await self._channel.send(data)
        return End.KEPT if stays else End.CLOSED


def _line(asked: Asked) -> str:
    """A request for people: without its query and userinfo, where credentials may be."""
    return f"{asked.method} {canonical_url(asked.target.partition('?')[0])}"


def _of(answer: Answer) -> str:
    return f"recording {id_text(answer.exchange)}"


def _where(tape: Tape) -> str:
    if tape.end is None or tape.end not in _WHERE:
        return "without an end"
    return _WHERE[tape.end]


_WHERE: Final = {
    "consumer_closed": "where the recorded program had closed",
    "consumer_abandoned": "where the recorded program had read no further",
    "process_died": "where the recorded process had died",
    "recorder_closed": "where its recorder had been closed",
    "gap_recorded": "in a gap: what followed could not be recorded",
    "request_failed": "where the recorded program broke off",
    "response_failed": "where the recorded program broke off",
}


def _kind(error: RecorderError) -> str:
    if isinstance(error, CassetteExhausted):
        return "asked too often"
    if isinstance(error, NoMatchingExchange):
        return "missed"
    return "wrong request" if isinstance(error, ConfigurationError) else "not answered"
