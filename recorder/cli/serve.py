"""``recorder serve``: recordings answer clients in any language, whose base URL is changed and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from recorder.api.player import Player
from recorder.cli.application import Settings, json_option, pace_option, pass_settings, store_option
from recorder.cli.failures import FOUND, warn
from recorder.cli.once import command
from recorder.cli.output import clean, counted, emit_json
from recorder.faults import Fault, from_text, several

if TYPE_CHECKING:
    from recorder.serving.server import ReplayServer
    from recorder.serving.tally import Report

_VARIABLE: Final = "RECORDER_URL"
_STOPPED: Final = 5.0  # seconds for a command to end after it was told to


def _take_faults(ctx: click.Context, _: click.Parameter, texts: tuple[str, ...]) -> Fault | None:
    faults = [from_text(text) for text in texts]
    return several(*faults) if faults else None


@command()
@click.argument("identities", metavar="[ID]...", nargs=-1)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; others let other machines ask.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Where to listen; any that is free by default.",
)
@click.option("--origin", metavar="URL", help="Answer from this recorded origin only, as https://gateway.example.")
@pace_option
@click.option(
    "--fault",
    metavar="FAULT",
    multiple=True,
    callback=_take_faults,
    help="What goes wrong with every answer, as cut:after-events=3,how=reset.",
)
@click.option("--allow-repeats", is_flag=True, help="Give the last answer again when every answer has been given.")
@click.option("--run", "command", metavar="COMMAND", help=f"Serve while this runs in a shell, with {_VARIABLE} set.")
@json_option
@store_option
@pass_settings
@click.pass_context
def serve(
    ctx: click.Context,
    settings: Settings,
    identities: tuple[str, ...],
    host: str,
    port: int,
    origin: str | None,
    pace: float,
    fault: Fault | None,
    allow_repeats: bool,
    command: str | None,
    as_json: bool,
) -> None:
    """Answer clients in any language from the recording.

    Make the URL that it prints the client's base URL: what was recorded of https://gateway.example/v1/models is
    answered at URL/v1/models, with the same bytes, at the same boundaries. Each recording answers once, in order. An ID
    is what list shows, or a conversation's name; without any, everything is answered.

    What was never recorded is answered with 404, x-should-retry: false, and the nearest recording. It ends when it is
    interrupted (SIGINT) or told to (SIGTERM), or with the command of --run. The exit code is 1 where anything was
    asked for and not answered, or a client read on where the recorded program had not; with --run it is the command's,
    where that is not 0.

    A request may say what goes wrong with its answer, as x-recorder-fault: status:503. The faults are cut, malformed,
    corrupt-gzip, status, error-in-stream, rechunk, done-missing, done-twice, late, stall and unreachable, with +
    between several. Below URL/_recorder/ are health, status and reset.
    """
    player = Player(settings.store, pace=pace, exchanges=identities or None, fault=fault, allow_repeats=allow_repeats)
    try:
        server = player.server(host=host, port=port, origin=origin, tell=_tell)
        code = asyncio.run(_serving(server, command, as_json))
    finally:
        player.close()
    _summary(server.report, as_json)
    ctx.exit(code or (FOUND if server.report.failed else 0))


def _tell(line: str) -> None:
    click.echo(clean(line), err=True)


async def _serving(server: ReplayServer, command: str | None, as_json: bool) -> int:
    """Serve until a signal comes or the command ends; return the command's exit code, 0 where there is none."""
    over = asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(server.loop_failed)
    with _signals(over):
        url = await server.start()
        if server.hosts is None:
            warn(f"{url} can be reached from other machines: whoever reaches it can read the recordings")
        try:
            if as_json:
                emit_json(
                    {"event": "ready", "url": url, "recorded": len(server.report.answers.requests), "pid": os.getpid()}
                )
            else:
                click.echo(f"recorder serve: {url}")
            sys.stdout.flush()
            if command is not None:
                return await _run(command, url, over)
            await over.wait()
            return 0
        finally:
            await server.close()


async def _run(command: str, url: str, over: asyncio.Event) -> int:
    process = await asyncio.create_subprocess_shell(command, env={**os.environ, _VARIABLE: url})
    ended = asyncio.ensure_future(process.wait())
    told = asyncio.ensure_future(over.wait())
    await asyncio.wait({ended, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not ended.done():
        process.terminate()
        await asyncio.wait({ended}, timeout=_STOPPED)
    if not ended.done():
        process.kill()
    code = await ended
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _signals(over: asyncio.Event) -> Iterator[None]:
    """Inside, the first SIGINT or SIGTERM sets *over*; a second one does what it does otherwise.

    A script starts what it puts in the background with SIGINT ignored; who sends it to a server means it all the same.
    """
    loop = asyncio.get_running_loop()
    before: dict[int, Any] = {}

    def stop(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL if before[number] is signal.SIG_IGN else before[number])
        loop.call_soon_threadsafe(over.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for changed, was in before.items():
            signal.signal(changed, was)


def _summary(report: Report, as_json: bool) -> None:
    value = report.value()
    if as_json:
        emit_json({"event": "ended", **value})
        return
    told = [f"answered {value['answered']:,} of {counted(value['asked'], 'request')}"]
    told += [f"{len(value['misses']):,} missed"] if value["misses"] else []
    told += [f"{len(value['refused']):,} refused"] if value["refused"] else []
    told += [f"{value['left']:,} left before their end"] if value["left"] else []
    told += [f"{value['ended']:,} read on after the recording's end"] if value["ended"] else []
    told += [f"{value['unreadable']:,} unreadable"] if value["unreadable"] else []
    told += [f"{counted(len(value['unplayed']), 'recording')} not asked for"] if value["unplayed"] else []
    click.echo("; ".join(told), err=True)
