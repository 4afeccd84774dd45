"""Export everything: the most memory that it takes, of ten times as many exchanges against few.

Each export is `recorder export --all` in a process of its own; what is compared is the largest resident size. The
stores are filled by processes of their own. A quarter of the exchanges is in conversations that were opened, a quarter
goes on from another one.

    python -m bench.exporting [--large] [format …]

With ``--large``, 100,000 exchanges are measured as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.measure import ROOT, figure, most_memory, scratch

FEW, MANY, LARGE = 2_000, 20_000, 100_000
FORMATS = ("jsonl", "markdown", "html", "csv", "har", "otlp", "openai-jsonl", "parquet")
BATCH = 2000
MOST = 1.2
TEXT = "Hold, unless the spread falls below ten points before the close. " * 4


def exchange(number: int) -> Any:
    """Return the builder of an exchange."""
    from recorder.clock import id_text
    from tests.building import ExchangeBuilder, identity

    built = ExchangeBuilder(number)
    asked, answered = f"Question {number}? {TEXT}", f"Answer {number}. {TEXT}"
    said = [{"role": "user", "content": asked}]
    facts = {"call": f"call-{number}"}
    if number % 4 == 1:
        facts |= {"conversation": id_text(identity(number - number % 400)), "name": f"desk {number // 400}"}
    elif number % 4 == 0:
        before = f"Question {number - 1}? {TEXT}", f"Answer {number - 1}. {TEXT}"
        roles = ("user", "assistant")
        said = [{"role": role, "content": text} for role, text in zip(roles, before, strict=True)] + said
    built.request({"model": "m", "messages": said}, **facts)
    choice = {"index": 0, "message": {"role": "assistant", "content": answered}, "finish_reason": "stop"}
    built.response(headers=[("content-type", "application/json")], framing="length")
    return built.chunks(
        json.dumps({"object": "chat.completion", "model": "m", "choices": [choice]}).encode()
    ).completed()


def fill(url: str, count: int) -> None:
    """Write exchanges and project them."""
    from recorder.projections.runner import project
    from recorder.store import open_store
    from recorder.store.projected import SqlProjected

    with closing(open_store(url, write=True)) as store:
        for start in range(1, count + 1, BATCH):
            built = [exchange(number) for number in range(start, min(start + BATCH, count + 1))]
            store.append([one.opened for one in built], [event for one in built for event in one.events])
        project(store, SqlProjected(store))


def exported(url: str, name: str, file: Path) -> tuple[float, float]:
    """Return the most memory that an export took, in MiB, and its seconds."""
    most = most_memory("export", "--all", "--format", name, "-o", str(file), "--store", url)
    assert file.stat().st_size
    file.unlink()
    return most


def main() -> None:
    os.chdir(ROOT)
    if sys.argv[1:2] == ["--fill"]:
        fill(sys.argv[3], int(sys.argv[2]))
        return
    large = "--large" in sys.argv[1:]
    names = [name for name in sys.argv[1:] if name != "--large"] or list(FORMATS)
    with scratch() as directory:
        urls = {count: f"sqlite:///{directory}/{count}.db" for count in (FEW, MANY, *([LARGE] if large else []))}
        for count, url in urls.items():
            subprocess.run([sys.executable, "-m", "bench.exporting", "--fill", str(count), url], check=True)
        for name in names:
            taken = {count: exported(url, name, directory / "exported") for count, url in urls.items()}
            small = taken[FEW][0]
            for count in list(urls)[1:]:
                most, seconds = taken[count]
                shown = (
                    f"{most / small:.2f} times ({most:.0f} against {small:.0f} MiB; {count / seconds:,.0f} exchanges/s)"
                )
                what = f"most memory, export of {count:,} exchanges as {name} against {FEW:,}"
                figure(what, shown, f"<= {MOST} times", most / small <= MOST)


if __name__ == "__main__":
    main()
