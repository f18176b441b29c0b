"""What an evaluation does, counted by following its circuit without ciphertexts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .circuit.packing import PackedGroup
from .evaluator.arithmetic import Arithmetic, Encrypted
from .evaluator.circuit import circuit_evaluator
from .evaluator.inputs import LazyInputs
from .parameters import CKKSParameters

if TYPE_CHECKING:
    from .program import CKKSProgram


class Operation(NamedTuple):
    """A kind of operation.

    Attributes
    ----------
    name : str
        Of a method of `Arithmetic`, or ``"load"``.
    level : int
    size : int
        Polynomials of the first operand.
    """

    name: str
    level: int
    size: int


class _Memory:
    """Ciphertexts in memory, by level and size.

    SEAL keeps what is freed for later ciphertexts of the same number of bytes, so each kind counts with its own peak.
    """

    def __init__(self) -> None:
        self.live: Counter[int] = Counter()
        self.peak: Counter[int] = Counter()

    def take(self, n_polynomials: int) -> None:
        self.live[n_polynomials] += 1
        if self.live[n_polynomials] > self.peak[n_polynomials]:
            self.peak[n_polynomials] = self.live[n_polynomials]


class _Counted:
    """Stands for a ciphertext; given back when nothing refers to it any more, as a ciphertext is."""

    __slots__ = ("memory", "n_polynomials")

    def __init__(self, memory: _Memory, n_polynomials: int):
        self.memory = memory
        self.n_polynomials = n_polynomials
        memory.take(n_polynomials)

    def __del__(self) -> None:
        self.memory.live[self.n_polynomials] -= 1


class CountingArithmetic(Arithmetic):
    """Counts operations and ciphertexts.

    Parameters
    ----------
    parameters : CKKSParameters
    costs : callable
        From an `Operation` to its seconds.

    Attributes
    ----------
    operations : Counter of Operation
    seconds : float
        Of all of them.
    finished : list of float
        Seconds that had passed after each step.
    """

    def __init__(self, parameters: CKKSParameters, costs: Callable[[Operation], float]):
        top, prime = parameters.n_levels, 1 << parameters.prime_bits
        # All that counts is which scales are equal: those of the two top levels.
        scales = {level: float(prime) * (1 + max(0, top - 1 - level)) for level in range(1, top + 1)}
        super().__init__(scales, dict.fromkeys(range(2, top + 1), prime))
        self.parameters = parameters
        self.costs = costs
        self.operations: Counter[Operation] = Counter()
        self.seconds = 0.0
        self.finished: list[float] = []
        self.memory = _Memory()

    def finish_step(self) -> None:
        """Note the seconds that have passed."""
        self.finished.append(self.seconds)

    def load(self, level: int) -> Encrypted:
        """A fresh ciphertext of a request."""
        self._add_operation(Operation("load", level, 2))
        return self.made(self._counted(level, 2), level, 2, self.scales[level])

    def peak_bytes(self) -> int:
        """Memory of all ciphertexts and of temporary ones, at most."""
        polynomials = sum(n * count for n, count in self.memory.peak.items())
        temporary = 6 * (self.parameters.n_primes(self.parameters.n_levels) + 1)
        return 8 * self.parameters.poly_modulus_degree * (polynomials + temporary)

    def _counted(self, level: int, size: int) -> _Counted:
        return _Counted(self.memory, size * self.parameters.n_primes(level))

    def _count(self, name: str, a: Encrypted) -> None:
        self._add_operation(Operation(name, a.level, a.size))

    def _add_operation(self, operation: Operation) -> None:
        self.operations[operation] += 1
        self.seconds += self.costs(operation)

    def _multiply(self, a: Encrypted, b: Encrypted) -> Any:
        self._count("multiply", a)
        return self._counted(a.level, 3)

    def _relinearize(self, a: Encrypted) -> Any:
        self._count("relinearize", a)
        temporary = self._counted(a.level, 3)
        return self._counted(a.level, 2) if temporary else None

    def _rescale(self, a: Encrypted) -> Any:
        self._count("rescale", a)
        return self._counted(a.level - 1, a.size)

    def _drop(self, a: Encrypted, level: int) -> Any:
        self._count("drop", a)
        return self._counted(level, a.size)

    def _copy(self, a: Encrypted) -> Any:
        self._count("copy", a)
        return self._counted(a.level, a.size)

    def _negate(self, a: Encrypted) -> Any:
        self._count("copy", a)
        return self._counted(a.level, a.size)

    def _add(self, a: Encrypted, b: Encrypted, sign: int) -> None:
        self._count("add", b)
        if b.size > a.size:
            a.ciphertext = self._counted(a.level, b.size)

    def _multiple(self, a: Encrypted, factor: float) -> Any:
        self._count("multiple", a)
        return self._counted(a.level, a.size)

    def _add_constant(self, a: Encrypted, value: float) -> None:
        self._count("add_constant", a)

    def _turn(self, a: Encrypted) -> None:
        self._count("shift", a)

    def _conjugate(self, a: Encrypted) -> Any:
        self._count("automorphism", a)
        return self._counted(a.level, 2)

    def _automorphism(self, a: Encrypted, element: int) -> Any:
        self._count("automorphism", a)
        return self._counted(a.level, 2)

    def _shift(self, a: Encrypted, exponent: int) -> None:
        self._count("shift", a)


def follow_circuit(program: CKKSProgram, arithmetic: CountingArithmetic, groups: Sequence[PackedGroup]) -> None:
    """Evaluate a program on ciphertexts that are none."""

    def load(number: int) -> Encrypted:
        return arithmetic.load(groups[number].level)

    inputs = LazyInputs(arithmetic, groups, load, program.parameters.poly_modulus_degree)
    circuit = circuit_evaluator(program.schedule, program.comparisons, arithmetic, inputs)
    circuit.evaluate(clear_imaginary=program.packing.uses_pairs, after_step=arithmetic.finish_step)
