"""What a mutant is."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "fhe_estimators"


@dataclass(frozen=True)
class Mutant:
    """A fault of one line.

    Parameters
    ----------
    name : str
        What is wrong with it, for the report.
    file : str
        Below the package.
    old : str
        Text that occurs once in the file.
    new : str
        Text in its place.
    tests : tuple of str
        As pytest takes them, below ``tests``: those that must fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def source(self, root: Path = ROOT) -> str:
        """The file as it is."""
        return (root / PACKAGE / self.file).read_text()

    def mutated(self, root: Path = ROOT) -> str | None:
        """The file with the fault; None if the text is not there, or there more than once."""
        source = self.source(root)
        return source.replace(self.old, self.new) if source.count(self.old) == 1 else None


def of_file(file: str, *mutants: tuple[str, str, str, str]) -> list[Mutant]:
    """Mutants of one file: name, old text, new text, and tests with a space between them."""
    return [Mutant(name, file, old, new, tuple(tests.split())) for name, old, new, tests in mutants]
