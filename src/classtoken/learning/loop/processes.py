"""Several processes that train one model together (`torchrun`): each computes a part of every batch.

Everything that is drawn is a function of the seed and the step, so that all of them read the same records, draw the
same batch and hold the same weights; they exchange outputs and gradients, and one of them writes.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from classtoken.errors import OptionError

Value = TypeVar("Value")


@dataclass(frozen=True)
class Processes:
    """One of `count` processes that train together, number `rank`; alone, all that it does is nothing."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that evaluates, writes and reports."""
        return self.rank == 0

    @contextmanager
    def folder(self, out: Path) -> Iterator[Path]:
        """Where this one writes: `out`, or a folder that is gone afterwards."""
        if self.first:
            yield out
            return
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)

    def total(self, numbers: Tensor) -> Tensor:
        """The sum of what all of them have."""
        if self.count > 1:
            dist.all_reduce(numbers)
        return numbers

    def agreed(self, value: Callable[[], Value]) -> Value:
        """What the first one finds."""
        if self.count == 1:
            return value()
        found: list[Value | None] = [value() if self.first else None]
        dist.broadcast_object_list(found, src=0)
        return found[0]  # type: ignore[return-value]

    def gathered(self, mine: Tensor) -> list[Tensor]:
        """The rows of all of them, in their order; as many as each has."""
        if self.count == 1:
            return [mine]
        lengths = torch.zeros(self.count, dtype=torch.long, device=mine.device)
        lengths[self.rank] = len(mine)
        counts = self.total(lengths).tolist()
        filled = mine.new_zeros((max(counts), *mine.shape[1:]))
        filled[: len(mine)] = mine
        parts = [torch.empty_like(filled) for _ in counts]
        dist.all_gather(parts, filled)
        return [part[:count] for part, count in zip(parts, counts, strict=True)]

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Every gradient becomes the sum of all of them; a weight that has none anywhere keeps none."""
        if self.count == 1:
            return
        device = parameters[0].device
        given = self.total(torch.tensor([float(p.grad is not None) for p in parameters], device=device)).tolist()
        used = [p for p, n in zip(parameters, given, strict=True) if n]
        flat = self.total(torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in used]))
        for parameter, piece in zip(used, flat.split([p.numel() for p in used]), strict=True):
            parameter.grad = piece.view_as(parameter).clone()

    def average_buffers(self, module: nn.Module) -> None:
        """Batch statistics become the mean of those of all parts."""
        if self.count == 1:
            return
        for buffer in module.buffers():
            if buffer.is_floating_point():
                self.total(buffer).div_(self.count)


ALONE = Processes()


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """The processes that `torchrun` has started beside this one, which meet in this block; `ALONE` without it.

    Raises `OptionError` where there are more of them than GPUs.
    """
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if count == 1:
        yield ALONE
        return
    if device.startswith("cuda"):
        local, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if local >= there:
            raise OptionError(f"torchrun has started more than {there} processes here, and there are {there} GPUs.")
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield Processes(rank, count)
    finally:
        dist.destroy_process_group()
