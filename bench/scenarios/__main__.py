"""Run every scenario with every tool: ``python -m bench.scenarios [--write] [--tool NAME] [WORD…]``.

Each scenario runs in a process of its own with each tool, and is ended where it hangs. ``--write`` renews the table in
docs/scenarios.md; words choose scenarios whose titles have them. The exit code is 1 where recorder fails one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import select
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.measure import ROOT, scratch
from bench.scenarios import answers, answers_of_http, modes, streams  # noqa: F401 (they are registered)
from bench.scenarios.tools import TOOLS, NotThereError, Tool
from bench.scenarios.trial import SCENARIOS, FailedError, Scenario, Trial

LONGEST = 12.0  # seconds; the slowest takes a few
PAGE = ROOT / "docs" / "scenarios.md"
TABLE = re.compile(r"(<!-- table -->\n).*?(<!-- end of table -->)", re.DOTALL)
GROUPS = {"streams": "Streams", "answers": "Which answer", "HTTP": "HTTP", "modes": "Modes"}


def attempt(chosen: Scenario, tool: Tool) -> str:
    """Return what comes of a scenario, in this process."""
    with tempfile.TemporaryDirectory(prefix="scenario-", ignore_cleanup_errors=True) as folder:
        try:
            chosen.run(Trial(tool, Path(folder)))
        except NotThereError:
            return "–"
        except FailedError as reason:
            return f"fails: {reason}"
        except Exception as error:  # noqa: BLE001 - what a tool raises in a scenario is the result, and stands in the table
            return f"fails: {type(error).__name__}: {' '.join(str(error).split())[:80]}"
    return "passes"


def apart(chosen: Scenario, tool: Tool) -> str:
    """Return what comes of a scenario, in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        os.write(writing, json.dumps(attempt(chosen, tool)).encode())
        os._exit(0)
    os.close(writing)
    try:
        told = os.read(reading, 65536) if select.select([reading], [], [], LONGEST)[0] else None
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return "hangs" if told is None else str(json.loads(told)) if told else "fails: the process dies"


def page(results: dict[Scenario, dict[str, str]], tools: list[Tool]) -> str:
    """Return the tables."""
    lines = [
        f"Python {platform.python_version()}, {platform.system()}; " + ", ".join(tool.title for tool in tools) + ".",
        "",
    ]
    passed = {tool.name: sum(found[tool.name] == "passes" for found in results.values()) for tool in tools}
    apply = {tool.name: sum(found[tool.name] != "–" for found in results.values()) for tool in tools}
    lines.append("| | " + " | ".join(tool.name for tool in tools) + " |")
    lines.append("|---" * (len(tools) + 1) + "|")
    lines.append("| passes | " + " | ".join(f"{passed[each.name]} of {apply[each.name]}" for each in tools) + " |")
    for group, title in GROUPS.items():
        lines += ["", f"### {title}", "", "| scenario | after | " + " | ".join(each.name for each in tools) + " |"]
        lines.append("|---" * (len(tools) + 2) + "|")
        for one, found in results.items():
            if one.group == group:
                cells = [_cell(found[tool.name]) for tool in tools]
                lines.append(f"| {one.title} | {one.source} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _cell(told: str) -> str:
    told = re.sub(r"[|<>`]", "", re.sub(r"http://127\.0\.0\.1:\d+", "", told))
    told = re.sub(r"host='127\.0\.0\.1', port=\d+", "…", told)  # another one in each run
    return told if len(told) <= 120 else told[:119] + "…"


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Return what was asked for: ``tool``, ``words`` and ``write``; wrong usage ends with 2, as argparse does."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.scenarios",
        description="Run every scenario with every tool, each in a process of its own.",
        epilog="The exit code is 1 where recorder fails a scenario.",
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="only scenarios whose titles have one of the words")
    parser.add_argument("--tool", choices=TOOLS, help="only this tool")
    parser.add_argument("--write", action="store_true", help="renew the table in docs/scenarios.md")
    asked = parser.parse_args(given)
    if asked.write and (asked.words or asked.tool):
        parser.error("--write renews the whole table: give no words and no tool with it")
    return asked


def main() -> None:
    asked = arguments(sys.argv[1:])
    tools = [TOOLS[name] for name in ([asked.tool] if asked.tool else TOOLS)]
    chosen = [one for one in SCENARIOS if not asked.words or any(word in one.title for word in asked.words)]
    import betamax
    import cassetter
    import vcr

    import recorder.api.player
    import recorder.api.recorder
    import recorder.transports.requests_either

    assert all((betamax, cassetter, vcr, recorder))  # imported once, before the forks
    results: dict[Scenario, dict[str, str]] = {}
    with scratch():
        for one in chosen:
            for tool in tools:
                began = time.monotonic()
                found = results.setdefault(one, {})[tool.name] = apart(one, tool)
                print(f"{tool.name:10} {found:60} {one.title} ({time.monotonic() - began:.1f} s)", flush=True)
    if asked.write:
        PAGE.write_text(TABLE.sub(lambda match: match[1] + page(results, tools) + match[2], PAGE.read_text()))
    sys.exit(any(found.get("recorder", "passes") != "passes" for found in results.values()))


if __name__ == "__main__":
    main()
