"""``recorder demo``: the whole job on one screen, with a server of its own and nothing configured."""

from __future__ import annotations

import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import requests

from recorder.api.recorder import Recorder, switched_off
from recorder.api.store import Store
from recorder.cli.application import Settings, store_option
from recorder.cli.demo_server import MODEL, DemoServer
from recorder.cli.failures import FOUND
from recorder.cli.once import command
from recorder.cli.output import counted, dim, duration, short, terminal_width, verdict
from recorder.cli.reading import FAILURES, pieces, reason
from recorder.cli.replay import Replayed, play
from recorder.clock import id_bytes
from recorder.core.json_text import milliseconds
from recorder.core.rebuilt import Rebuilt
from recorder.errors import ConfigurationError
from recorder.ledger.verify import verify
from recorder.locations import sqlite_path
from recorder.store.urls import parse_url

DEMO_STORE: Final = "sqlite:///recorder-demo.db"
CONVERSATION: Final = "eurusd-desk"
QUESTIONS: Final = ("EUR/USD at 1.0850: buy or hold?", "And where does the stop go?", "Place it.")
BEARER: Final = "the-bearer-of-the-demo"
_SEARCH: Final = """
import sys
word = sys.stdin.buffer.read()
for name in sys.argv[1:]:
    with open(name, "rb") as file:
        if word in file.read():
            print(name)
"""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the program saw of one answer while it was recorded."""

    id: str
    question: str
    status: int
    pieces: tuple[bytes, ...]
    failure: str | None


@command()
@partial(store_option, otherwise="else recorder-demo.db")
@click.pass_context
def demo(ctx: click.Context) -> None:
    """Record, verify and replay a conversation: nothing to set up.

    It brings a server of its own on loopback and needs no token and no network.

    The recording stays in recorder-demo.db, or in the store that --store names.
    """
    if switched_off():
        raise ConfigurationError("RECORDER_OFF is set, so nothing would be recorded: unset it")
    url = ctx.ensure_object(Settings).named or DEMO_STORE
    parse_url(url)  # before anything is printed
    failed: list[str] = []
    with DemoServer() as server:
        with Recorder(url, on_failure="raise") as recorder:  # before anything is printed: it may not be writable
            _title(f"Record    a server on {server.place} answers a requests.Session, streaming")
            seen = list(_record(url, server, recorder))
        bodies = server.bodies
    with Store(url) as store:
        exchanges = [store.exchange(one.id) for one in seen]
        for one, rebuilt, body in zip(seen, exchanges, bodies, strict=True):
            _print_turn(one, rebuilt)
            if rebuilt.exchange.body != body:
                failed.append(f"{short(one.id)}: recorded other bytes than the server sent")
        failed += _verified(store, seen)
        failed += _replayed(store, server, seen, exchanges)
    failed += _secret(url)
    for line in failed:
        click.echo(click.style(f"FAILED    {line}", fg="red", bold=True))
    _print_next(url, seen)
    ctx.exit(FOUND if failed else 0)


def _record(url: str, server: DemoServer, recorder: Recorder) -> Iterator[_Seen]:
    """Ask every question, each with the conversation before it, and yield what came."""
    with requests.Session() as session:
        session.trust_env = False  # a proxy for the outside is none for this machine
        recorder.mount(session)
        messages: list[dict[str, Any]] = [{"role": "system", "content": "You are a trading desk's assistant."}]
        for question in QUESTIONS:
            messages.append({"role": "user", "content": question})
            body = {"model": MODEL, "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
            with recorder.conversation(CONVERSATION, tags={"made_by": "recorder demo"}):
                response = session.post(
                    server.url, json=body, headers={"Authorization": f"Bearer {BEARER}"}, stream=True, timeout=30
                )
            came: list[bytes] = []
            failure = None
            try:
                came.extend(pieces(response, decode=False))
            except FAILURES as error:
                failure = reason(error)
            response.close()
            identity = recorder.exchange(response)
            assert identity is not None  # RECORDER_OFF was refused
            recorder.flush()
            with Store(url) as store:
                messages.append({"role": "assistant", "content": store.exchange(identity).answer_messages[0].text})
            yield _Seen(identity, question, response.status_code, tuple(came), failure)


def _title(text: str) -> None:
    word, _, rest = text.partition(" ")
    click.echo(click.style(word, bold=True) + f" {rest}")


def _wrapped(label: str, text: str) -> None:
    width = min(terminal_width() or 80, 100)
    indent = " " * 10
    lines = textwrap.wrap(text, width - len(indent)) or [""]
    click.echo(f"{click.style(f'{label:>8}', fg='cyan')}  {lines[0]}")
    for line in lines[1:]:
        click.echo(indent + line)


def _print_turn(seen: _Seen, rebuilt: Rebuilt) -> None:
    exchange = rebuilt.exchange
    _wrapped("you", seen.question)
    _wrapped("model", "".join(message.text for message in rebuilt.answer_messages))
    first = exchange.first_chunk_ns
    facts = [str(seen.status), counted(len(exchange.chunks), "chunk"), counted(len(exchange.body), "byte")]
    facts += [] if first is None else [f"first after {duration(milliseconds(first))}"]
    click.echo(f"{'':10}{verdict(rebuilt.verdict)}" + dim(f"  {', '.join(facts)}"))


def _verified(store: Store, seen: list[_Seen]) -> list[str]:
    streams = [id_bytes(one.id) for one in seen]
    report = verify((store.reader.store.opening(stream), store.reader.events(stream)) for stream in streams)
    whole = set(report.verdicts.values()) == {"yes"}
    told = "every hash chain holds" if whole else counted(len(report.findings), "finding")
    _title(
        f"Verify    {counted(report.exchanges, 'exchange')}, {counted(report.events, 'event')}: {_mark(told, whole)}"
    )
    return [] if whole else ["the verification found something: run recorder verify"]


def _mark(text: str, good: bool) -> str:
    return click.style(text, fg="green" if good else "red")


def _replayed(store: Store, server: DemoServer, seen: list[_Seen], exchanges: list[Rebuilt]) -> list[str]:
    """Answer every request again from the store alone, and compare with what the program saw."""
    _title("Replay    server stopped; the same requests, answered from the recording")
    failed = []
    try:
        with requests.Session() as session:
            session.trust_env = False
            session.get(server.url, timeout=5)
        failed.append("the server still answers")
    except requests.exceptions.ConnectionError:
        pass  # as it should be: from here on there is only the recording
    for one, rebuilt in zip(seen, exchanges, strict=True):
        came: list[bytes] = []
        again = play(store, rebuilt.exchange, 0.0, came.append)
        difference = _difference(one, again, came)
        failed += [] if difference is None else [f"{short(one.id)}: {difference}"]
        same = "same bytes, same boundaries" if one.failure is None else "same bytes, boundaries and failure"
        same = f"{counted(len(came), 'piece')}, {counted(len(again.body), 'byte')}: {same}"
        click.echo(f"{'':10}{short(one.id)}  {_mark(difference or same, difference is None)}")
    return failed


def _difference(seen: _Seen, again: Replayed, came: list[bytes]) -> str | None:
    if again.status != seen.status:
        return f"status {again.status} instead of {seen.status}"
    if again.body != b"".join(seen.pieces):
        return "other bytes"
    if tuple(came) != seen.pieces:
        return "other boundaries"
    return None if again.failure == seen.failure else f"failed with {again.failure} instead of {seen.failure}"


def _secret(url: str) -> list[str]:
    """Search the files of a SQLite store for the token that every request carried."""
    path = sqlite_path(url)
    if path is None:
        return []
    files = [str(file) for file in path.parent.glob(f"{path.name}*") if file.is_file()]
    # In a process of its own: to close a store's file here would give up the locks that SQLite has on it.
    search = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _SEARCH, *files], input=BEARER, capture_output=True, text=True, check=True
    )
    leaks = [Path(name).name for name in search.stdout.splitlines()]
    told = f"the token is in {', '.join(leaks)}" if leaks else "the token that was sent is nowhere in the file"
    _title(f"Secrets   {_mark(told, not leaks)}")
    return [told] if leaks else []


def _print_next(url: str, seen: list[_Seen]) -> None:
    path = sqlite_path(url)
    where = _shown(path) if path is not None else "the store"
    _title(f"Next      everything is in {where}; explore it:")
    last = short(seen[-1].id)
    commands = ("list", f"show {CONVERSATION}", f"events {last}", f"replay {last} --pace 1", "verify")
    click.echo(f"{'':10}export RECORDER_STORE={shlex.quote(url) if path is not None else 'URL'}")
    for next_one in commands:
        click.echo(f"{'':10}recorder {next_one}")


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
