"""Which exact product a device computes fastest: measured once a process, or pinned.

What a processor's name or its flags promise, its libraries may not keep: PyTorch's product of int8 is a plain loop,
fifty times slower than float32, where a library it calls has no code for the processor, and a library may have code
whose 16-bit intermediate sums saturate. So the products are timed, after they were held against exact ones.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import torch

from ._limbs import from_limbs
from .products import PRODUCTS, ExactProduct

#: Names a product for all of a process, over what is measured.
PRODUCT_VARIABLE = "FHE_ESTIMATORS_PRODUCT"
AUTO = "auto"
#: Batches below so many rows are timed apart: they cost reading the weights, not multiplying by them.
_FEW_ROWS = 16
#: Rows, inner features and columns, for few rows and for many: products much slower than others at the first shape are
#: not timed at the second one, for which a plain loop would take tenths of a second.
SHAPES = {True: ((2, 512, 256), (2, 1024, 1024)), False: ((32, 512, 64), (192, 1024, 512))}
_MUCH_SLOWER = 8.0
#: Shapes at which results are compared: libraries have other code for few rows than for many.
_EXACT_SHAPES = ((4, 1025, 17), (64, 576, 128))
_RUNS = 5

_chosen: dict[tuple[torch.device, bool], ExactProduct] = {}
_exact: dict[tuple[torch.device, str], bool] = {}
_lock = threading.Lock()


def check_product(name: str) -> str:
    """The name of a product, or ``"auto"``; an error for another."""
    if name != AUTO and name not in PRODUCTS:
        raise ValueError(f"product={name!r} is unknown: use {AUTO!r} or one of {tuple(PRODUCTS)}.")
    return name


def choose_product(device: torch.device, n_rows: int, product: str = AUTO) -> ExactProduct:
    """The product pinned by name or by the environment, or the fastest for a device and a number of rows.

    Parameters
    ----------
    device : torch.device
    n_rows : int
        Tokens, or rows of a public matrix.
    product : {"auto", "int8", "int16", "float64", "float32"}, default="auto"
    """
    if product == AUTO:
        product = os.environ.get(PRODUCT_VARIABLE) or AUTO
    if check_product(product) != AUTO:
        if not is_exact(PRODUCTS[product], device):
            raise ValueError(
                f"product={product!r} cannot be used on {device}: the device or a library lacks it, or gets it wrong. "
                f"Use product={AUTO!r}."
            )
        return PRODUCTS[product]
    key = device, n_rows < _FEW_ROWS
    with _lock:
        if key not in _chosen:
            _chosen[key] = measure_products(*key)
        return _chosen[key]


def measure_products(device: torch.device, few_rows: bool) -> ExactProduct:
    """The fastest of the products that are exact on a device."""
    small, large = (_operands(device, *shape) for shape in SHAPES[few_rows])
    compiled = PRODUCTS["int16"]
    usable = [product for product in PRODUCTS.values() if product is not compiled and is_exact(product, device)]
    at_small = {product: _seconds(product.ciphertexts, small) for product in usable}
    limit = _MUCH_SLOWER * min(at_small.values())
    seconds = {product: _seconds(product.ciphertexts, large) for product in usable if at_small[product] <= limit}
    fastest = min(seconds, key=seconds.__getitem__)
    # A product faster than one of float32 is not beaten: the loops of int16 need not be compiled to know it.
    if seconds[fastest] > _seconds(_float32_layer, large) and is_exact(compiled, device):
        seconds[compiled] = _seconds(compiled.ciphertexts, large)
    return min(seconds, key=seconds.__getitem__)


def is_exact(product: ExactProduct, device: torch.device) -> bool:
    """Whether a device can do a product and gets it right, the largest values included; tried once."""
    key = device, product.name
    if key not in _exact:
        _exact[key] = product.available(device) and all(_right(product, device, shape) for shape in _EXACT_SHAPES)
    return _exact[key]


def _right(product: ExactProduct, device: torch.device, shape: tuple[int, int, int]) -> bool:
    ciphertexts, matrix = _operands(torch.device("cpu"), *shape)
    ciphertexts[:2], matrix[:, :2] = torch.tensor([-128, 127]).reshape(2, 1, 1), torch.tensor([-128, 127])
    expected = from_limbs(ciphertexts).to(torch.float64) @ matrix.to(torch.float64)  # sums are far below 2^53
    try:
        found = product.of_ciphertexts(ciphertexts.to(device), matrix.to(device))
    except (RuntimeError, TypeError):  # an operation or a type that the device does not have
        return False
    return torch.equal(found.cpu(), expected.to(torch.int64).to(torch.int32))


def _operands(device: torch.device, n_rows: int, n_inner: int, n_columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    ciphertexts = torch.randint(-128, 128, (n_rows, 3, n_inner), dtype=torch.int8, generator=generator)
    matrix = torch.randint(-128, 128, (n_columns, n_inner), dtype=torch.int8, generator=generator)
    return ciphertexts.to(device), matrix.to(device).T


def _float32_layer(ciphertexts: torch.Tensor, matrix: torch.Tensor) -> None:
    ciphertexts[:, 0].to(torch.float32) @ matrix.to(torch.float32)


def _seconds(multiply: Callable[..., object], operands: tuple[torch.Tensor, torch.Tensor]) -> float:
    """The shortest of some runs after a first one, which compiles and allocates."""
    multiply(*operands)
    runs = []
    for _ in range(_RUNS):
        _synchronize(operands[0].device)
        start = time.perf_counter()
        multiply(*operands)
        _synchronize(operands[0].device)
        runs.append(time.perf_counter() - start)
    return min(runs)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
