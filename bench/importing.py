"""Import a VCR.py cassette of 1,000 interactions: recorder's whole import against vcrpy loading the same file.

Ours ends with everything committed to a SQLite store: YAML read, credentials looked for, events hashed and chained.
vcrpy's ends with the interactions in memory. Both read with libyaml. The tables behind ``list`` are not part of it:
they are brought up to date after an import, and that is the second figure.

    python -m bench.importing [interactions]
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from bench.measure import figure, interleaved, median, scratch
from recorder.api.importing import Import

try:
    import yaml
    from vcr.cassette import Cassette
except ModuleNotFoundError as missing:
    sys.exit(f"bench.importing needs {missing.name}, which is not installed: pip install 'vcrpy>=9,<10' pyyaml")

_REPEATS = 9
_EVENTS = 18  # of each stream: bodies of 3.5 KB, which with 11 and 14 headers is what recorded cassettes have
_GOAL = 3
_SENT = [f"x-sent-{number}" for number in range(10)]
_RECEIVED = [f"x-received-{number}" for number in range(12)]


def interaction(number: int) -> dict[str, Any]:
    """Return one interaction as VCR.py keeps it: a chat completion, streamed."""
    head = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": 1790000000, "model": "bench-1"}
    deltas = [{"index": 0, "delta": {"content": f" word{at}"}, "finish_reason": None} for at in range(_EVENTS)]
    deltas.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    events = [f"data: {json.dumps({**head, 'choices': [delta]})}\n\n" for delta in deltas]
    asked = {"model": "bench-1", "stream": True, "messages": [{"role": "user", "content": f"Tell me of {number}."}]}
    return {
        "request": {
            "method": "POST",
            "uri": "https://api.example.test/v1/chat/completions",
            "body": json.dumps(asked),
            "headers": {"content-type": ["application/json"]} | {name: [f"{name} value"] for name in _SENT},
        },
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {"content-type": ["text/event-stream"], "transfer-encoding": ["chunked"]}
            | {name: [f"{name} value {number}"] for name in _RECEIVED},
            "body": {"string": "".join([*events, "data: [DONE]\n\n"])},
        },
    }


def theirs(path: Path, count: int) -> float:
    began = time.perf_counter()
    cassette = Cassette.load(path=str(path))
    took = time.perf_counter() - began
    assert len(cassette) == count
    return took


def ours(path: Path, count: int, number: list[int]) -> tuple[float, float]:
    """Return the seconds of the import, and of the tables after it."""
    number[0] += 1
    with Import(f"sqlite:///{path.with_name(f'{number[0]}.db')}") as importing:
        # Making an empty store is no part of what is compared: it takes as long whatever is imported.
        importing.open()
        began = time.perf_counter()
        report = importing.file(path)
        imported = time.perf_counter()
        importing.project()
        projected = time.perf_counter()
    assert (report.imported, report.present, report.refused) == (count, 0, [])
    return imported - began, projected - imported


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with scratch() as directory:
        path = directory / "cassette.yaml"
        held = {"interactions": [interaction(number) for number in range(count)], "version": 1}
        path.write_text(yaml.dump(held, Dumper=yaml.CSafeDumper))
        number, tables = [0], list[float]()

        def import_it() -> float:
            imported, projected = ours(path, count, number)
            tables.append(projected)
            return imported

        mine, vcrpy = interleaved(_REPEATS, import_it, lambda: theirs(path, count))
    ratio = median([loaded / imported for loaded, imported in zip(vcrpy, mine, strict=True)])
    figure(
        f"import of {count:,} interactions against vcrpy loading them",
        f"{ratio:.1f} times faster ({median(mine):.2f} against {median(vcrpy):.2f} s)",
        f">= {_GOAL} times",
        ratio >= _GOAL,
    )
    figure("tables behind list after that import", f"{median(tables):.2f} s", "none", None)


if __name__ == "__main__":
    main()
