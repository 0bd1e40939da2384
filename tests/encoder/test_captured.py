"""Capturing attention leaves nothing behind, says when it saw nothing, and keeps threads apart."""

import threading
from pathlib import Path

import pytest
import torch
from tests.encoder.parity import TOLERANCE, relative
from tests.encoder.test_foreign import bert, deberta, made, read, shared, text_batch
from torch import Tensor

from classtoken.encoder.foreign.captured import Capture, capturing
from classtoken.errors import TraceError
from classtoken.tensors import Recorder


@torch.no_grad()
def test_an_empty_map_is_an_error(tmp_path: Path) -> None:
    """The interface that nobody calls gives no map; that is said, never passed on."""
    model = made(deberta, tmp_path)
    inputs = {"input_ids": torch.randint(5, 60, (1, 5))}
    with pytest.raises(TraceError, match="attention of 0 blocks"), capturing(model, Capture(Recorder(["x"]), 3)):
        model(**inputs)


@torch.no_grad()
def test_after_an_error_everything_is_as_before(tmp_path: Path) -> None:
    _, foreign = read(bert, tmp_path)
    assert foreign.gaps
    before = foreign.config._attn_implementation

    class Stop(Recorder):
        def __call__(self, name: str, value: Tensor) -> Tensor:
            raise InterruptedError(name)

    with pytest.raises(InterruptedError):
        foreign(text_batch(), trace=Stop(["blocks.1.weights"]))
    assert foreign.config._attn_implementation == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in foreign.modules())


@torch.no_grad()
def test_two_threads_do_not_meet(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    models = [read(bert, folder)[1] for folder in folders]
    batches = [text_batch(), text_batch()]
    names = ["blocks.2.weights"]
    alone = [Recorder(names) for _ in models]
    for foreign, batch, recorder in zip(models, batches, alone, strict=True):
        foreign(batch, trace=recorder)
    together = [[Recorder(names) for _ in range(8)] for _ in models]

    def work(i: int) -> None:
        with torch.no_grad():
            for recorder in together[i]:
                models[i](batches[i], trace=recorder)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(2):
        assert all(torch.equal(r.kept[names[0]], alone[i].kept[names[0]]) for r in together[i])


@torch.no_grad()
def test_a_plain_run_beside_a_traced_one_is_not_traced(tmp_path: Path) -> None:
    """In the middle of a traced run another thread uses the same model."""
    _, foreign = read(bert, tmp_path)
    tokens, other = text_batch(), text_batch()
    plain, seen = foreign(other).last_BLD, []

    def beside() -> None:
        with torch.no_grad():
            seen.append(foreign(other).last_BLD)

    class Busy(Recorder):
        def __call__(self, name: str, value: Tensor) -> Tensor:
            if name == "blocks.1.weights":
                thread = threading.Thread(target=beside)
                thread.start()
                thread.join()
            assert name not in self.kept
            return super().__call__(name, value)

    foreign(tokens, trace=Busy(shared(foreign)))
    assert relative(plain, seen[0], other.mask_BL) < TOLERANCE
