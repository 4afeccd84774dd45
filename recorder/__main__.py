"""``python -m recorder`` is the command line."""

from recorder.cli import main

main()
