"""What decrypted slots must have in common before a client reads scores off them."""

import numpy as np
import pytest

from fhe_estimators.backends.ckks.circuit.redundancy import rows_from_slots
from fhe_estimators.backends.ckks.circuit.slots import row_places
from fhe_estimators.exceptions import DecryptionError

DEGREE, SCORE_BITS, N_ROWS = 256, 10, 7
SCORES = np.array([5, -3, 2**SCORE_BITS, 0, -(2**SCORE_BITS), 17, 1], dtype=np.float64)


class Slots:
    """Slots of an honest response, in which single ones can be changed."""

    def __init__(self, expansion_log2):
        self.expansion_log2 = expansion_log2
        self.places = row_places(DEGREE, expansion_log2)
        self.copies = np.full((2**expansion_log2, DEGREE // 2 >> expansion_log2), 99.5 + 1j)  # loud where no row is
        self.copies[:, self.places] = np.resize(SCORES, len(self.places))

    def read(self):
        return rows_from_slots(self.copies.ravel(), N_ROWS, self.expansion_log2, SCORE_BITS)


@pytest.fixture(params=[0, 2])
def slots(request):
    return Slots(request.param)


def test_noise_is_rounded_away(slots):
    slots.copies += 0.1 + 0.1j
    values, integers = slots.read()
    np.testing.assert_array_equal(integers, SCORES)
    np.testing.assert_allclose(values, SCORES + 0.1)


@pytest.mark.parametrize("row", [0, N_ROWS - 1, N_ROWS + 1, -1])
@pytest.mark.parametrize("change", [0.25, -0.25, 0.25j, -0.25j, 0.18 + 0.18j, np.nan, complex(0, np.nan)])
def test_a_row_far_from_an_integer_is_refused(slots, row, change):
    """Rows beyond those of the request, too."""
    slots.copies[:, slots.places[row]] += change
    with pytest.raises(DecryptionError, match="no sum of leaves"):
        slots.read()


def test_copies_far_from_their_mean_are_refused():
    slots = Slots(2)
    slots.copies[:, slots.places[3]] += [0.7, -0.7, 0.7j, -0.7j]
    slots.read()
    slots.copies[:, slots.places[3]] = [0.8, -0.8, 0.8, -0.8]
    with pytest.raises(DecryptionError, match="no sum of leaves"):
        slots.read()


@pytest.mark.parametrize("score", [2**SCORE_BITS + 1, -(2**SCORE_BITS) - 1, 2**40])
def test_scores_that_no_program_has_are_refused(slots, score):
    changed = np.where(np.arange(N_ROWS) == 2, score, SCORES)
    slots.copies[:, slots.places] = np.resize(changed, len(slots.places))
    with pytest.raises(DecryptionError, match="larger than the program's can be"):
        slots.read()


@pytest.mark.parametrize("row", [1, N_ROWS + 1, -1])
def test_places_beyond_the_rows_hold_copies_of_them(slots, row):
    slots.copies[:, slots.places[row]] += 1
    with pytest.raises(DecryptionError, match="that of other rows"):
        slots.read()
