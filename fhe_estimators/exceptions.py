"""Every error and warning of the library, importable from one place.

Each error also derives from the built-in (or scikit-learn) exception a user of scikit-learn would
expect, so ``except ValueError`` keeps working.
"""

from __future__ import annotations

from sklearn.exceptions import NotFittedError


class FHEError(Exception):
    """Base class of all errors that are specific to this library."""


class NotCompiledError(FHEError, NotFittedError):
    """An encrypted prediction was asked of an estimator that was not compiled."""


class UnsupportedModelError(FHEError, ValueError):
    """A model, or a feature of a model, cannot be represented exactly."""


class InsecureParametersError(FHEError, ValueError):
    """Encryption parameters fall below the 128-bit security floor."""


class ParameterSelectionError(FHEError, ValueError):
    """No secure parameter set offers the depth or precision the model needs."""


class BackendNotAvailableError(FHEError, ImportError):
    """An optional library is missing; the message names the extra that installs it."""


class DownloadError(FHEError, OSError):
    """A data set for examples is not there and cannot be fetched; the message says from where, and why."""


class ProtocolError(FHEError, ValueError):
    """A message or archive is malformed, truncated, tampered with or of a foreign version."""


class KeyMismatchError(ProtocolError):
    """A message was made under other keys, or for another model, than the ones at hand."""


class RequestMismatchError(ProtocolError):
    """A response answers another request, or is a second, different one to the same request."""


class KeysMissingError(FHEError, RuntimeError):
    """A client has no keys: they were not generated or loaded yet."""


class KeysRetiredError(KeysMissingError):
    """A client's keys were given up after a response that it had to refuse: it needs fresh ones."""


class DecryptionError(FHEError, ValueError):
    """Decrypted values are not what any correct evaluation could have produced; the keys are retired."""


class NonFiniteError(FHEError, ValueError):
    """Values to encrypt are NaN or infinite: nothing was encrypted."""


class WorkerError(FHEError, RuntimeError):
    """A worker is unreachable, too slow, or refuses a request; the message names it."""


class WorkerIntegrityError(WorkerError):
    """A worker's response is not the product it was asked for; the message names the worker."""


class ServiceError(FHEError, RuntimeError):
    """A scoring service is unreachable, too slow, or refuses a request; the message says what to do.

    Attributes
    ----------
    status : int or None
        Of HTTP; None if there was no answer.
    code : str
        What was refused, for programs; empty if the service did not say.
    retry_after : float or None
        Seconds after which it wants to be asked again.
    """

    status: int | None = None
    code: str = ""
    retry_after: float | None = None


class MemoryBudgetError(FHEError, MemoryError):
    """A request would take more memory than there is: nothing was started. The message has the figure and a way out."""


class MemoryBudgetWarning(UserWarning):
    """A request to a compiled program would take more than half of this machine's memory."""
