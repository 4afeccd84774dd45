"""The command line from a checkout: ``python cli.py …`` is ``recorder …``. Not part of the wheel."""

from recorder.__main__ import main

if __name__ == "__main__":
    main()
