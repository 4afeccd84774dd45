"""What a test wants of its recording: the command line, the marker, the configuration file, in this order."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import pytest

from recorder.api.cassette_names import SUFFIX, Places, unsafe_parts
from recorder.pytest_plugin.modes import Mode, mode_of

MARKER: Final = "recorded"
FIXTURES: Final = frozenset({"recording", "recorded_session", "recorded_client", "recorded_async_client"})

#: What happens about something that is found: nothing, a warning, or the test (or the run) fails.
Reaction = Literal["ignore", "warn", "fail"]
_REACTIONS: Final = ("ignore", "warn", "fail")
_BLOCKS: Final = ("recorded", "all", "off")
#: What ``verify`` can compare.
FACTS: Final = ("status", "verdict", "finish_reasons", "tool_calls", "text")
_ARGUMENTS: Final = frozenset(
    {"mode", "match", "allow_repeats", "redact", "fault", "pace", "clock", "verify", "unplayed", "expired", "max_age"}
    | {"block_network", "allowed_hosts"}
)
_OF_THE_PLAYER: Final = ("match", "allow_repeats", "pace", "clock")
_AGE: Final = re.compile(r"(\d+)\s*([hdw])")
_HOURS: Final = {"h": 1, "d": 24, "w": 168}

#: ``name, kind, default, text``
_INI: Final[tuple[tuple[str, Literal["string", "args", "linelist"], Any, str], ...]] = (
    ("recorder_mode", "string", "none", f"how recorded tests get answers ({', '.join(Mode)}); in CI always none"),
    ("recorder_cassette_dir", "string", "", "directory of all cassettes; by default `cassettes` beside each module"),
    ("recorder_unplayed", "string", "warn", "recorded exchanges that a test did not ask for: ignore, warn or fail"),
    ("recorder_orphans", "string", "warn", "cassettes that belong to no test: ignore, warn or fail"),
    ("recorder_expired", "string", "warn", "cassettes older than recorder_max_age: ignore, warn or fail"),
    ("recorder_max_age", "string", "", "how old a cassette may be, as 12h, 90d or 8w"),
    ("recorder_block_network", "string", "recorded", "in which tests the network is blocked: recorded, all or off"),
    ("recorder_allowed_hosts", "args", [], "hosts that these tests may reach: localhost, names, addresses, networks"),
    ("recorder_redact", "linelist", [], "rules of redaction that add to the built-in ones, as header:NAME"),
    ("recorder_verify", "args", list(FACTS), f"what verify compares: {', '.join(FACTS)}"),
    ("recorder_httpx", "string", "", "which library recorded_client is of, where both are there: httpx or httpx2"),
)


def add_options(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("recorder", "recorded conversations with LLMs")
    group.addoption(
        "--recorder-mode",
        choices=[mode.value for mode in Mode],
        default=None,
        help="How recorded tests get their answers; goes before recorder_mode, markers and CI.",
    )
    for name, kind, default, text in _INI:
        parser.addini(name, text, type=kind, default=default)


@dataclass(frozen=True, slots=True)
class Settings:
    """What one test wants.

    :ivar cassette: name of its cassette; None for its own.
    :ivar max_age: in hours; None: any.
    :ivar player: further arguments of the :class:`~recorder.Player`.
    :ivar redact: further arguments of the :class:`~recorder.Recorder`.
    :ivar verify: what ``verify`` compares.
    :ivar blocks: the network is blocked while nothing is recorded.
    """

    mode: Mode
    cassette: str | None
    unplayed: Reaction
    expired: Reaction
    max_age: int | None
    player: Mapping[str, Any]
    redact: tuple[str, ...]
    verify: frozenset[str]
    blocks: bool
    allowed_hosts: tuple[str, ...]


class Configured:
    """What the command line and the configuration file say, checked.

    :raises pytest.UsageError: a value is wrong.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.asked: str | None = config.getoption("recorder_mode")
        self.mode = _one_of("recorder_mode", config.getini("recorder_mode"), tuple(Mode))
        self.unplayed = _reaction("recorder_unplayed", config.getini("recorder_unplayed"))
        self.orphans = _reaction("recorder_orphans", config.getini("recorder_orphans"))
        self.expired = _reaction("recorder_expired", config.getini("recorder_expired"))
        self.max_age = _hours("recorder_max_age", config.getini("recorder_max_age"))
        self.blocks = _one_of("recorder_block_network", config.getini("recorder_block_network"), _BLOCKS)
        self.allowed_hosts: tuple[str, ...] = tuple(config.getini("recorder_allowed_hosts"))
        self.redact: tuple[str, ...] = tuple(config.getini("recorder_redact"))
        self.verify = _facts("recorder_verify", config.getini("recorder_verify"))
        self.httpx = _one_of("recorder_httpx", config.getini("recorder_httpx"), ("", "httpx", "httpx2"))
        directory = config.getini("recorder_cassette_dir")
        self.directory = (config.rootpath / directory) if directory else None
        self.places = Places(config.rootpath, self.directory)
        self.in_ci = os.environ.get("CI", "").strip().lower() not in ("", "0", "false", "no", "off")

    @property
    def records(self) -> bool:
        """Whether this run is one that records, as far as single tests do not say otherwise."""
        return mode_of(self.asked, None, self.mode, in_ci=self.in_ci) not in (Mode.NONE, Mode.VERIFY)

    def of(self, item: pytest.Item, defaults: Mapping[str, Any] | None = None) -> Settings:
        """Return what a test wants.

        :param defaults: what ``recorder_config`` gives, as arguments of the marker.
        :raises pytest.UsageError: its marker says something that is wrong.
        """
        cassette, given = marked(item)
        given = {**self._checked(item, defaults or {}), **given}
        where = f" of {item.nodeid}"
        _check_values(where, given)
        only_plays = given.get("fault") is not None
        mode = mode_of(self.asked, given.get("mode"), self.mode, in_ci=self.in_ci, only_plays=only_plays)
        player: dict[str, Any] = {
            name: given[name] for name in ("match", "allow_repeats", "pace", "clock") if name in given
        }
        if "match" in player:
            player["match"] = _match(where, player["match"])
        return Settings(
            mode,
            cassette,
            _reaction(f"unplayed{where}", given.get("unplayed", self.unplayed)),
            _reaction(f"expired{where}", given.get("expired", self.expired)),
            _hours(f"max_age{where}", given["max_age"]) if "max_age" in given else self.max_age,
            player,
            (*self.redact, *_texts(given.get("redact", ()))),
            _facts(f"verify{where}", given["verify"]) if "verify" in given else self.verify,
            given.get("block_network", self.blocks != "off"),
            (*self.allowed_hosts, *_texts(given.get("allowed_hosts", ()))),
        )

    @staticmethod
    def _checked(item: pytest.Item, defaults: Mapping[str, Any]) -> Mapping[str, Any]:
        _check_names(f"the fixture recorder_config of {item.nodeid}", defaults)
        return defaults

    def cassette_of(self, item: pytest.Item) -> Path:
        """Return the cassette of a test.

        :raises pytest.UsageError: the name that it is given is none on every system.
        """
        name, given = marked(item)
        return self.path_of(item, name, given)

    def path_of(self, item: pytest.Item, name: str | None, given: Mapping[str, Any]) -> Path:
        """Return the cassette of a test whose marker says this."""
        if name is None:
            if are_several(given.get("fault")):
                raise pytest.UsageError(
                    f"{item.nodeid}: several faults need an answer that another test has recorded: "
                    'name its cassette, as in @pytest.mark.recorded("order", fault=every_cut)'
                )
            return self.places.of_test(item.path, test_name(item))
        unsafe = unsafe_parts(name.removesuffix(SUFFIX))
        if unsafe or not name:
            raise pytest.UsageError(
                f"{item.nodeid}: {unsafe[0] if unsafe else name!r} is no name of a file on every system: "
                "use letters, digits and . _ -"
            )
        return self.places.named(item.path, name)


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
        name = arguments.pop("cassette", None)
        name = marker.args[0] if marker.args else name
        if name is not None and not isinstance(name, str | os.PathLike):
            raise pytest.UsageError(f"{item.nodeid}: a cassette has a name, not {name!r}")
        _check_names(f"the marker of {item.nodeid}", arguments)
        cassette = cassette if cassette is not None or name is None else os.fspath(cast("str", name))
        given = {**arguments, **given}
    return cassette, given


