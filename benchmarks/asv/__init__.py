"""Suites for asv, which runs them at several commits: ``make bench-compare BASE=... HEAD=...``.

Only the public API and what the contract of engines fixes is used, so that earlier commits run them as well.
"""
