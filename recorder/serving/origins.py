"""Which recorded URL a request to the server stands for.

Recorded URLs are absolute; a client whose base URL is the server's asks with path and query alone. So the path says
where to look: at every recorded origin that has it. A path that begins with an origin, as
``/https/gateway.example/v1/models``, names one, and so does an absolute URL, which a client sends to a proxy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from recorder.errors import ConfigurationError

_URL: Final = re.compile(r"(?P<origin>[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(?P<host>[^/?#]*))(?P<path>[^?;&#]*)")
_NAMED: Final = re.compile(r"/(https?)/([^/?#]+)(/.*)?", re.IGNORECASE | re.DOTALL)
_USERINFO: Final = re.compile(r"//[^/?#@]*@")
_SHOWN: Final = 5


class Origins:
    """The origins of a recording, by the paths that were asked of them.

    :param requests: method and URL of every recorded request, as ``METHOD URL``.
    :param only: the one origin to answer from, as ``https://gateway.example``; all of them where it is None.
    :raises ConfigurationError: nothing was recorded of that origin.
    """

    def __init__(self, requests: Iterable[str], only: str | None = None) -> None:
        self._by_path: dict[str, dict[str, None]] = {}
        self.all: dict[str, None] = {}
        for request in dict.fromkeys(requests):
            found = _URL.match(request.partition(" ")[2])
            if found is None:
                continue
            origin = _USERINFO.sub("//", found["origin"])
            self._by_path.setdefault(found["path"] or "/", {})[origin] = None
            self.all[origin] = None
        if only is not None:
            self._keep(only)

    def _keep(self, only: str) -> None:
        kept = next((each for each in self.all if each.lower() == only.rstrip("/").lower()), None)
        if kept is None:
            known = ", ".join(list(self.all)[:_SHOWN]) + (", …" if len(self.all) > _SHOWN else "")
            raise ConfigurationError(f"nothing was recorded of the origin {only}: use {known or 'a store that has it'}")
        self.all = {kept: None}
        paths = {path: {kept: None} for path, origins in self._by_path.items() if kept in origins}
        self._by_path = paths

    @property
    def hosts(self) -> frozenset[str]:
        """The recorded host names, in lower case and without ports."""
        return frozenset(host_name(origin.partition("://")[2]) for origin in self.all)

    def urls_for(self, target: str) -> list[str]:
        """Return the URLs that the target of a request may stand for; at least one.

        :param target: of the request line.
        """
        if "://" in target.partition("?")[0] and not target.startswith("/"):
            return [target]
        named = _NAMED.fullmatch(target)
        if named is not None:
            origin = f"{named[1].lower()}://{named[2]}"
            if origin in self.all:
                return [origin + (named[3] or "/")]
        path = re.split(r"[?;&#]", target, maxsplit=1)[0]
        found = self._by_path.get(path) or self.all or {"http://localhost": None}
        return [origin + target for origin in found]


def host_name(authority: str) -> str:
    """Return the name in an authority, in lower case, without port and brackets."""
    name = authority.rpartition("@")[2].strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]
