"""The server: where it listens, for how long, and what it does for its connections."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from recorder.errors import ConfigurationError
from recorder.replay.answers import Answer
from recorder.serving.answering import Answering
from recorder.serving.asked import PATIENCE, Asked
from recorder.serving.connection import Connection
from recorder.serving.control import Control
from recorder.serving.peers import Peers
from recorder.serving.tally import Report, Tally
from recorder.serving.visitors import is_loopback

_LOG: Final = logging.getLogger("recorder")
_BACKLOG: Final = 512


class ReplayServer:
    """Answers over HTTP/1.1 what was recorded.

    :param answering: finds the recorded answers.
    :param host: where to listen; names and addresses other than loopback's let other machines ask.
    :param port: 0 for any that is free.
    :param tell: gets every line about what somebody should know; the logger ``recorder`` where it is left out.
    :ivar patience: seconds for what a client has begun to send.
    """

    patience = PATIENCE

    def __init__(
        self, answering: Answering, host: str = "127.0.0.1", port: int = 0, tell: Callable[[str], None] | None = None
    ) -> None:
        self._answering = answering
        self._host = host
        self._port = port
        self._tell = tell or _LOG.warning
        self._connections: set[asyncio.Task[None]] = set()
        # One at a time, in the order in which they were asked: so the nth request gets the nth answer.
        self._finding = ThreadPoolExecutor(1, "recorder-serve")
        self._server: asyncio.Server | None = None
        self._told = ""
        self.pace = answering.pace
        self.peers = Peers()
        self.tally = Tally()
        self.report = Report(self.tally, answering.answers)
        self.control = Control(self.report)
        self.hosts = answering.origins.hosts if is_loopback(host) else None

    async def start(self) -> str:
        """Listen, and return the URL.

        :raises ConfigurationError: that is not possible at this host and port.
        """
        try:
            self._server = await asyncio.start_server(self._accept, self._host, self._port, backlog=_BACKLOG)
        except (OSError, OverflowError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigurationError(
                f"{self._host}, port {self._port} cannot be listened at ({reason}): use another port, 0 for a free one"
            ) from None
        name = self._server.sockets[0].getsockname()  # a host may have two addresses, each with a free port of its own
        address, port = name[:2]
        return f"http://{f'[{address}]' if ':' in address else address}:{port}"

    async def close(self) -> None:
        """Listen no more, and end every connection; closing twice is fine."""
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self.peers.close()
        self._finding.shutdown(cancel_futures=True)

    async def find(self, asked: Asked) -> Answer:
        """Return the recorded answer to a request; other connections go on meanwhile.

        :raises RecorderError: there is none, or it cannot be read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._finding, self._answering.answer, asked)

    def tell(self, line: str) -> None:
        """Say what somebody should know."""
        self._tell(line)

    def loop_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Say in one line what the system refuses, as another connection where there are too many.

        For :meth:`asyncio.loop.set_exception_handler`, in a loop that is the server's own.
        """
        error = context.get("exception")
        if isinstance(error, OSError):
            told = f"{context['message'].rstrip('.')}: {error.strerror or error}"
            if told != self._told:  # it comes once for each connection that waits
                self._tell(told)
            self._told = told
        else:
            loop.default_exception_handler(context)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await Connection(self, reader, writer).serve()
        except OSError:  # the client went away in the middle of a refusal
            pass
        except asyncio.CancelledError:  # the server ends
            pass
        finally:
            self._connections.discard(task)
            writer.transport.abort()


@contextlib.contextmanager
def in_thread(server: ReplayServer) -> Iterator[str]:
    """Serve in a thread of its own while the block runs; yield the URL.

    :raises ConfigurationError: it cannot listen there.
    """
    started: list[str] = []
    stop: list[Callable[[], object]] = []
    ready = threading.Event()
    over: Future[None] = Future()

    async def run() -> None:
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(server.loop_failed)
        stop.append(lambda: loop.call_soon_threadsafe(told.set))
        started.append(await server.start())
        ready.set()
        await told.wait()
        await server.close()

    def work() -> None:
        try:
            asyncio.run(run())
            over.set_result(None)
        except BaseException as error:  # noqa: BLE001 - raised again where the block begins or ends
            over.set_exception(error)
        ready.set()

    thread = threading.Thread(target=work, name="recorder-serve", daemon=True)
    thread.start()
    ready.wait()
    if not started:
        over.result()
    try:
        yield started[0]
    finally:
        if not over.done():
            stop[0]()
        thread.join()
        over.result()
