"""Paths that test code makes: what can be told of them without running it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from recorder.api.migration.paths import UNKNOWN_PART, Paths, is_telling, matches

HEAD = "HERE = os.path.dirname(__file__)\nTAPES: str = 'tapes'\nROUND = ROUND_TOO\nROUND_TOO = ROUND\n"


def told(expression: str) -> str:
    tree = ast.parse(HEAD + expression)
    last = tree.body[-1]
    assert isinstance(last, ast.Expr)
    return Paths(Path("tests/test_bot.py"), tree).told(last.value).replace(UNKNOWN_PART, "?")


@pytest.mark.parametrize(
    ("expression", "path"),
    [
        ("'a.yaml'", "a.yaml"),
        ("'tapes' + '/' + 'a.yaml'", "tapes/a.yaml"),
        ("f'{TAPES}/a.yaml'", "tapes/a.yaml"),
        ("f'{TAPES}/{pair}.yaml'", "tapes/?.yaml"),
        ("f'{TAPES:>10}/a.yaml'", "?/a.yaml"),
        ("os.path.join(HERE, TAPES, 'a.yaml')", "tests/tapes/a.yaml"),
        ("os.path.join(HERE, '/srv/a.yaml')", "/srv/a.yaml"),
        ("str(Path(__file__).resolve().parent / 'tapes' / 'a.yaml')", "tests/tapes/a.yaml"),
        ("Path(__file__).parent.joinpath(TAPES, name)", "tests/tapes/?"),
        ("Path(__file__).parent.parent / 'a'", "./a"),
        ("'%s-%02d.yaml' % (a, b)", "?-?.yaml"),
        ("'{}-{x}.yaml'.format(a, x=b)", "?-?.yaml"),
        ("','.join(names)", "?"),
        ("names[0]", "?"),
        ("ROUND", "?"),
        ("3", "?"),
    ],
)
def test_what_is_told(expression: str, path: str) -> None:
    assert told(expression) == path


@pytest.mark.parametrize(
    ("path", "tells"),
    [("a", True), ("?", False), ("?.yaml", False), ("t/?", True), ("?/a-?.yaml", True), ("?/?", False)],
)
def test_what_is_enough_to_look_for(path: str, tells: bool) -> None:
    assert is_telling(path.replace("?", UNKNOWN_PART)) is tells


def test_what_is_unknown_is_a_part_of_one_name(tmp_path: Path) -> None:
    for name in ("a-[1].yaml", "a-[2].yaml", "b.yaml", "deep/a-3.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [one.name for one in matches(tmp_path, f"a-{UNKNOWN_PART}.yaml")]
    assert found == ["a-[1].yaml", "a-[2].yaml"]
    assert [one.name for one in matches(tmp_path, "a-[1].yaml")] == ["a-[1].yaml"]
