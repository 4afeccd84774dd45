"""Recorder: what a program mounts to have its exchanges recorded."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from recorder.api.anchoring import OwnAnchors
from recorder.api.cassette_rules import rules_for
from recorder.api.conversations import Conversation, Conversations, current_conversation
from recorder.api.ending import Ending, projecting
from recorder.api.sealing import link, link_facts
from recorder.clock import Clock, SystemClock, id_bytes, id_text
from recorder.core.receipts import Receipt
from recorder.core.redaction import Redaction
from recorder.errors import ConfigurationError, NotFound
from recorder.locations import (
    absolute_url,
    as_url,
    fingerprint_key,
    payload_keys_file,
    prepared_spool_directory,
)
from recorder.recording.drain import Drainer
from recorder.recording.lanes import Lanes
from recorder.recording.mover import Health, Mover
from recorder.recording.process_drainer import ProcessDrainer
from recorder.recording.program_end import LastingWritePath
from recorder.recording.recovery import Recovered
from recorder.recording.write_path import DURABILITIES, FAILURE_POLICIES, WritePath
from recorder.store import NO_RULES, Rules, Synchronous, open_events
from recorder.store.urls import StoreUrl, parse_url

if TYPE_CHECKING:
    import requests

    from recorder.core.match_rules import Match
    from recorder.recording.payload_sealing import PayloadSealing
    from recorder.transports.aiohttp_recording import AiohttpRecording
    from recorder.transports.httpx_recording import HttpxRecording
    from recorder.transports.requests_recording import RequestsRecording

_log = logging.getLogger("recorder")

_DRAINERS = ("thread", "process")
_RESTING_STEP = 256  # events of the feed: while the program rests it may want its interpreter back


def switched_off() -> bool:
    """Whether ``RECORDER_OFF`` turns recording off."""
    return os.environ.get("RECORDER_OFF", "").strip().lower() not in ("", "0", "false", "no", "off")


class Recorder:
    """Records every exchange of the sessions it is mounted on.

    A context manager; :meth:`close` brings everything to the store. Thread-safe and fork-safe. It records as
    long as a session that it is mounted on is in use; dropped without :meth:`close`, it is closed in the
    background when the last of them is gone.

    :param store_url: ``sqlite:///FILE``, the path of such a file, ``postgresql+psycopg://…``, or the path of a
        cassette, ``FILE.jsonl``;
        ``RECORDER_STORE`` where it is left out, else ``sqlite:///recorder.db``. A SQLite store is created and
        upgraded as needed.
    :param durability: ``"delivered"``: a killed process loses no chunk that its consumer saw;
        ``"batched"``: up to 20 ms may be lost; ``"synced"``: the request and the end of each exchange
        survive a loss of power, chunks do so 20 ms later at the latest.
    :param on_failure: ``"spool"``: a store that fails never disturbs the program; ``"raise"``: a
        request that cannot be recorded is not sent.
    :param redact: rules that add to the built-in ones: ``"header:NAME"``, ``"query:NAME"``,
        ``"body:NAME"`` or ``"body:/json/pointer"``.
    :param match: of a cassette: how its requests are matched when it is played; strictly where it is left out. It is
        written in its first line.
    :param drainer: what moves events from the spool to the store: a ``"thread"`` of this process, or a
        ``"process"`` of its own (not on Windows), which leaves this one's interpreter to the program.
    :param anchors: where traces of the ledger's checkpoints are left, out of reach of whoever holds the store:
        ``"file:PATH"``, ``"directory:PATH"``, ``"command:PROGRAM …"``, ``"rfc3161:URL"``; ``RECORDER_ANCHORS`` where it
        is left out.
    :param encrypt: what is said is sealed before it is written anywhere, each exchange under a key of its own, which
        lies in a table apart from the store: see docs/howto-erase.md. Needs the extra ``proof``.
    :param spool_wait: seconds for which the first failing write of an outage is tried again.
    :param close_timeout: seconds that :meth:`close` and :meth:`flush` give the store, whatever it does; what is left of
        them at the end, five at most, the anchors get. Until the recorder is made, a store that hangs, or stays locked,
        takes five seconds or so of the program's: then it goes on without.
    :param clock: time, ids and secrets; for tests.
    :raises ConfigurationError: an argument is wrong, or the store cannot be made.
    :raises StoreError: the store is not one that this version can write.
    """

    _path: LastingWritePath | None = None
    _ending: Ending | None = None
    _warned = False
    _transport: RequestsRecording | None = None
    _httpx: HttpxRecording | None = None
    _aiohttp: AiohttpRecording | None = None

    def __init__(
        self,
        store_url: str | os.PathLike[str] | None = None,
        *,
        durability: str = "delivered",
        on_failure: str = "spool",
        redact: Iterable[str] | str | None = None,
        match: Match | None = None,
        drainer: str = "thread",
        anchors: Iterable[str] | None = None,
        encrypt: bool = False,
        spool_wait: float = 0.25,
        close_timeout: float = 10.0,
        clock: Clock | None = None,
    ) -> None:
        _one_of("durability", durability, DURABILITIES)
        _one_of("on_failure", on_failure, FAILURE_POLICIES)
        _one_of("drainer", drainer, _DRAINERS if os.name == "posix" else _DRAINERS[:1])
        _seconds(spool_wait=spool_wait, close_timeout=close_timeout)
        self._timeout = close_timeout
        if switched_off():
            _log.warning("recorder: RECORDER_OFF is set, nothing is recorded")
            return
        clock = clock or SystemClock()
        target, url = parse_url(as_url(store_url), cassettes=True), absolute_url(as_url(store_url))
        rules, own = _rules(target, match, redact), OwnAnchors(anchors, url, clock)
        synchronous: Synchronous = "full" if durability == "synced" else "normal"
        directory, redact = prepared_spool_directory(url), _listed(redact)
        setup = {"durability": durability, "on_failure": on_failure, "drainer": drainer, "redact": redact}
        setup |= {"encrypt": True} if encrypt else {}
        open_for_writing = partial(open_events, url, synchronous=synchronous, rules=rules)

        def make_thread(spool: Lanes, instance: bytes) -> Mover:
            return Drainer(spool, open_for_writing, clock, projecting(at_once=_RESTING_STEP), signed=own.offer)

        def make_process(spool: Lanes, instance: bytes) -> Mover:
            orders = {"store": url, "synchronous": synchronous, "directory": str(directory), "instance": instance.hex()}
            return ProcessDrainer(orders | {"match": rules.match, "redact": list(rules.redact)}, clock, own.offer)

        path = LastingWritePath(
            directory,
            open_for_writing,
            make_thread if drainer == "thread" else make_process,
            clock,
            Redaction(fingerprint_key(clock), redact or () if target.cassette is None else rules.redact),
            durability=durability,
            must_record=on_failure == "raise",
            wait=spool_wait,
            make_apart=make_process,
            configuration=setup if target.cassette is None else None,
            openings=_sealing(target, clock) if encrypt else None,
        )
        try:
            path.start()
        except BaseException:
            path.abandon()
            raise
        own.begin(path.tell)
        self._path, self._conversations, self._anchors = path, Conversations(path), own
        self._ending = Ending(self, path, url, close_timeout, own.close)

    @property
    def recovered(self) -> Recovered:
        """What was found of dead processes when this recorder was opened."""
        return self._path.recovered if self._path is not None else Recovered()

    def mount(self, session: requests.Session) -> requests.Session:
        """Have every exchange of *session* recorded; return the session.

        Its adapters are replaced by others that share everything with them: settings, state, connections.
        Mounting twice is the same as mounting once.

        :raises ConfigurationError: one of its HTTP adapters is not an ``HTTPAdapter``.
        :raises TypeError: it is no session.
        """
        transport = self.requests_recording()
        if transport is not None:
            transport.mount(session)
        return session

    def requests_recording(self) -> RequestsRecording | None:
        """Return what records the sessions of requests; None with ``RECORDER_OFF``. For a player that is given us."""
        if self._path is not None and self._transport is None:
            from recorder.transports.requests_recording import RequestsRecording

            must_record = self._path.must_record
            self._transport = RequestsRecording(self._open_path, current_conversation, must_record=must_record)
        return self._transport

    def httpx_transport(self, wrapped: Any) -> Any:
        """Return a transport for clients of httpx or httpx2: every exchange that goes through it is recorded.

        :param wrapped: the transport that sends, as ``httpx.HTTPTransport()``, or an async one; with
            ``RECORDER_OFF`` it is what is returned.
        :raises ConfigurationError: it is no transport of httpx or httpx2.
        """
        if self._path is None:
            return wrapped
        if self._httpx is None:
            from recorder.transports.httpx_recording import HttpxRecording

            must_record = self._path.must_record
            self._httpx = HttpxRecording(self._open_path, current_conversation, must_record=must_record)
        return self._httpx.transport(wrapped)

    def aiohttp_connector(self, wrapped: Any) -> Any:
        """Return a connector for sessions of aiohttp: every exchange that goes over its connections is recorded.

        As any connector of aiohttp, it is made where an event loop runs.

        :param wrapped: the connector that connects, as ``aiohttp.TCPConnector()``; with ``RECORDER_OFF`` it is what is
            returned.
        :raises ConfigurationError: it is no connector of aiohttp.
        """
        if self._path is None:
            return wrapped
        if self._aiohttp is None:
            from recorder.transports.aiohttp_recording import AiohttpRecording

            must_record = self._path.must_record
            self._aiohttp = AiohttpRecording(self._open_path, current_conversation, must_record=must_record)
        return self._aiohttp.connector(wrapped)

    def _open_path(self) -> WritePath | None:
        path = None if self._path is None else self._path.current()
        if path is None or not path.closed:
            return path
        self._sent_after_closing()
        return None

    def _sent_after_closing(self) -> None:
        """Say, once, that what is sent is not recorded any more; a subclass may refuse it by a RecordingError."""
        if not self._warned:
            self._warned = True
            _log.warning("recorder: the recorder is closed, but a session it was mounted on goes on, unrecorded")

    def conversation(self, name: str | None = None, *, tags: Mapping[str, str] | None = None) -> Conversation:
        """Return a context manager: exchanges sent inside it belong to one conversation.

        A name that exists continues that conversation. Context variables do not reach thread pools
        by themselves: enter the object again in the worker.

        :raises ConfigurationError: the name is empty, or a tag is not text.
        """
        if self._path is None:
            return Conversation("", name)
        return self._conversations.open(name, tags or {})

    def exchange(self, response: Any) -> str | None:
        """Return the id of the exchange that a response in hand came from.

        None where nothing was recorded of it: ``RECORDER_OFF`` is set, or this recorder was closed before.

        :param response: of requests, httpx or httpx2; or the request of a call that got none, as the ``request`` of
            its exception.
        :raises NotFound: it was not sent through anything that this recorder is mounted on.
        :raises TypeError: it is neither a response nor a request.
        """
        if not _is_of_http(response):
            raise TypeError(f"response is not a requests.Response, nor one of httpx, but {response!r}")
        for transport in (self._transport, self._httpx):
            if transport is not None and transport.knows(response):
                identity = transport.exchange_of(response)
                return None if identity is None else id_text(identity)
        if self._path is None or self._path.closed:
            return None
        raise NotFound("the response was not recorded by this recorder")

    def seal(self, exchange: str | Any) -> Receipt | None:
        """Seal all that was recorded so far, before something is done that rests on it.

        What was recorded is brought to the store, its hashes are put into the ledger, and the ledger's new state is
        signed and kept outside the store. It takes milliseconds: two writes that reach the disk.

        :param exchange: the id of an exchange, or a response in hand (or its request), as for :meth:`exchange`.
        :return: the proof that the exchange, up to its newest event, is in the log; its ``tag`` is short enough for
            the client order id of a broker. None with ``RECORDER_OFF``.
        :raises ConfigurationError: the store has no ledger (`recorder keys init` makes one), or its key is not here;
            or this recorder was closed before.
        :raises LedgerConflict: the store does not continue what was signed of it before.
        :raises StoreError: the store, or the file of checkpoints, cannot be written.
        :raises NotFound: there is no such exchange.
        """
        path = self._acting("seal")
        identity = None if path is None else self._identity(exchange)
        return None if path is None or identity is None else path.seal(identity, self._timeout)

    def link(self, *, kind: str, id: str, exchange: str | Any, tag: str | None = None, **facts: Any) -> str | None:  # noqa: A002
        """Record that something outside rests on an exchange: an order that was placed because of an answer.

        :param kind: what it is, in a word: ``order``.
        :param id: its id out there, as the broker's order id.
        :param exchange: the id of the exchange, or the response in hand, as for :meth:`exchange`.
        :param tag: the tag of the receipt that was sent along.
        :param facts: what else is to be known of it: what JSON can say. They are kept for good: no personal data.
        :return: the id of the link; None with ``RECORDER_OFF``.
        :raises ConfigurationError: kind, id or facts cannot be recorded; or this recorder was closed before.
        :raises NotFound: the response was not recorded by this recorder.
        """
        path = self._acting("link")
        identity = None if path is None else self._identity(exchange)
        return None if path is None or identity is None else link(path, link_facts(kind, id, identity, tag, facts))

    def _acting(self, act: str) -> WritePath | None:
        """Return what records; None where recording is switched off: who acts after the end must not act unrecorded."""
        path = None if self._path is None else self._path.current()
        if path is not None and path.closed:
            raise ConfigurationError(f"this recorder is closed: {act} before the end of its block")
        return path

    def _identity(self, exchange: str | Any) -> bytes | None:
        """Return the id of an exchange that was named by its id, or by a response."""
        if not isinstance(exchange, str):
            exchange = self.exchange(exchange)
        try:
            return None if exchange is None else id_bytes(exchange)
        except ValueError:
            raise NotFound(
                f"{exchange!r} is not the whole id of an exchange: Recorder.exchange(response) tells it"
            ) from None

    def flush(self) -> bool:
        """Bring everything recorded so far to the store; return whether it is there."""
        return self._path is None or self._path.closed or self._path.flush(self._timeout)

    def health(self) -> Health:
        """Return how recording is doing."""
        if self._path is None:
            return Health(True, None, None, 0, 0, 0, 0, 0)
        return replace(self._path.health(), anchors=self._anchors.health())

    def close(self) -> None:
        """Bring everything to the store and stop recording; closing twice is fine.

        What the store does not take in time stays in the spool, where the next recorder, or
        ``recorder recover``, finds it.
        """
        if self._ending is not None:
            self._ending.close()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _sealing(target: StoreUrl, clock: Clock) -> PayloadSealing:
    """Return what seals payloads, after looking whether the keys are apart from the store.

    :raises ConfigurationError: they are not, or it is a cassette.
    """
    if target.cassette is not None:
        raise ConfigurationError("a cassette is not encrypted: record into a store, or leave encrypt out")
    from recorder.recording.payload_sealing import PayloadSealing  # with sqlite3, which not every store needs
    from recorder.store.payload_keys import PayloadKeys

    table = payload_keys_file().resolve()
    if target.path is not None and table == target.path.resolve():
        raise ConfigurationError(f"the table of keys cannot be the store itself ({table}): give it a file of its own")
    return PayloadSealing(PayloadKeys(table), clock)


def _rules(target: StoreUrl, match: Match | None, redact: Iterable[str] | str | None) -> Rules:
    """Return the rules of a cassette; none for a store, which keeps none."""
    if target.cassette is not None:
        return rules_for(target.cassette, match, redact)
    if match is not None:
        raise ConfigurationError("match says how a cassette is matched: give it to Player, or record to FILE.jsonl")
    return NO_RULES


def _listed(redact: object) -> Any:
    """Return rules so that they can be looked at more than once; what is none is refused where they are read."""
    if redact is None or isinstance(redact, str):
        return [] if redact is None else [redact]
    return list(redact) if isinstance(redact, Iterable) else redact


def _is_of_http(sent: object) -> bool:
    """Whether something is a response or a request of a library that recorder records; imports none of them."""
    requests, httpx = sys.modules.get("requests"), sys.modules.get("recorder.transports.httpx_modules")
    of_requests = requests is not None and isinstance(sent, (requests.Response, requests.PreparedRequest))
    return of_requests or (httpx is not None and httpx.is_of_httpx(sent))


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigurationError(f"{name}={value!r} is not known: use {' or '.join(map(repr, allowed))}")


def _seconds(**given: object) -> None:
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < threading.TIMEOUT_MAX:
            raise ConfigurationError(f"{name}={value!r} is no number of seconds: use 0 or more")
