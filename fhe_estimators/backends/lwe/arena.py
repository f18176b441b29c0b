"""Memory for tensors that are kept for long, apart from those that come and go."""

from __future__ import annotations

import torch

#: Allocators of C libraries map what is larger than 32 MiB on its own, and give it back as it is freed.
_SLAB_BYTES = 1 << 26
#: Starts of tensors are multiples of a cache line.
_ALIGNMENT = 64


class Places:
    """Starts of ranges of bytes: of one of the same size that was given back, or a new one.

    Parameters
    ----------
    chunk_bytes : int or None, default=None
        No range crosses a multiple of it, unless it begins there; None for no such bounds.

    Attributes
    ----------
    used_bytes : int
        Of all ranges that are taken.
    end : int
        The end of the last range ever taken since there was none.
    """

    def __init__(self, chunk_bytes: int | None = None):
        self.used_bytes = 0
        self.end = 0
        self._chunk_bytes = chunk_bytes
        self._free: dict[int, list[int]] = {}

    def take(self, n_bytes: int) -> int:
        """The start of a range."""
        self.used_bytes += n_bytes
        if self._free.get(n_bytes):
            return self._free[n_bytes].pop()
        start = self.end
        if self._chunk_bytes is not None and start % self._chunk_bytes + n_bytes > self._chunk_bytes:
            start += -start % self._chunk_bytes
        self.end = start + n_bytes
        return start

    def give_back(self, start: int, n_bytes: int) -> None:
        """End the use of a range. Without any, all begins anew: batches of other sizes find no holes."""
        self.used_bytes -= n_bytes
        self._free.setdefault(n_bytes, []).append(start)
        if not self.used_bytes:
            self.end = 0
            self._free.clear()


class Arena:
    """Copies of tensors of the CPU in slabs of their own.

    What a training step keeps, layer by layer, is as large as what each layer allocates and frees in between. In one
    heap the two lie among each other, and the heap cannot shrink: it grows to twice what is used.
    """

    def __init__(self) -> None:
        self._places = Places(_SLAB_BYTES)
        self._slabs: dict[int, torch.Tensor] = {}

    def put(self, tensor: torch.Tensor) -> tuple[int, int]:
        """Copy a tensor here; returns its place, for `view` and `give_back`."""
        place = self._places.take(n_bytes := tensor.nbytes + -tensor.nbytes % _ALIGNMENT), n_bytes
        self.view(place, tensor.shape, tensor.dtype).copy_(tensor)
        return place

    def view(self, place: tuple[int, int], shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
        """The tensor at a place, until that is given back."""
        (number, offset), n_bytes = divmod(place[0], _SLAB_BYTES), shape.numel() * dtype.itemsize
        slab = self._slabs.get(number)
        if slab is None or offset + n_bytes > len(slab):
            slab = self._slabs[number] = torch.empty(max(_SLAB_BYTES, place[1]), dtype=torch.uint8)
        return slab[offset : offset + n_bytes].view(dtype).view(shape)

    def give_back(self, place: tuple[int, int]) -> None:
        """The tensor at a place is not needed any more."""
        self._places.give_back(*place)
