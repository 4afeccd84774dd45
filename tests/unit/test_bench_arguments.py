"""What ``python -m bench`` runs: what is named, or the table; its page and its help know every measurement."""

from __future__ import annotations

import re

import pytest

from bench.__main__ import NAMES, OTHERS, PAGE, arguments
from bench.scenarios.__main__ import arguments as arguments_of_scenarios


def test_what_is_named_runs_and_the_table_where_nothing_is() -> None:
    assert arguments(["suite", "cpu"]).names == ["suite", "cpu"]
    assert arguments([]).names == arguments(["--write"]).names == list(NAMES)
    assert (arguments([]).write, arguments(["--write"]).write) == (False, True)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["speed"], "there is no measurement speed: choose from latency,"),
        (["--write", "cpu"], "--write renews the whole table"),
        (["--wrong"], "unrecognized arguments: --wrong"),
    ],
)
def test_wrong_usage_is_told_and_nothing_runs(given: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(given)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_the_help_and_the_page_list_every_measurement(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(["--help"])
    assert ended.value.code == 0
    listed = re.findall(r"^  (\w+) +\S.{30}", capsys.readouterr().out.partition("\nmeasurements ")[2], re.MULTILINE)
    shown = re.findall(r"^\| `bench\.(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == [*NAMES, *OTHERS]
    assert sorted(shown) == sorted(listed)


@pytest.mark.parametrize("given", [["--write", "cookies"], ["--write", "--tool", "vcrpy"], ["--tool", "other"]])
def test_scenarios_refuse_half_a_table_and_unknown_tools(given: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments_of_scenarios(given)
    assert ended.value.code == 2
