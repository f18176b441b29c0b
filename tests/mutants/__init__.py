"""Faults put into the package on purpose, and the tests that must notice each of them.

``python -m tests.mutants`` (or ``make mutants``) breaks one line of a copy of the package at a time and runs the tests
that are named for it. The lines are those that guard secrets and exactness.
"""

from tests.mutants import exactness, files, lattices, schemes, services, sessions, workers
from tests.mutants.mutant import PACKAGE, ROOT, Mutant

MUTANTS: list[Mutant] = [
    mutant for module in (lattices, schemes, sessions, files, workers, services, exactness) for mutant in module.MUTANTS
]

__all__ = ["MUTANTS", "PACKAGE", "ROOT", "Mutant"]
