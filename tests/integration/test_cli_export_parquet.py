"""recorder export of a format that is bytes and needs a library that may not be there."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

from recorder.formats.base import event_formats, formats
from tests.commands import answered, fill, identity_of, run, terminal, told

ANSWERED = answered(1, ("user", "one"), text="Wait.")
EXPORT = ("export", identity_of(ANSWERED), "--format", "parquet")


@pytest.fixture
def url(sqlite_url: str) -> str:
    fill(sqlite_url, ANSWERED)
    return sqlite_url


def test_a_file_and_standard_output_get_the_same_bytes(url: str, tmp_path: Path) -> None:
    file = tmp_path / "desk.parquet"
    assert run(*EXPORT, "-o", str(file), "--store", url).exit_code == 0
    piped = run(*EXPORT, "--store", url).stdout_bytes
    assert piped == file.read_bytes()
    assert pyarrow.parquet.read_table(io.BytesIO(piped)).column("text").to_pylist() == ["one", "Wait."]


@pytest.mark.parametrize("name", sorted(NAMES := formats() | event_formats()))
def test_what_is_no_text_is_not_sent_to_a_terminal(url: str, name: str) -> None:
    whole = run("export", identity_of(ANSWERED), "--format", name, "--store", url)
    try:
        whole.stdout_bytes.decode()
        is_text = True
    except UnicodeDecodeError:
        is_text = False
    assert is_text is not NAMES[name].is_binary
    for args in ((), ("-o", "-")):
        code, sent = terminal("export", identity_of(ANSWERED), "--format", name, "--store", url, *args, NO_COLOR="1")
        if is_text:
            assert (code, "no text" in sent) == (0, False)
        else:
            assert (code, sent) == (2, f"error: {name} is no text, and a terminal cannot show it: give -o FILE\n")


def test_without_pyarrow_one_line_says_what_to_install(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    line = told(run(*EXPORT, "-o", str(tmp_path / "desk.parquet"), "--store", url), 2)
    assert line == "error: the format parquet needs pyarrow: run pip install 'conversation-recorder[parquet]'"
    assert not list(tmp_path.glob("*desk.parquet*"))
