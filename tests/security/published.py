"""Figures that others published."""

import math

from fhe_estimators.security import LWEInstance

#: Costs in the documentation of the lattice estimator of M. Albrecht and others, with its model of costs "MATZOV", by
#: attack. Kyber's secrets and noise are centred binomial of parameter 3.
ESTIMATES = {
    "Kyber512": (
        LWEInstance(512, math.log2(3329), math.sqrt(1.5), "gaussian", max_samples=512),
        {"usvp": 143.8, "bdd": 140.3, "dual": 139.2},
    ),
    "HES 1.1, Gaussian": (LWEInstance(1024, 27, 3.0, "gaussian", max_samples=1024), {"bdd": 136.7}),
    "SEAL 2.2, degree 8192": (LWEInstance(8192, 226, 3.19, "ternary"), {"dual": 121.8}),
}

#: Largest bits of a modulus by security, distribution of the secret and ring degree: J.-P. Bossuat et al., "Security
#: Guidelines for Implementing Homomorphic Encryption", 2024, table 5.2 (classical); the columns for Gaussian secrets
#: and other levels as its authors' script prints them.
LARGEST_MODULUS_BITS = {
    (128, "ternary"): {1024: 26, 2048: 53, 4096: 106, 8192: 214, 16384: 430, 32768: 868, 65536: 1747, 131072: 3523},
    (128, "gaussian"): {2048: 55, 4096: 109, 8192: 216, 16384: 433, 32768: 870, 65536: 1749},
    (192, "ternary"): {2048: 36, 4096: 73, 8192: 148, 16384: 297, 32768: 597, 65536: 1199},
    (192, "gaussian"): {2048: 38, 4096: 75, 8192: 150, 16384: 299, 32768: 599, 65536: 1201},
    (256, "ternary"): {2048: 27, 4096: 56, 8192: 114, 16384: 230, 32768: 463, 65536: 929},
    (256, "gaussian"): {2048: 30, 4096: 59, 8192: 116, 16384: 232, 32768: 465, 65536: 931},
}


def concrete_noise_std(dimension):
    """Least noise modulo 2^64 that Concrete 2.11 uses for 128 bits of security: its curve for binary secrets."""
    slope, offset = -0.025696778711484593, 2.675931372549016
    return 2.0 ** max(64 + slope * dimension + offset, 2.0)
