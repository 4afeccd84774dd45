"""The verifier of evidence bundles: the standard library alone, and nothing of what records or makes bundles.

Its modules are joined into one file, ``verify.py``, for people who have only Python
(:mod:`recorder.ledger.bundle_verifier`); ``recorder verify --bundle`` runs the same modules. They keep to the syntax of
Python 3.9, import from each other by name alone, and no two of them define the same name.
"""
