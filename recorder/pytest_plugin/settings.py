"""What a test wants of its recording: the command line, the marker, the configuration file, in this order."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Final, Literal, cast

import pytest

from recorder.api.cassette_names import SUFFIX, Places, unsafe_parts
from recorder.pytest_plugin.given_faults import are_several
from recorder.pytest_plugin.marking import (
    check_hosts,
    check_names,
    check_redact,
    check_values,
    marked,
    rules_of,
    test_name,
    texts,
    unknown,
)
from recorder.pytest_plugin.modes import Mode, mode_of

#: What happens about something that is found: nothing, a warning, or the test (or the run) fails.
Reaction = Literal["ignore", "warn", "fail"]
_REACTIONS: Final = ("ignore", "warn", "fail")
_BLOCKS: Final = ("recorded", "all", "off")
#: What ``verify`` can compare.
FACTS: Final = ("status", "verdict", "finish_reasons", "tool_calls", "text")
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
        check_hosts("recorder_allowed_hosts", self.allowed_hosts)
        self.redact: tuple[str, ...] = tuple(config.getini("recorder_redact"))
        check_redact("recorder_redact", self.redact)
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
        check_names(f"the fixture recorder_config of {item.nodeid}", defaults or {})
        given = {**(defaults or {}), **given}
        where = f" of {item.nodeid}"
        check_values(where, given)
        only_plays = given.get("fault") is not None
        mode = mode_of(self.asked, given.get("mode"), self.mode, in_ci=self.in_ci, only_plays=only_plays)
        player: dict[str, Any] = {
            name: given[name] for name in ("match", "allow_repeats", "pace", "clock") if name in given
        }
        if "match" in player:
            player["match"] = rules_of(where, player["match"])
        return Settings(
            mode,
            cassette,
            _reaction(f"unplayed{where}", given.get("unplayed", self.unplayed)),
            _reaction(f"expired{where}", given.get("expired", self.expired)),
            _hours(f"max_age{where}", given["max_age"]) if "max_age" in given else self.max_age,
            player,
            (*self.redact, *texts(given.get("redact", ()))),
            _facts(f"verify{where}", given["verify"]) if "verify" in given else self.verify,
            given.get("block_network", self.blocks != "off"),
            (*self.allowed_hosts, *texts(given.get("allowed_hosts", ()))),
        )

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
        if unsafe or not PurePath(name).name or name.endswith(("/", os.sep)):
            raise pytest.UsageError(
                f"{item.nodeid}: {unsafe[0] if unsafe else name!r} is no name of a file on every system: "
                "use letters, digits and . _ -"
            )
        path, folder = self.places.named(item.path, name), self.places.named_folder(item.path)
        if not path.is_relative_to(os.path.normpath(folder)):
            raise pytest.UsageError(
                f"{item.nodeid}: its cassette {name} lies outside of the folder of cassettes, {folder.name}: name one "
                "below it; recorder_cassette_dir says where it is"
            )
        return path


def _one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise unknown(f"{name}={value!r}", allowed)
    return value


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
