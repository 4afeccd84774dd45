"""Adapters as people write them."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, PoolManager


def over(adapter: HTTPAdapter) -> requests.Session:
    session = requests.Session()
    session.mount("http://", adapter)
    return session


class WithTimeout(HTTPAdapter):
    """The recipe that half of the world uses."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        kwargs["timeout"] = kwargs.get("timeout") or 5
        return super().send(request, **kwargs)


class KeepsPool(HTTPAdapter):
    """One host, so the pool is looked up once."""

    pool: Any = None

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        if self.pool is None:
            self.pool = super().get_connection_with_tls_context(*args, **kwargs)
        return self.pool

    def get_connection(self, *args: Any, **kwargs: Any) -> Any:
        if self.pool is None:
            self.pool = super().get_connection(*args, **kwargs)
        return self.pool


class KeepsManager(HTTPAdapter):
    """Goes to the pool manager that it found first."""

    manager: Any = None

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if self.manager is None:
            self.manager = self.poolmanager
        answer = self.manager.urlopen(
            request.method, request.url, body=request.body, headers=dict(request.headers), preload_content=False
        )
        return self.build_response(request, answer)


class PoolPerThread(HTTPAdapter):
    """One pool manager for each thread."""

    def __init__(self) -> None:
        self._own = threading.local()
        super().__init__()

    @property
    def poolmanager(self) -> Any:  # type: ignore[override]
        if not hasattr(self._own, "manager"):
            self._own.manager = PoolManager(1, 1)
        return self._own.manager

    @poolmanager.setter
    def poolmanager(self, made: Any) -> None:
        self._own.manager = made


class OwnPools(HTTPAdapter):
    """Makes its pools by itself, as adapters for other kinds of sockets do."""

    def __init__(self) -> None:
        super().__init__()
        self.own: dict[str, HTTPConnectionPool] = {}

    def get_connection_with_tls_context(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        url = urlsplit(str(request.url))
        return self.own.setdefault(url.netloc, HTTPConnectionPool(str(url.hostname), url.port))

    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        parts = urlsplit(str(url))
        return self.own.setdefault(parts.netloc, HTTPConnectionPool(str(parts.hostname), parts.port))
