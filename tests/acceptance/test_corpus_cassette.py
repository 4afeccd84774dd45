"""The corpus in a cassette and back: not a bit is another, and what is text can be read."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from recorder.api.cassette_changes import load
from recorder.api.cassette_reports import look
from recorder.api.foreign_files import files_in
from recorder.api.importing import Import
from recorder.core.cassette import read_cassette
from recorder.core.cassette_lines import header_line, stream_lines
from tests import corpus
from tests.building import ExchangeBuilder
from tests.recorded import streams

pytestmark = corpus.needs_corpus


def test_every_stream_comes_back_bit_for_bit() -> None:
    made = []
    for number, name in enumerate(corpus.names("")):
        built = ExchangeBuilder(number).request({"from": name}).response()
        made.append(built.chunks(*corpus.stream(name).transport_chunks).completed())
    lines = [line for one in made for line in stream_lines(one.opened, one.events)]
    cassette = read_cassette(header_line(len(made)) + b"".join(lines))
    assert cassette.problems == []
    assert len(made) >= 300
    for one in made:
        assert cassette.blocks[one.opened.stream].events() == one.events
    for body in (json.loads(line).get("body") for line in lines if b'"base64"' in line):
        for piece in body if isinstance(body, list) else [body]:
            if isinstance(piece, dict):
                with pytest.raises(UnicodeDecodeError):  # else it would be text
                    base64.b64decode(piece["base64"]).decode("utf-8")


def test_whatever_other_tools_recorded_is_imported_to_a_cassette(tmp_path: Path) -> None:
    file, store = tmp_path / "all.jsonl", f"sqlite:///{tmp_path}/store.db"
    with Import(str(file)) as importing:
        imported = sum(importing.file(path).imported for path, _ in files_in([corpus.ROOT / "cassettes"]))
    found = look(file)
    assert found.problems == []
    assert found.exchanges == imported >= 400
    load(file, store)

    def hashes(url: str) -> dict[str, list[bytes]]:
        return {name: [event.hash for event in events] for name, events in streams(url).items()}

    assert hashes(str(file)) == hashes(store)
