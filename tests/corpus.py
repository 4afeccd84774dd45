"""The corpus of recorded traffic: beside the checkout, or where RECORDER_CORPUS says.

It is no part of the project (other people's fixtures, other people's licences), so tests that need it
are skipped, with the reason, where it is not there.
"""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "corpus"
ROOT = Path(os.environ.get("RECORDER_CORPUS", BESIDE))

needs_corpus = pytest.mark.skipif(
    not (ROOT / "manifest.csv").is_file(),
    reason="no corpus: it is not at ../shared/corpus and RECORDER_CORPUS does not name it",
)


@dataclass(frozen=True)
class CorpusStream:
    """One recorded answer with its sidecar."""

    name: str
    dialect: str
    body: bytes
    sidecar: dict[str, Any]

    @property
    def transport_chunks(self) -> list[bytes]:
        """The body cut as the transport delivered it where that is known, else whole."""
        lengths = self.sidecar["response"].get("transport_chunk_lengths") or [len(self.body)]
        pieces, at = [], 0
        for length in lengths:
            pieces.append(self.body[at : at + length])
            at += length
        if at < len(self.body):
            pieces.append(self.body[at:])
        return pieces


def names(dialect: str) -> list[str]:
    """Return the paths of the streams of a dialect, or of all for ``""``; empty without a corpus."""
    manifest = ROOT / "manifest.csv"
    if not manifest.is_file():
        return []
    with manifest.open(newline="", encoding="utf-8") as file:
        return [row["path"] for row in csv.DictReader(file) if dialect in ("", row["dialect"])]


def stream(path: str) -> CorpusStream:
    """Return the stream at a path of the manifest."""
    file = ROOT / path
    sidecar = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    return CorpusStream(path, sidecar["analysis"]["dialect"], file.read_bytes(), sidecar)


def size(path: str) -> int:
    """Return how many bytes the stream at a path of the manifest has."""
    return (ROOT / path).stat().st_size


def sse_cases(name: str) -> list[dict[str, Any]]:
    """Return the cases of a file of ``sse-spec``; empty without a corpus."""
    file = ROOT / "sse-spec" / name
    if not file.is_file():
        return []
    cases: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["cases"]
    return cases
