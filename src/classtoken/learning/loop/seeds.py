"""Randomness as a function of numbers: every draw of a run is made from (seed, purpose, step).

Nothing has to be remembered between two steps, so the step after a kill draws what it would have drawn.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

ORDER, AUGMENT, FORWARD, SPLIT, WEIGHTS, VIEWS = range(6)
"""what a draw is for; two purposes never share a stream"""


def seed_of(*numbers: int) -> int:
    """One 63-bit seed of several numbers (NumPy's SeedSequence, which mixes them well)."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]) >> 1


def generator_of(*numbers: int) -> torch.Generator:
    """A CPU generator that has drawn nothing yet."""
    return torch.Generator().manual_seed(seed_of(*numbers))


def rows_of_step(count: int, batch: int, seed: int, step: int) -> torch.Tensor:
    """The rows of one step: every epoch is a fresh permutation of `count` rows, without an incomplete last batch."""
    per_epoch = steps_per_epoch(count, batch)
    epoch, place = divmod(step, per_epoch)
    order = torch.randperm(count, generator=generator_of(seed, ORDER, epoch))
    return order[place * batch : (place + 1) * batch]


def steps_per_epoch(count: int, batch: int) -> int:
    """Whole batches in `count` rows, and at least one."""
    return max(1, count // batch)


@contextmanager
def own_randomness(device: torch.device | str, seed: int | None = None) -> Iterator[None]:
    """A block in which torch's own generators may be seeded and drawn from: after it they are as they were before.

    With `seed` they begin from it: dropout draws from torch's own generators, and takes no other.
    """
    device = torch.device(device)
    if device.type == "cpu":
        with torch.random.fork_rng(devices=[]):
            if seed is not None:
                torch.random.default_generator.manual_seed(seed)
            yield
        return
    module = getattr(torch, device.type)
    number = module.current_device() if device.index is None else device.index
    with torch.random.fork_rng(devices=[number], device_type=device.type):
        if seed is not None:
            torch.random.default_generator.manual_seed(seed)
            with module.device(number):
                module.manual_seed(seed)
        yield
