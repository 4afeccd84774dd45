"""Run every measurement: ``python -m bench [--write]``; with --write, renew the table in docs/benchmarks.md."""

from __future__ import annotations

import platform
import re
import subprocess
import sys

from bench.measure import ROOT

NAMES = (
    *(
        "latency",
        "recording",
        "cpu",
        "replay",
        "rebuild",
        "importing",
        "verify",
        "searching",
        "exporting",
        "size",
        "imports",
        "collecting",
    ),
    "peers",
)
PAGE = ROOT / "docs" / "benchmarks.md"
FIGURE = re.compile(r"^(?:(?P<name>[^:]+): )?(?P<value>.+) \(goal:? ?(?P<goal>[^()]*)\)$")
TABLE = re.compile(r"(<!-- figures -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def run(name: str) -> list[tuple[str, str, str]]:
    """Run one measurement and return its figures: name, value, goal."""
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{name}"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    print(done.stdout, end="", flush=True)
    found = [match for line in done.stdout.splitlines() if (match := FIGURE.match(line))]
    if done.returncode or not found:
        sys.exit(f"bench.{name} ended with {done.returncode} and {len(found)} figures")
    return [(match["name"] or name, match["value"], match["goal"]) for match in found]


def write(figures: list[tuple[str, str, str]]) -> None:
    rows = ["| what | figure | goal |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in figures)]
    made_on = f"Python {platform.python_version()}, {platform.system()}, {platform.machine()}"
    table = "\n".join([f"{made_on}:", "", *rows, ""])
    PAGE.write_text(TABLE.sub(lambda match: match[1] + table + match[2], PAGE.read_text()))


def main() -> None:
    figures = [figure for name in NAMES for figure in run(name)]
    if "--write" in sys.argv[1:]:
        write(figures)


if __name__ == "__main__":
    main()
