"""What a test's markers say, and whether it can be meant: what is wrong is told, never taken for something else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

import pytest

from recorder.pytest_plugin.given_faults import check_fault
from recorder.pytest_plugin.modes import Mode

MARKER: Final = "recorded"
FIXTURES: Final = frozenset({"recording", "recorded_session", "recorded_client", "recorded_async_client"})
_ARGUMENTS: Final = frozenset(
    {"mode", "match", "allow_repeats", "redact", "fault", "pace", "clock", "verify", "unplayed", "expired", "max_age"}
    | {"block_network", "allowed_hosts"}
)


def test_name(item: pytest.Item) -> str:
    """Return a test's name inside its module: ``TestDesk.test_buys[EURUSD]``."""
    classes = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
    return ".".join([*classes, item.name])


def is_recorded(item: pytest.Item) -> bool:
    """Whether a test is recorded: it has the marker, or uses one of the fixtures."""
    names: Sequence[str] = getattr(item, "fixturenames", ())
    return item.get_closest_marker(MARKER) is not None or not FIXTURES.isdisjoint(names)


def marked(item: pytest.Item) -> tuple[str | None, dict[str, Any]]:
    """Return what a test's markers say, the nearest before the others: the name of a cassette, and the rest.

    :raises pytest.UsageError: they say something that is not known.
    """
    cassette: str | None = None
    given: dict[str, Any] = {}
    for marker in item.iter_markers(MARKER):
        arguments = dict(marker.kwargs)
        if len(marker.args) > 1:
            raise pytest.UsageError(f"{item.nodeid}: recorded() takes one name of a cassette, not {marker.args!r}")
        if marker.args and "cassette" in arguments:
            raise pytest.UsageError(
                f"{item.nodeid}: recorded() is given two cassettes, {marker.args[0]!r} and "
                f"{arguments['cassette']!r}: name one"
            )
        name = arguments.pop("cassette", None)
        name = marker.args[0] if marker.args else name
        if name is not None and not isinstance(name, str | os.PathLike):
            raise pytest.UsageError(f"{item.nodeid}: a cassette has a name, not {name!r}")
        check_names(f"the marker of {item.nodeid}", arguments)
        cassette = cassette if cassette is not None or name is None else os.fspath(cast("str", name))
        given = {**arguments, **given}
    return cassette, given


def check_names(place: str, given: Mapping[str, Any]) -> None:
    """Refuse arguments that there are not.

    :raises pytest.UsageError: there is one.
    """
    for name in given:
        if name not in _ARGUMENTS:
            from difflib import get_close_matches

            meant = get_close_matches(name, _ARGUMENTS, 1)
            told = f"did you mean {meant[0]!r}?" if meant else f"use {', '.join(sorted(_ARGUMENTS))}"
            raise pytest.UsageError(f"{place}: recorded() has no argument {name!r}: {told}")


def check_values(where: str, given: Mapping[str, Any]) -> None:
    """Refuse values that no test can want.

    :param where: names the test, as `` of test_bot.py::test_it``.
    :raises pytest.UsageError: there is one.
    """
    if "mode" in given and given["mode"] not in tuple(Mode):
        raise unknown(f"mode={given['mode']!r}{where}", tuple(Mode))
    check_fault(where, given.get("fault"))
    for name in ("block_network", "allow_repeats"):
        if not isinstance(given.get(name, True), bool):
            raise pytest.UsageError(f"{name}={given[name]!r}{where} is no truth value: use True or False")
    for name in ("allowed_hosts", "redact", "verify"):
        _check_texts(f"{name}={given.get(name)!r}{where}", given.get(name, ()))
    check_hosts(f"allowed_hosts{where}", texts(given.get("allowed_hosts", ())))
    check_redact(f"redact{where}", texts(given.get("redact", ())))


def _check_texts(what: str, value: object) -> None:
    # What can be read once only, as a generator, would be empty where it is used.
    several = isinstance(value, list | tuple | set | frozenset)
    if not isinstance(value, str) and not (several and all(isinstance(one, str) for one in cast("list[Any]", value))):
        raise pytest.UsageError(f"{what} is no list of texts")


def check_hosts(name: str, hosts: Iterable[str]) -> None:
    """Refuse what names no host, as a URL.

    :raises pytest.UsageError: there is one.
    """
    hosts = list(hosts)
    if not hosts:
        return
    from recorder.pytest_plugin.allowed import is_host

    for host in hosts:
        if not is_host(host):
            raise pytest.UsageError(
                f"{name}: {host!r} is no host: use names, addresses and networks, as localhost, db.internal or "
                "10.0.0.0/8, without a port, and a list for several"
            )


def check_redact(name: str, rules: Sequence[str]) -> None:
    """Refuse what is no rule of redaction; a test that plays would not notice.

    :raises pytest.UsageError: there is one.
    """
    if not rules:
        return
    from recorder.core.redaction import Redaction
    from recorder.errors import ConfigurationError

    try:
        Redaction(b"", rules)
    except ConfigurationError as error:
        raise pytest.UsageError(f"{name}: {error}") from None


def rules_of(where: str, rules: object) -> Any:
    """Return the rules of matching that a marker gives, also as the data that a cassette holds.

    :raises pytest.UsageError: they are none.
    """
    if rules is None:
        return None
    from recorder.core.match_rules import Match
    from recorder.errors import ConfigurationError

    if isinstance(rules, Match):
        return rules
    if isinstance(rules, str):
        if rules == "strict":
            return Match.STRICT
        raise pytest.UsageError(f"match={rules!r}{where} is not known: use 'strict', or a recorder.Match")
    try:
        return Match.from_json(cast("Mapping[str, Any]", rules))
    except ConfigurationError as error:
        raise pytest.UsageError(f"match={rules!r}{where}: {error}") from None


def texts(value: str | Iterable[str]) -> tuple[str, ...]:
    """Return texts, of which one may be given as it is."""
    return (value,) if isinstance(value, str) else tuple(value)


def unknown(what: str, allowed: Iterable[str]) -> pytest.UsageError:
    """Return the error of a word that is none of those that there are."""
    return pytest.UsageError(f"{what} is not known: use {', '.join(each for each in allowed if each)}")
