"""Links by name, as archives hold them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ._base import Link
from ._classification import AverageProbabilityLink, AverageRemainderLink, OneVersusRestLink, SigmoidLink, SoftmaxLink
from ._outliers import IsolationLink
from ._regression import AverageLink, ExpitLink, ExpLink, IdentityLink

#: Every link's class by its name.
LINKS: dict[str, type[Link]] = {
    cls.name: cls
    for cls in (
        IdentityLink,
        ExpLink,
        ExpitLink,
        AverageLink,
        SigmoidLink,
        SoftmaxLink,
        OneVersusRestLink,
        AverageProbabilityLink,
        AverageRemainderLink,
        IsolationLink,
    )
}


def link_of_kind(link: type[Link], *, of_classifier: bool) -> type[Link]:
    """A link for a model that may be of another kind than its objective.

    Parameters
    ----------
    link : type of Link
        That of the objective.
    of_classifier : bool
        Whether the model is a classifier.

    Returns
    -------
    link : type of Link
        The same logistic function: a classifier tells the probabilities of two classes, a regressor that of the second.
        All other links are returned as they are.
    """
    if of_classifier:
        return SigmoidLink if link is ExpitLink else link
    return ExpitLink if link is SigmoidLink else link


def link_from_dict(values: dict[str, Any]) -> Link:
    """A link from what `Link.to_dict` gave.

    Parameters
    ----------
    values : dict
        The name, and parameters of all links; those that the named link has not are ignored.

    Returns
    -------
    link : Link
        Equal to the one that was stored.

    Raises
    ------
    ValueError
        If there is no such link, or a parameter has a value that the link cannot have.
    KeyError
        If a parameter is missing.

    Examples
    --------
    >>> from fhe_estimators.ensembles.links import AverageLink, link_from_dict
    >>> link_from_dict(AverageLink(n_trees=3).to_dict())
    AverageLink(n_trees=3)
    """
    name = values["name"]
    if not isinstance(name, str) or name not in LINKS:
        raise ValueError(f"Unknown link {name!r}. Known links: {sorted(LINKS)}.")
    parameters = {field.name: values[field.name] for field in fields(LINKS[name])}
    if "class_counts" in parameters:
        parameters["class_counts"] = tuple(parameters["class_counts"])
    return LINKS[name](**parameters)
