"""Sessions whose connections all go to one server, whatever their URLs say: as if it had the recorded address."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from tests.fidelity.matrix import PrepareSession


def rerouted(url: str) -> PrepareSession:
    """Return what has the adapters of a session connect to the server of *url*."""
    place = urlsplit(url)

    class Rerouted(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            assert place.hostname is not None
            assert place.port is not None
            return socket.create_connection((place.hostname, place.port))

    class Pool(HTTPConnectionPool):
        ConnectionCls = Rerouted

    for made, usual in ((Rerouted, HTTPConnection), (Pool, HTTPConnectionPool)):  # messages show the names
        made.__name__, made.__qualname__, made.__module__ = usual.__name__, usual.__qualname__, usual.__module__

    def prepare(session: requests.Session) -> requests.Session:
        adapters: Iterable[Any] = session.adapters.values()
        for adapter in adapters:
            pools = adapter.poolmanager
            pools.pool_classes_by_scheme = {**pools.pool_classes_by_scheme, "http": Pool}
        return session

    return prepare
