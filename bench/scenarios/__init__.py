"""What users expect of a recorder, one small program for each expectation, run with ours and with its peers.

``python -m bench.scenarios`` runs them all, ``--write`` renews the table in docs/scenarios.md. The expectations are
those of the suites of litellm, cassetter, vcrpy and betamax, in programs of our own.
"""
