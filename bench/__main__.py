"""Run measurements, each in a process of its own: ``python -m bench [--write] [MEASUREMENT…]``."""

from __future__ import annotations

import argparse
import ast
import platform
import re
import subprocess
import sys
from collections.abc import Sequence

from bench.measure import ROOT

#: The measurements whose figures stand in the table, in its order.
NAMES = (
    "latency",
    "recording",
    "cpu",
    "replay",
    "rebuild",
    "importing",
    "sealing",
    "verify",
    "searching",
    "exporting",
    "size",
    "imports",
    "collecting",
    "peers",
)
#: Those that run only where they are named.
OTHERS = ("latency_async", "cassettes", "suite", "large")
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


def about(name: str) -> str:
    """Return the first line of a measurement's docstring; nothing is imported for it."""
    source = (ROOT / "bench" / f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Return what was asked for: ``names`` and ``write``; wrong usage ends with 2, as argparse does."""
    rows = "\n".join(f"  {name:14} {about(name)}" for name in (*NAMES, *OTHERS))
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Run measurements, each in a process of its own; print a line for each figure with its goal.",
        epilog=f"measurements ({', '.join(OTHERS)} run only where they are named):\n{rows}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="MEASUREMENT", help="what to run; default: the table's")
    parser.add_argument("--write", action="store_true", help="renew the table in docs/benchmarks.md")
    asked = parser.parse_args(given)
    # Not by `choices`: with nargs="*", argparse of Python 3.11 takes no name at all for a wrong choice.
    if unknown := [name for name in asked.names if name not in (*NAMES, *OTHERS)]:
        parser.error(f"there is no measurement {', '.join(unknown)}: choose from {', '.join((*NAMES, *OTHERS))}")
    if asked.write and asked.names:
        parser.error("--write renews the whole table: name no measurements with it")
    asked.names = asked.names or list(NAMES)
    return asked


def main() -> None:
    asked = arguments(sys.argv[1:])
    figures = [figure for name in asked.names for figure in run(name)]
    if asked.write:
        write(figures)


if __name__ == "__main__":
    main()
