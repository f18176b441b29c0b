"""Benchmarks of fhe_estimators: see README.md in this folder."""
