"""Evaluation of some blocks of leaves of one batch (server side)."""

from __future__ import annotations

from collections.abc import Sequence

import tenseal.sealapi as seal

from ....exceptions import ProtocolError
from ....utils import progress_bar
from ...messages import Blob
from ...seal.file import SealFile
from ..circuit.layout import Layout
from ..program import BFVProgram
from .evaluation_keys import PublicKeys
from .leaf_sums import LeafSums
from .linear import CostEvaluator
from .plaintexts import PlaintextCache
from .routing import BitRouter
from .zero_test import ZeroTestEvaluator


def sum_blocks(
    program: BFVProgram,
    keys: PublicKeys,
    layout: Layout,
    cache: PlaintextCache,
    inputs: Sequence[Blob],
    blocks: Sequence[int],
    *,
    verbose: int = 0,
) -> LeafSums:
    """Sums of the values of a batch's leaves over some blocks.

    Raises
    ------
    ProtocolError
        If a ciphertext is none of the program's fresh ones.
    """
    costs, zero_test = CostEvaluator(program, keys, layout, cache), ZeroTestEvaluator(program, keys)
    sums = LeafSums(program, keys, layout, cache)
    with SealFile() as file:
        bits = [_fresh(file, keys, blob) for blob in inputs]
    if program.routes is None:
        rotated = costs.rotated_bits(bits[0])
    else:
        routed = BitRouter(program.routes, keys, cache).routed(bits, blocks)
    for block in progress_bar(blocks, description="evaluate", verbose=verbose):
        if program.routes is not None:
            rotated = costs.rotated_bits(routed.pop(block))
        sums.add(zero_test.indicators(costs.costs(rotated, block)), block)
    return sums


def _fresh(file: SealFile, keys: PublicKeys, blob: Blob) -> seal.Ciphertext:
    bits = file.load(seal.Ciphertext(), keys.context, blob, "ciphertext")
    if bits.size() != 2 or bits.parms_id() != keys.context.first_id or bits.is_ntt_form():
        raise ProtocolError("A ciphertext of the request has another size or level than the program expects.")
    return bits
