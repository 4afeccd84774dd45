"""The version of recorder, where the pure parts can have it too."""

#: That of the distribution.
__version__ = "0.1.0"
