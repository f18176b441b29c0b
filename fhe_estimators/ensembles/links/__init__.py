"""Link functions: how decrypted scores become predictions, on the data owner's side.

The server only ever sums leaf values. Everything non-linear (sigmoid, softmax, the average of a forest and its class
probabilities, the anomaly score of an isolation forest) is applied here, in the clear, after decryption.
"""

from ._base import Link
from ._classification import (
    AverageProbabilityLink,
    AverageRemainderLink,
    ClassificationLink,
    OneVersusRestLink,
    SigmoidLink,
    SoftmaxLink,
)
from ._outliers import IsolationLink
from ._registry import LINKS, link_from_dict
from ._regression import AverageLink, ExpitLink, ExpLink, IdentityLink

__all__ = [
    "LINKS",
    "AverageLink",
    "AverageProbabilityLink",
    "AverageRemainderLink",
    "ClassificationLink",
    "ExpLink",
    "ExpitLink",
    "IdentityLink",
    "IsolationLink",
    "Link",
    "OneVersusRestLink",
    "SigmoidLink",
    "SoftmaxLink",
    "link_from_dict",
]
