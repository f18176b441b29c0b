"""How hard a parameter set is to break: the cost of the best known lattice attacks on learning with errors."""

from ._estimate import Estimate, estimate_security
from ._instance import LWEInstance

__all__ = ["Estimate", "LWEInstance", "estimate_security"]
