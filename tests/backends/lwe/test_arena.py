"""Memory apart from the heap."""

import pytest
import torch

from fhe_estimators.backends.lwe import arena
from fhe_estimators.backends.lwe.arena import Arena, Places
from fhe_estimators.backends.lwe.file_store import FileStore


@pytest.fixture
def small_slabs(monkeypatch):
    monkeypatch.setattr(arena, "_SLAB_BYTES", 1024)


def test_tensors_of_all_sizes_come_back_as_they_were(small_slabs):
    kept, generator = Arena(), torch.Generator().manual_seed(0)
    for _ in range(3):  # the second time in the places of the first
        tensors = [
            torch.randint(-99, 99, (n,), generator=generator).to(dtype)
            for n, dtype in zip(
                (1, 100, 3, 700, 1000, 5, 128), (torch.int8, torch.float32, torch.int32) * 3, strict=False
            )
        ]
        places = [kept.put(tensor) for tensor in tensors]
        assert len(set(places)) == len(places)
        for place, tensor in zip(places, tensors, strict=True):
            assert torch.equal(kept.view(place, tensor.shape, tensor.dtype), tensor)
        for place in places:
            kept.give_back(place)


def test_what_was_given_back_is_used_again_and_slabs_stay(small_slabs):
    kept = Arena()
    for size in (100, 60, 100):  # batches of different lengths leave no holes
        places = [kept.put(torch.ones(size)) for _ in range(10)]
        for place in reversed(places):
            kept.give_back(place)
        assert kept._places.used_bytes == 0 == kept._places.end
    assert len(kept._slabs) == 5
    first, second = kept.put(torch.ones(9)), kept.put(torch.ones(9))
    kept.give_back(first)
    assert kept.put(torch.zeros(9)) == first and torch.equal(
        kept.view(second, torch.Size([9]), torch.float32), torch.ones(9)
    )


def test_ranges_do_not_cross_chunks():
    places = Places(100)
    assert [places.take(n) for n in (60, 60, 250, 10, 70)] == [0, 100, 200, 450, 500]


def test_memory_and_file_hold_the_same(tmp_path):
    store, tensors = FileStore(500, tmp_path), [torch.full((50,), float(n)) for n in range(5)]
    kept = [store.put(tensor) for tensor in tensors]
    assert [stored.is_held for stored in kept] == [True, True, False, False, False]
    assert store.held_bytes == 400 and store.file_bytes == 600
    tensors[0] += 1
    assert [stored.load()[0] for stored in kept] == [0, 1, 2, 3, 4]
    for stored in kept:
        stored.release()
    assert store.held_bytes == 0 == store.file_bytes
