"""The estimate: the cheapest of the attacks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from ._dual import DualAttack
from ._instance import SECRETS, LWEInstance
from ._primal import PrimalAttack

#: Noise of a smaller standard deviation is rounded to zero in all but one of a million samples.
_NO_NOISE = 0.1


@dataclass(frozen=True)
class Estimate:
    """Cost of each attack, as log2 of the gates of a classical computer.

    Parameters
    ----------
    usvp : float
        The secret as the shortest vector of a lattice.
    bdd : float
        The secret from the vector of a lattice that is closest to the samples.
    dual : float
        Guesses of a part of the secret, told apart by short vectors of the dual lattice.
    guess : float
        The whole secret guessed, both halves at once; infinite for a Gaussian one.
    """

    usvp: float
    bdd: float
    dual: float
    guess: float

    @property
    def bits(self) -> float:
        """Cost of the cheapest attack."""
        return min(self.usvp, self.bdd, self.dual, self.guess)


def estimate_security(instance: LWEInstance) -> Estimate:
    """Estimate what breaking an instance costs.

    Attacks that are left out do not win for the instances of this library: hybrid ones gain from sparse secrets, those
    of Blum, Kalai and Wasserman need more memory than there is, and algebraic ones need noise much below 3.

    Parameters
    ----------
    instance : LWEInstance
        An instance of learning with errors.

    Returns
    -------
    estimate : Estimate
        Cost of each attack; all are zero if rounded noise is as good as none.

    Notes
    -----
    With `LWEInstance.n_secrets` above 1 the attacker may choose whichever secret falls most easily: the shortest of
    their error vectors, by a quantile of the chi-square distribution. All that is done a secret is paid for once,
    which favours the attacker.

    Examples
    --------
    >>> from fhe_estimators.security import LWEInstance, estimate_security
    >>> round(estimate_security(LWEInstance(8192, 214, 3.2, "ternary")).bits)
    128
    """
    return _estimate(instance)


@lru_cache(maxsize=4096)
def _estimate(instance: LWEInstance) -> Estimate:
    if instance.noise_std < _NO_NOISE:
        return Estimate(0.0, 0.0, 0.0, 0.0)
    primal = PrimalAttack(instance)
    n_values = SECRETS[instance.secret][1]
    guess = math.inf if n_values is None else instance.dimension * math.log2(n_values) / 2
    return Estimate(primal.usvp(), primal.bdd(), DualAttack(instance).cost(), guess)
