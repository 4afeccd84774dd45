"""The command line: ``recorder``, one file per command.

Nothing here is imported by ``import recorder``.
"""

import io
import sys

from recorder.cli.application import application


def main() -> None:
    """Run the command line and leave the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a narrow encoding is no reason to fail in the middle
            stream.reconfigure(errors="backslashreplace")
    application(prog_name="recorder")


__all__ = ["main"]
