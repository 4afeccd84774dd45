"""The command line: ``python -m recorder``, and what the command ``recorder`` runs.

An interrupt may come at any moment, also before there is anything that could be interrupted. So the first
thing that is done here is to say what it means, and what is imported before that is next to nothing. Importing
this module is starting the command line; a program has :mod:`recorder.cli`.
"""

try:
    from recorder.cli.interrupts import leave_at_once

    leave_at_once()
    from recorder.cli import main
except KeyboardInterrupt:
    raise SystemExit(130) from None

__all__ = ["main"]

if __name__ == "__main__":
    main()
