"""Randomness as a function of numbers: every draw of a run is made from (seed, purpose, step).

Nothing has to be remembered between two steps, so the step after a kill draws what it would have drawn.
"""

import numpy as np
import torch

ORDER, AUGMENT, FORWARD, SPLIT, WEIGHTS, VIEWS = range(6)
"""what a draw is for; two purposes never share a stream"""


def seed_of(*numbers: int) -> int:
    """One 63-bit seed of several numbers (NumPy's SeedSequence, which mixes them well)."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


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
