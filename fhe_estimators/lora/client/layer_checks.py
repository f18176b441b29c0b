"""Check vectors of a layer by direction: made when they are needed, renewed after every refusal, never pickled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open

from ...backends.lwe.client.verification import ProductCheck
from ...exceptions import ProtocolError, WorkerIntegrityError
from ..model.weights import DIRECTIONS, oriented

#: Sets of check vectors that a split client has for each layer and direction: the first, and as many refusals as
#: there are others.
N_STORED_SETS = 4
CHECKS_FILE = "fhe_checks.safetensors"
_USED = "used_checks"


class LayerChecks(Protocol):
    """Secret check vectors of a layer.

    Attributes
    ----------
    verify_bits : int
        Their soundness.
    """

    verify_bits: int

    def of(self, direction: str) -> ProductCheck:
        """The vectors in use; `WorkerIntegrityError` if there are none left."""

    def renew(self, direction: str) -> None:
        """Never use the present vectors again: a worker was told that they refused its response."""

    def require(self) -> None:
        """`WorkerIntegrityError` unless there are vectors left for every direction."""


class FreshChecks:
    """Checks of a layer whose weights the client holds: there are always new ones.

    Parameters
    ----------
    weights : tensor of int8, shape (n_outputs, n_inputs)
    verify_bits : int
    """

    def __init__(self, weights: torch.Tensor, verify_bits: int):
        self.weights = weights
        self.verify_bits = verify_bits
        self._current: dict[str, ProductCheck] = {}

    def of(self, direction: str) -> ProductCheck:
        """The vectors in use."""
        if direction not in self._current:
            self._current[direction] = ProductCheck(oriented(self.weights, direction), self.verify_bits)
        return self._current[direction]

    def renew(self, direction: str) -> None:
        """Draw others the next time."""
        self._current.pop(direction, None)

    def require(self) -> None:
        """There are always more."""

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_current": {}}


class StoredChecks:
    """Checks of a layer that only workers hold: a reserve, which refusals use up.

    What was used is recorded beside the vectors, by an empty file for each set, before anything else happens: another
    process, or the next one, does not take it up again.

    Parameters
    ----------
    folder : Path
        The client's part, with the file of check vectors.
    name : str
        The layer's name, for errors.
    number : int
        The layer's number in the part.
    verify_bits : int
    n_outputs : mapping of str to int
        The number of outputs, by direction.
    """

    def __init__(self, folder: Path, name: str, number: int, verify_bits: int, n_outputs: Mapping[str, int]):
        self.folder = folder
        self.name = name
        self.number = number
        self.verify_bits = verify_bits
        self.n_outputs = dict(n_outputs)
        self._current: dict[str, tuple[int, ProductCheck]] = {}

    def of(self, direction: str) -> ProductCheck:
        """The vectors in use; `WorkerIntegrityError` if the reserve is used up."""
        if direction not in self._current:
            number = self._first_unused(direction)
            self._current[direction] = number, self._load(direction, number)
        return self._current[direction][1]

    def renew(self, direction: str) -> None:
        """Record that the present set is used, and take the next one from now on."""
        number, _ = self._current.pop(direction, (self._first_unused(direction), None))
        marker = self._marker(direction, number)
        try:
            marker.parent.mkdir(exist_ok=True)
            marker.touch()
        except OSError as error:
            raise ProtocolError(
                f"{marker.parent} must be writable: check vectors that refused a response must not be used again, and "
                "this is where it is recorded."
            ) from error

    def require(self) -> None:
        """`WorkerIntegrityError` unless there are vectors left for every direction."""
        for direction in DIRECTIONS:
            self._first_unused(direction)

    def _first_unused(self, direction: str) -> int:
        for number in range(N_STORED_SETS):
            if not self._marker(direction, number).exists():
                return number
        raise WorkerIntegrityError(
            f"The check vectors of layer {self.name!r} in {self.folder} are used up: workers answered wrongly "
            f"{N_STORED_SETS} times. Split the model again (fhe-estimators split) for fresh ones."
        )

    def _marker(self, direction: str, number: int) -> Path:
        return self.folder / _USED / f"{self.number:04d}.{direction}.{number}"

    def _load(self, direction: str, number: int) -> ProductCheck:
        path, prefix = self.folder / CHECKS_FILE, stored_prefix(self.number, direction, number)
        try:
            with safe_open(path, framework="pt") as file:
                # Copies: each tensor of the file would keep a mapping of all of it.
                tensors = {name: file.get_tensor(prefix + name).clone() for name in ("key", "inputs")}
        except (OSError, SafetensorError) as error:
            raise ProtocolError(
                f"{path}, the client's secret check vectors, cannot be read ({error}). Pickles never hold them: the "
                "file must stay where the model was loaded from."
            ) from error
        return ProductCheck.from_tensors(tensors, self.n_outputs[direction], self.verify_bits)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_current": {}}


def stored_prefix(layer: int, direction: str, number: int) -> str:
    """Prefix of a set's tensors in `CHECKS_FILE`."""
    return f"{layer}/{direction}/{number}/"


def forget_stored(folder: Path) -> None:
    """Remove the check vectors of a client's part, and the record of the used ones."""
    (folder / CHECKS_FILE).unlink(missing_ok=True)
    for marker in (folder / _USED).glob("*"):
        marker.unlink()


def drawn_sets(weights: torch.Tensor, layer: int, verify_bits: int) -> dict[str, torch.Tensor]:
    """Tensors for `CHECKS_FILE`: all sets of one layer. Secret."""
    return {
        stored_prefix(layer, direction, number) + name: tensor
        for direction in DIRECTIONS
        for number in range(N_STORED_SETS)
        for name, tensor in ProductCheck(oriented(weights, direction), verify_bits).tensors().items()
    }
