"""Running one case of the fidelity matrix and comparing what was seen.

Not compared, because it is not the same from one bare run to the next: elapsed times, object
addresses, ports, timeouts and case keys inside messages (normalised), the Authorization of a digest round
(random client nonce) and the exact number of segments a server had sent when it noticed that its
client had gone (compared within :data:`SEGMENTS_OF_GRACE`). Everything else is, the items of
``read1``, ``peek`` and the reads below urllib3 too: see the handshake in server.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatch
from itertools import islice
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter

from tests.fidelity.behaviours import Behaviour
from tests.fidelity.consumers import MOST_ITEMS, Box, Consumer, plain
from tests.fidelity.server import Server

PrepareSession = Callable[[requests.Session], requests.Session]

#: An early close must reach the server within so many segments of when it would have, bare.
SEGMENTS_OF_GRACE: Final = 2

#: What a replay cannot have: the server is gone, and redaction replaced what it set.
REPLAY_IGNORES: Final = (
    "server*",  # nothing was asked of it
    "*.cookies[[]*[]][[]1[]]",  # a cookie's value, not its name and path
    "*.headers.set-cookie.*",
)


@dataclass
class Observation:
    """What a program saw of one case: plain values only.

    :ivar items: what the consumer yielded, in order.
    :ivar error: classes and messages of the exception that ended it, innermost last; empty when none.
    :ivar phase: ``request`` when the exception came from the call, ``consume`` when from the reading.
    :ivar before: attributes of the response before it was read.
    :ivar after: attributes of the response after it was read, before it was closed.
    :ivar second: the outcome of another request on the same session.
    :ivar connections: connections and requests that the session's pools counted; -1 without pools.
    :ivar server: what the server saw; empty on replay.
    """

    items: list[object] = field(default_factory=list)
    error: list[str] = field(default_factory=list)
    phase: str = ""
    before: dict[str, object] = field(default_factory=dict)
    after: dict[str, object] = field(default_factory=dict)
    second: dict[str, object] = field(default_factory=dict)
    connections: dict[str, int] = field(default_factory=dict)
    server: dict[str, object] = field(default_factory=dict)


def observe(
    behaviour: Behaviour,
    consumer: Consumer,
    prepare_session: PrepareSession,
    *,
    server: Server,
    key: str,
    live: bool = True,
    patience: float = 10.0,
) -> Observation:
    """Run one case and return what was seen.

    :param prepare_session: gets the session, the behaviour's adapter mounted already, and returns the
        one to use: where a recorder or a player is mounted.
    :param key: names the run; a replay uses the key of the recording, every other run its own.
    :param live: False when the server is gone and a player answers.
    :param patience: seconds given to the server to see that a client has closed.
    """
    seen = Observation()
    session = prepare_session(_session(behaviour))
    url = server.url(behaviour, key)
    box: Box = []
    try:
        try:
            _request_and_consume(seen, session, behaviour, consumer, url, box)
        except Exception as error:  # whatever is raised is compared
            seen.error = describe(error)
        seen.after = attributes(box[0]) if box else {}
        if live:
            server.settle(key)
        seen.second = _second(session, server.after_url(behaviour, key))
        seen.connections = _pool_counts(session, url)
    finally:
        for response in box:
            response.close()
        session.close()
    return reported(seen, server, key, live=live, patience=patience)


def _session(behaviour: Behaviour) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    if behaviour.adapter is not None:
        session.mount("http://", behaviour.adapter())
    return session


def _request_and_consume(
    seen: Observation, session: requests.Session, behaviour: Behaviour, consumer: Consumer, url: str, box: Box
) -> None:
    seen.phase = "request"
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": behaviour.name}]}
    box.append(
        session.request(
            behaviour.method,
            url,
            json=None if behaviour.method == "HEAD" else body,
            headers={"Authorization": "Bearer not-a-secret"} if behaviour.auth is None else None,
            auth=behaviour.auth() if behaviour.auth is not None else None,
            stream=consumer.stream,
            timeout=(20.0, behaviour.read_timeout),
        )
    )
    seen.phase = "consume"
    seen.before = attributes(box[0])
    for item in islice(consumer.take(box), MOST_ITEMS):
        seen.items.append(plain(item))


def _second(session: requests.Session, url: str) -> dict[str, object]:
    try:
        response = session.post(url, json={"n": 2}, timeout=20.0)
    except Exception as error:  # whatever is raised is compared
        return {"error": describe(error)}
    return {"status": response.status_code, "headers": _lines(response.headers), **response.json()}


def _pool_counts(session: requests.Session, url: str) -> dict[str, int]:
    pools = getattr(getattr(session.get_adapter(url), "poolmanager", None), "pools", None)
    if pools is None:
        return {"connections": -1, "requests": -1}
    found = [pools.get(key) for key in pools.keys()]  # noqa: SIM118 - urllib3's container does not iterate
    return {
        "connections": sum(pool.num_connections for pool in found if pool is not None),
        "requests": sum(pool.num_requests for pool in found if pool is not None),
    }


_RAW_ATTRIBUTES: Final = (
    "status",
    "reason",
    "version",
    "version_string",
    "closed",
    "chunked",
    "chunk_left",
    "length_remaining",
    "decode_content",
    "enforce_content_length",
    "auto_close",
)


def attributes(response: requests.Response) -> dict[str, object]:
    """Return what can be asked of a response without reading it."""
    raw = response.raw
    return {
        "status_code": response.status_code,
        "reason": response.reason,
        "ok": response.ok,
        "url": response.url,
        "encoding": response.encoding,
        "is_redirect": response.is_redirect,
        "is_permanent_redirect": response.is_permanent_redirect,
        "next": response.next and response.next.url,
        "links": dict(response.links),
        "history": [(each.status_code, each.url, each.content) for each in response.history],
        "cookies": sorted((c.name, c.value, c.path) for c in response.cookies),
        "headers": _lines(response.headers),
        "request.headers": _lines(response.request.headers),
        "request.body": response.request.body,
        "connection is an HTTPAdapter": isinstance(response.connection, HTTPAdapter),
        "raw.headers": _lines(raw.headers),
        "raw.tell": raw.tell(),
        "raw.retries": len(raw.retries.history) if raw.retries else None,
        "raw.connection": raw.connection is not None,
        "raw.fileno": _fileno(raw),
        "raw.isclosed": raw.isclosed(),
        "raw type": _type_name(raw),
        "raw._fp type": _type_name(raw._fp),
        **{f"raw.{name}": getattr(raw, name, "absent") for name in _RAW_ATTRIBUTES},
    }


def _lines(headers: Mapping[str, Any]) -> list[str]:
    return [f"{name}: {value!s}" for name, value in headers.items()]


def _fileno(raw: Any) -> str:
    try:
        return type(raw.fileno()).__name__
    except Exception as error:  # whatever is raised is compared
        return f"{type(error).__name__}: {error}"


def _type_name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def describe(error: BaseException) -> list[str]:
    """Return class and message of an exception and of those behind it (cause or context), outermost first."""
    chain: list[str] = []
    current: BaseException | None = error
    while current is not None:
        chain.append(f"{_type_name(current)}: {current}")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return chain


def describe_awaited(error: BaseException) -> list[str]:
    """Return what :func:`describe` does, without cancelled waits: they name the address of an object."""
    return [line for line in describe(error) if not line.startswith("asyncio.exceptions.CancelledError")]


class _Normal:
    """Replaces what differs between any two runs."""

    def __init__(self, server: Server, key: str) -> None:
        self._plain = ((key, "KEY"), (server.host, "HOST"), (server.refusing_host, "REFUSING"))
        self._patterns = (
            (re.compile(r"0x[0-9a-f]{6,}"), "0xADDRESS"),
            (re.compile(r"port=\d+"), "port=PORT"),
            (re.compile(r"read timeout=[\d.]+"), "read timeout=SECONDS"),
            (re.compile(r"^Authorization: Digest .*"), "Authorization: Digest"),
        )

    def text(self, value: str) -> str:
        for old, new in self._plain:
            value = value.replace(old, new)
        for pattern, new in self._patterns:
            value = pattern.sub(new, value)
        return value

    def value(self, value: object) -> object:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {name: self.value(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(part) for part in value]
        return value


def reported(seen: Observation, server: Server, key: str, *, live: bool, patience: float = 10.0) -> Observation:
    """Return what was seen with what the server saw, both without what differs between any two runs.

    :param live: False when there is no server to tell.
    :param patience: seconds given to the server to see that a client has closed.
    """
    if live:
        report = asdict(server.report(key, patience))
        report["answers"] = [
            # "sent" or "client went away" is a matter of luck when the last segment crosses the close
            {"segments": answer["segments"], "left_open": answer["ended"] not in ("sent", "client went away")}
            for answer in report["answers"]
        ]
        seen.server = report
    return normalised(seen, server, key)


def normalised(seen: Observation, server: Server, key: str) -> Observation:
    """Return what was seen without what differs between any two runs."""
    normal = _Normal(server, key)
    return Observation(**{name: normal.value(value) for name, value in vars(seen).items()})  # type: ignore[arg-type]


def differences(bare: Observation, other: Observation, ignore: Iterable[str] = ()) -> list[str]:
    """Return one line for each place in which two observations differ; empty when they do not.

    :param ignore: patterns (fnmatch) of dotted paths that are not compared.
    """
    ignored = tuple(ignore)
    ours, theirs = dict(_flat("", vars(bare))), dict(_flat("", vars(other)))
    return [
        f"{path}: {_short(ours.get(path, '(absent)'))} != {_short(theirs.get(path, '(absent)'))}"
        for path in [*ours, *(path for path in theirs if path not in ours)]
        if not any(fnmatch(path, pattern) for pattern in ignored)
        if not _same(path, ours.get(path, "(absent)"), theirs.get(path, "(absent)"))
    ]


def _same(path: str, ours: object, theirs: object) -> bool:
    if path.endswith(".segments") and isinstance(ours, int) and isinstance(theirs, int):
        return abs(ours - theirs) <= SEGMENTS_OF_GRACE
    return type(ours) is type(theirs) and ours == theirs


def _flat(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _flat(f"{path}.{name}" if path else str(name), part)
    elif isinstance(value, list) and path.endswith("headers"):
        yield f"{path}.names", [line.partition(":")[0] for line in value]
        for number, (name, _, content) in enumerate(line.partition(":") for line in value):
            yield f"{path}.{name.lower()}.{number}", content
    elif isinstance(value, list) and value:
        yield f"{path}.count", len(value)
        for number, part in enumerate(value):
            yield from _flat(f"{path}[{number}]", part)
    else:
        yield path, value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:120]}…{text[-30:]}"
