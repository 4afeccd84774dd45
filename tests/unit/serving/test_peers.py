"""What the kernel tells of the other end of a connection."""

from __future__ import annotations

import socket
import sys

import pytest

from recorder.serving.peers import Peers


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_how_much_a_client_has_not_taken(family: socket.AddressFamily) -> None:
    address = ("127.0.0.1" if family == socket.AF_INET else "::1", 0)
    peers = Peers()
    with socket.create_server(address, family=family) as listener, socket.socket(family) as client:
        client.connect(listener.getsockname())
        served, name = listener.accept()
        with served:
            seen = []
            for taken in (0, 2, 3):
                served.sendall(b"" if taken else b"hello")
                client.recv(taken)
                seen.append(peers.look(served.getsockname(), name))
    assert seen == [(5, 5), (3, 5), (0, 5)]
    peers.close()
    peers.close()
    assert peers.look(("127.0.0.1", 1), ("127.0.0.1", 2)) is None


def test_of_what_is_no_connection_nothing_is_told() -> None:
    peers = Peers()
    assert peers.look(("127.0.0.1", 1), ("127.0.0.1", 2)) is None
    assert peers.look(("nowhere", 1), ("127.0.0.1", 2)) is None
    assert peers.look(("127.0.0.1", 1), ("::ffff:127.0.0.1", 2, 0, 0)) is None
    peers.close()
