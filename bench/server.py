"""A loopback server that streams chunks on schedule: ``POST /CHUNKS/GAP_US/SIZE``.

Each chunk is one HTTP chunk frame and begins with the time at which it was written, on the clock that
the processes of one machine share (CLOCK_MONOTONIC), as 20 digits. A thread for each connection, since
timers of asyncio are due on whole milliseconds and would send the chunks of all streams in bursts. It
prints its port and runs until it is terminated.
"""

from __future__ import annotations

import socket
import socketserver
import time

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Streams(socketserver.StreamRequestHandler):
    """Answers the requests of one connection."""

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle(self) -> None:
        while target := self.rfile.readline().split(b" "):
            if len(target) < 2:
                return
            length = 0
            while (line := self.rfile.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line[15:])
            self.rfile.read(length)
            chunks, gap_us, size = map(int, target[1].strip(b"/").split(b"/"))
            try:
                self.stream(chunks, gap_us / 1e6, size)
            except ConnectionError:
                return  # the client has gone

    def stream(self, chunks: int, gap: float, size: int) -> None:
        send = self.connection.sendall
        send(HEAD)
        began = time.monotonic()
        filler = b"." * (size - 20)
        for number in range(chunks):
            if gap:
                time.sleep(max(began + number * gap - time.monotonic(), 0))
            send(b"%x\r\n%020d%s\r\n" % (size, time.monotonic_ns(), filler))
        send(b"0\r\n\r\n")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 256


if __name__ == "__main__":
    with Server(("127.0.0.1", 0), Streams) as listening:
        print(listening.server_address[1], flush=True)
        listening.serve_forever()