def _check_names(place: str, given: Mapping[str, Any]) -> None:
    for name in given:
        if name not in _ARGUMENTS:
            from difflib import get_close_matches

            meant = get_close_matches(name, _ARGUMENTS, 1)
            told = f"did you mean {meant[0]!r}?" if meant else f"use {', '.join(sorted(_ARGUMENTS))}"
            raise pytest.UsageError(f"{place}: recorded() has no argument {name!r}: {told}")


def are_several(fault: object) -> bool:
    """Whether a test is run once for each of several faults: a list of them, or a function that makes them."""
    return isinstance(fault, list | tuple) or _makes_faults(fault)


def _check_values(where: str, given: Mapping[str, Any]) -> None:
    """Refuse values that no test can want.

    :raises pytest.UsageError: there is one.
    """
    if "mode" in given and given["mode"] not in tuple(Mode):
        raise _wrong(f"mode={given['mode']!r}{where}", tuple(Mode))
    fault = given.get("fault")
    each = fault.values() if isinstance(fault, Mapping) else fault if isinstance(fault, list | tuple) else [fault]
    for one in each:
        if one is not None and not hasattr(one, "apply") and not callable(one):
            raise pytest.UsageError(f"fault={one!r}{where} is no fault: use those of recorder.faults, as status(429)")
    if not isinstance(given.get("block_network", True), bool):
        raise pytest.UsageError(f"block_network={given['block_network']!r}{where} is no truth value: use True or False")
    for name in ("allowed_hosts", "redact", "verify"):
        value = given.get(name, ())
        listed = isinstance(value, str) or (
            isinstance(value, Iterable) and all(isinstance(one, str) for one in cast("Iterable[object]", value))
        )
        if not listed:
            raise pytest.UsageError(f"{name}={value!r}{where} is no list of texts")


