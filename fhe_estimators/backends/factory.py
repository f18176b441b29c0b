"""Backends whose client and evaluator live in modules of their own, each imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

from ._base import Backend, Client, Evaluator
from ._program import ClientSpec, Program


def find_named(name: str) -> Any:
    """What ``package.module:attribute`` stands for; the module is imported."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


class LazyBackend(Backend):
    """Base of backends that name their client and evaluator, and import neither before it is used.

    By name, so that no server-side module has a static path to the one that decrypts, and a library that only one
    engine needs is loaded with that engine.
    """

    #: The package that has the engine's modules.
    package: ClassVar[str]
    #: ``module:Class`` in it of the data owner's half; made from a spec and ``verbose``.
    client_class: ClassVar[str]
    #: ``module:Class`` in it of the server's half; made from a program and the options of `Evaluator`.
    evaluator_class: ClassVar[str]

    def _find(self, name: str) -> Any:
        """What ``module:attribute`` of the package stands for."""
        return find_named(f"{self.package}.{name}")

    def require_libraries(self) -> None:
        """Raise an ImportError that names what to install, if client or evaluator lack something."""

    def client(self, spec: ClientSpec, *, verbose: int = 0) -> Client:
        self.require_libraries()
        client: Client = self._find(self.client_class)(spec, verbose=verbose)
        return client

    def evaluator(
        self,
        program: Program,
        *,
        n_jobs: int | None = None,
        verbose: int = 0,
        rerandomize: bool = False,
        memory_budget_bytes: int | None = None,
    ) -> Evaluator:
        self.require_libraries()
        evaluator: Evaluator = self._find(self.evaluator_class)(
            program,
            n_jobs=n_jobs,
            verbose=verbose,
            rerandomize=rerandomize,
            memory_budget_bytes=memory_budget_bytes,
        )
        return evaluator
