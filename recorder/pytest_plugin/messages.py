"""What people read when a recorded test fails."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from recorder.api.cassette_names import is_beside
from recorder.errors import NetworkBlocked, NoMatchingExchange, RecorderError

_SHOWN = 20  # differences of one request


def told_misses(misses: Sequence[NoMatchingExchange], *, cassette: str, exists: bool, mode: str, test: str) -> str:
    """Return what is told of requests that no recording answered, with the nearest one and what differs.

    :param cassette: its path; *exists* whether it is there.
    :param mode: in which the test ran.
    :param test: node id of the test.
    """
    count = "a request was" if len(misses) == 1 else f"{len(misses)} requests were"
    lines = [f"recorder: {count} never recorded"]
    if exists:
        lines[0] += f" (cassette {cassette}, mode {mode})"
        hint = "new_episodes"
    else:
        lines[0] += f": there is no cassette {cassette} (mode {mode})"
        hint = "once"
    for miss in misses:
        lines += ["", *_told(miss)]
    lines += ["", f"to record it: pytest --recorder-mode={hint} {shlex.quote(test)}"]
    return "\n".join(lines)


def _told(miss: NoMatchingExchange) -> Iterable[str]:
    if not miss.differences or not miss.nearest:
        yield f"  {miss}"
        return
    yield f"  {miss.request}"
    yield f"    the nearest recording is {miss.nearest[0]}; recorded != asked:"
    for difference in miss.differences[:_SHOWN]:
        yield f"      {difference}"
    if len(miss.differences) > _SHOWN:
        yield f"      and {len(miss.differences) - _SHOWN} more"


def told_refused(refused: Sequence[RecorderError]) -> str:
    """Return what is told of recordings that are not what was written, or a rule that failed."""
    return "\n".join(f"recorder: {error}" for error in refused)


def told_blocked(blocked: Sequence[NetworkBlocked]) -> str:
    """Return what is told of code that asked for the network in a test without one."""
    lines = ["recorder: the network was asked for, past the recording", ""]
    lines += [f"  {str(error).removeprefix('recorder: ')}" for error in blocked]
    lines += [
        "",
        "give this code the session or the client of a fixture, or mount its own: recording.mount(session),",
        "Client(transport=recording.httpx_transport()); or allow the host: recorder_allowed_hosts, "
        "@pytest.mark.recorded(allowed_hosts=[…])",
    ]
    return "\n".join(lines)


def told_shut(addresses: Sequence[str]) -> str:
    """Return what is told of connections that were open when a test without a network began.

    :param addresses: where they went, as ``host:port``.
    """
    which = "a connection was" if len(addresses) == 1 else f"{len(addresses)} connections were"
    return (
        f"{which} ended before a test that has no network, which could have passed the guard of recorder "
        f"({', '.join(addresses)}): if tests need that, allow the host: recorder_allowed_hosts"
    )


def told_unplayed(requests: Sequence[str], cassette: str, *, is_shared: bool = False) -> str:
    """Return what is told of recorded exchanges that nobody asked for.

    :param requests: what they are, as ``METHOD URL (id)``.
    :param is_shared: several tests play the cassette: each begins with the first answer to the same request.
    """
    remedy = "give each test its own cassette" if is_shared else "record it again (rewrite)"
    count = "an exchange" if len(requests) == 1 else f"{len(requests)} exchanges"
    return f"recorder: {count} of {cassette} not asked for: {', '.join(requests)}: {remedy}"


def told_orphan(cassette: str) -> str:
    """Return what is told of a cassette that belongs to no test."""
    if is_beside(Path(cassette)):
        return (
            f"{cassette}: no test that was collected has it: a run that failed or was killed has recorded it beside "
            "its cassette: look at it, then remove it"
        )
    return (
        f"{cassette}: no test that was collected has it: name it by a marker, where a test of another name or code of "
        "yours plays it; where nothing does any more, remove it"
    )
