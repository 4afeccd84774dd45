"""Who may ask: not a page that a browser loaded from somewhere else.

The server listens on loopback, but every page in a browser on the machine can send requests there: it would use up
answers, and with a name that it has pointed to 127.0.0.1 (DNS rebinding) it could read recordings. Programs are not
affected: they send no ``Origin``, and name loopback or the recorded host.
"""

from __future__ import annotations

import ipaddress

from recorder.serving.asked import Asked
from recorder.serving.origins import host_name
from recorder.serving.refusals import Reply, refusal


def why_not(asked: Asked, hosts: frozenset[str] | None) -> Reply | None:
    """Return the answer to a request that is refused; None where it is not.

    :param hosts: names by which the server may be asked, besides those of loopback; None for any.
    """
    origin = asked.header("origin")
    if origin is not None and not is_loopback(host_name(origin.partition("://")[2])):
        return _refused(f"a page of {origin} asks: recordings answer programs, and pages of this machine")
    if origin is None and (asked.header("sec-fetch-site") or "none").lower() not in ("none", "same-origin"):
        return _refused("a page of another site asks: recordings answer programs, and pages of this machine")
    host = host_name(asked.header("host") or "")
    to_a_proxy = not asked.target.startswith("/")  # which no page does
    if hosts is None or not host or to_a_proxy or is_loopback(host) or host in hosts:
        return None
    return _refused(f"the server is asked by the name {host}, which is neither loopback's nor recorded: use 127.0.0.1")


def _refused(why: str) -> Reply:
    return refusal(403, "not_for_pages", why)


def is_loopback(name: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