def _match(where: str, rules: object) -> Any:
    """Return the rules of matching that a marker gives, also as the data that a cassette holds."""
    if rules is None or rules == "strict":
        return rules
    from recorder.core.match_rules import Match
    from recorder.errors import ConfigurationError

    if isinstance(rules, Match):
        return rules
    try:
        return Match.from_json(cast("Mapping[str, Any]", rules))
    except ConfigurationError as error:
        raise pytest.UsageError(f"match={rules!r}{where}: {error}") from None


def _texts(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _makes_faults(fault: object) -> bool:
    return callable(fault) and not hasattr(fault, "apply")


def faults_of(fault: Any, cassette: Path) -> Sequence[Any] | None:
    """Return the faults with which a test is run one after the other; None where it has one, or none.

    :param fault: as the marker has it: a function is asked for those of the cassette.
    :raises RecorderError: the cassette cannot be read.
    """
    if _makes_faults(fault):
        found: Sequence[Any] = cast("Callable[[Path], Sequence[Any]]", fault)(cassette)
        return found
    return fault if isinstance(fault, list | tuple) else None


def _one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise _wrong(f"{name}={value!r}", allowed)
    return value


def _wrong(what: str, allowed: Sequence[str]) -> pytest.UsageError:
    return pytest.UsageError(f"{what} is not known: use {', '.join(each for each in allowed if each)}")


def _reaction(name: str, value: str) -> Reaction:
    return cast("Reaction", _one_of(name, value, _REACTIONS))


def _hours(name: str, value: object) -> int | None:
    if value is None or value == "":
        return None
    found = _AGE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise pytest.UsageError(f"{name}={value!r} is no age: use 12h, 90d or 8w")
    return int(found[1]) * _HOURS[found[2]]


def _facts(name: str, value: Sequence[str] | str) -> frozenset[str]:
    named = value.split() if isinstance(value, str) else value
    for each in named:
        _one_of(name, each, FACTS)
    return frozenset(named)
