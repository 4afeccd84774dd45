"""The command line: ``recorder``, one file per command.

Nothing here is imported by ``import recorder``, and little by ``import recorder.cli``: an interrupt can
come before the rest is there.
"""

import sys

from recorder.cli.interrupts import INTERRUPTED, leave_at_once, raise_again


def main() -> None:
    """Run the command line and leave the process with its exit code."""
    try:
        leave_at_once()
        from recorder.cli.application import application

        raise_again()
        application(prog_name="recorder", guarded=True)
    except KeyboardInterrupt:  # a second one, while the first was told
        sys.exit(INTERRUPTED)
    finally:
        leave_at_once()  # all is in order; what is left is the interpreter's own end


__all__ = ["main"]
