"""What decrypted slots of an honest response have in common, and a forgery for an unknown secret key has not.

A response is decrypted to N/2 complex numbers. The scores of a batch take a small part of them:

- all imaginary parts are zero: bits and leaves are real, and what pairs left there is cleared;
- with expansion ``k``, each row has ``2 ** k`` slots with the same value;
- places beyond the rows of the request hold copies of these rows, one after the other, since that is what clients
  encrypt there (the slots that `slots` leaves empty are too loud to be checked, and decide nothing);
- values are integers, below ``2 ** score_bits``;

each up to noise, whose standard deviation is at most 1/64 of a step for a row, the mean over its copies. Single
copies may be ``2 ** (k / 2)`` times as far off, and more in few of the slots (see `circuit.noise`), so their mean
square is what is checked.

A server that wants to see the secret ``s`` in scores sends ``(c_0, c_1)`` with a ``c_1`` of its choice, which adds
``c_1 s`` to the slots. No ``c_1`` is accepted for every secret and still gives scores that depend on it. For if it is
accepted for ``s`` and for ``s + X ** i``, and the scores of a row differ, then the mean of ``c_1 X ** i`` over the
row's slots is within ``2 * INTEGER_TOLERANCE < 1/2`` of a nonzero integer. Multiplied by ``X ** (N / 2)``, which is
``i`` or ``-i`` in all slots, it has an imaginary part of more than 1/2: ``s + X ** (i + N / 2)`` is refused.

With the evaluation keys a server can also compute on ``(0, c_1)`` as on any ciphertext: make copies equal, imaginary
parts zero, and take a polynomial of each row's value, of degree ``2 ** n_levels`` at most. But the automorphisms that
it has keys for leave ``Y`` of `packing` in its place, so a value is a sum of ``N / 2 ** expansion_log2`` coefficients
of ``s``, 32 at least, times cosines: all but continuous, and no polynomial of small degree takes it to integers only.
So a forgery whose scores depend on the secret is a bet, and a lost one costs the keys. The test suite measures the
odds.
"""

from __future__ import annotations

import numpy as np

from ....exceptions import DecryptionError
from .slots import row_places

#: Largest distance of a row from its integer, and of its imaginary part from zero: 12 standard deviations of the
#: noise that the parameters allow. Below 1/4, for the argument above.
INTEGER_TOLERANCE = 3 / 16
#: Root mean square of the distances of a row's slots from its integer, divided by ``2 ** (expansion / 2)``.
COPY_TOLERANCE = 3 / 8


def rows_from_slots(
    slots: np.ndarray, n_rows: int, expansion_log2: int, score_bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the rows of a batch, if the slots keep every rule.

    Parameters
    ----------
    slots : ndarray of shape (n_slots,), complex128
        Decrypted, in integer steps.
    n_rows : int
        Rows of the batch.
    expansion_log2 : int
        ``k``: a row has ``2 ** k`` slots.
    score_bits : int
        Scores are below ``2 ** score_bits`` in size.

    Returns
    -------
    values : ndarray of shape (n_samples,), float64
        Before rounding: the mean over a row's slots. They depend on the noise, and never leave the client.
    integers : ndarray of shape (n_samples,), float64
        After.

    Raises
    ------
    DecryptionError
        If a rule is broken.
    """
    copies = slots.reshape(2**expansion_log2, -1)[:, row_places(2 * len(slots), expansion_log2)]
    values = copies.mean(axis=0)
    integers = np.rint(values.real)
    off = np.abs(values - integers).max()
    spread = (np.abs(copies - integers) ** 2).mean(axis=0).max() ** 0.5
    if not (off <= INTEGER_TOLERANCE and spread <= COPY_TOLERANCE * 2 ** (expansion_log2 / 2)):  # true for NaN
        raise DecryptionError(
            "The decrypted response is no sum of leaves: it was computed under other keys or by another program, or "
            "was altered on the way."
        )
    if np.abs(integers).max() > 2.0**score_bits:
        raise DecryptionError("The decrypted scores are larger than the program's can be.")
    if not np.array_equal(integers, np.resize(integers[:n_rows], len(integers))):
        raise DecryptionError("The decrypted response is that of other rows: copies of a row have different scores.")
    return values.real[:n_rows], integers[:n_rows]
