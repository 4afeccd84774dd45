"""A cassette that is recorded again beside itself, and takes its own place when that is whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace as replace_fields
from pathlib import Path

from recorder.api.cassette_rules import match_in
from recorder.api.cassettes import CassetteRecordings
from recorder.clock import id_bytes
from recorder.core.exchange import Request
from recorder.core.match_rules import Match
from recorder.replay.answers import Answer, Answers
from recorder.store.cassette_file import Rules, Written, content, events_of, locked, replace


def renew(path: Path, newer: Path, *, keep_others: bool) -> int:
    """Put what was recorded again in the place of a cassette, at once, and remove the file that it came in.

    :param newer: what was recorded again.
    :param keep_others: exchanges whose requests were not made again stay; those that were are replaced, all of them.
    :return: how many exchanges have stayed.
    :raises CorruptRecording: one of the two is not what was written.
    :raises StoreUnreachable: the file cannot be written.
    """
    with locked(path):
        new = CassetteRecordings(newer)
        streams, kept = list(_streams(newer, new)), list[Written]()
        if keep_others and path.exists():
            old = CassetteRecordings(path)
            again = answers_of(new, replace_fields(match_in(newer, new.cassette), allow_repeats=True))
            replaced = {entry.exchange for entry in old.entries() if answer_to(again, old.request(entry.exchange))}
            there = {one.opened.stream for one in streams} | replaced
            kept = [one for one in _streams(path, old) if one.opened.stream not in there]
        replace(path, content([*streams, *kept], Rules(new.cassette.match, new.cassette.redact)))
        newer.unlink(missing_ok=True)
        return sum(one.is_exchange for one in kept)


def answers_of(recordings: CassetteRecordings, match: Match) -> Answers:
    """Return what answers from a cassette by these rules."""
    return Answers(recordings.entries(), recordings.events, recordings.request, match)


def answer_to(answers: Answers, request: Request) -> Answer | None:
    """Return the next answer to a request that was recorded elsewhere; None where there is none left."""
    return answers.known(request.method, request.url, request.payload, request.headers)


def _streams(path: Path, recordings: CassetteRecordings) -> Iterator[Written]:
    for block in recordings.cassette.blocks.values():
        yield Written(block.opening[0], events_of(path, block))


def requests_of(path: Path, exchanges: Iterable[str]) -> list[str]:
    """Return ``METHOD URL (id)`` of some exchanges of a cassette, by their ids."""
    recordings = CassetteRecordings(path)
    told = []
    for exchange in exchanges:
        request = recordings.request(id_bytes(exchange))
        told.append(f"{request.method} {request.url} ({exchange[-8:]})")
    return told
