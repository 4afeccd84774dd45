"""The write path: tap → event stream → spool → drainer → store, and recovery after a death."""
