"""The version of recorder, where the pure parts can have it too."""

#: That of the distribution.
VERSION = "0.1.0"
