"""Parameter groups, schedules and optimisers: which weight moves how far at which step."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from classtoken.learning.loop.muon import Muon
from classtoken.learning.objectives.base import Objective
from classtoken.learning.recipe import OptimiserOptions


def schedule(options: OptimiserOptions, step: int, steps: int) -> float:
    """The factor on every learning rate at a step: rising over the warm-up, then falling to `final`.

    warm-up: (step + 1) / w with w = warmup * steps; after it, with t in 0..1 the way that is done:
    cosine: final + (1 - final) (1 + cos(pi t)) / 2 (Loshchilov & Hutter 2017); linear: 1 - (1 - final) t; constant: 1.
    """
    warm = options.warmup * steps
    if step < warm:
        return min(1.0, (step + 1) / warm)
    done = min(1.0, (step - warm) / max(1.0, steps - warm))
    if options.schedule == "constant":
        return 1.0
    falling = (1 + math.cos(math.pi * done)) / 2 if options.schedule == "cosine" else 1 - done
    return options.final + (1 - options.final) * falling


def depth_of(name: str, depth: int) -> int:
    """How many blocks lie between a parameter and the head: 0 for the head, `depth` + 1 for the stem."""
    parts = name.split(".")
    if "blocks" in parts:
        return depth - int(parts[parts.index("blocks") + 1])
    if "stem" in parts:
        return depth + 1
    return 0


def groups(module: nn.Module, options: OptimiserOptions, depth: int) -> list[dict]:
    """Parameter groups by learning rate and decay.

    Weight decay falls on matrices and kernels only: not on biases, norms, layer scales, learned tokens and positions.
    A group's rate is learning_rate * layer_decay ** depth_of(name) (Clark et al. 2020, ELECTRA; Bao et al. 2022, BEiT).
    """
    found: dict[tuple, dict] = {}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        decays = parameter.dim() > 1 and not any(word in name for word in _UNDECAYED)
        muon = options.kind == "muon" and decays and (".blocks." in f".{name}" or ".convolutions." in f".{name}")
        rate = options.matrix_learning_rate if muon else options.learning_rate
        own = module.rate_of(name) if isinstance(module, Objective) else None  # a grid of candidates has several
        rate = rate if own is None else own
        rate *= options.layer_decay ** depth_of(name, depth)
        group = found.setdefault(
            (muon, rate, decays),
            {
                "params": [],
                "names": [],
                "lr": rate,
                "weight_decay": options.weight_decay if decays else 0.0,
                "decays": decays,
                "muon": muon,
            },
        )
        group["params"].append(parameter)
        group["names"].append(name)
    return list(found.values())


_UNDECAYED = ("class_token", "distillation", "registers", "position", "bias", "probe", "queries")


def optimisers(module: nn.Module, options: OptimiserOptions, depth: int) -> list[torch.optim.Optimizer]:
    """One optimiser, or two for `muon`; each group remembers its highest rate as `peak`."""
    every = groups(module, options, depth)
    for group in every:
        group["peak"] = group["lr"]
    matrices = [{k: v for k, v in g.items() if k != "muon"} for g in every if g["muon"]]
    others = [{k: v for k, v in g.items() if k != "muon"} for g in every if not g["muon"]]
    made: list[torch.optim.Optimizer] = []
    if matrices:
        made.append(Muon(matrices, momentum=options.momentum))
    if others and options.kind == "sgd":
        made.append(torch.optim.SGD(others, momentum=options.momentum))
    elif others:
        made.append(torch.optim.AdamW(others, betas=options.betas, foreach=True))
    return made


def decay_at(options: OptimiserOptions, step: int, steps: int) -> float:
    """The weight decay at a step: last + (first - last) (1 + cos(pi t)) / 2 with t in 0..1 the way that is done."""
    first, last = options.weight_decay, options.final_weight_decay
    return first if last is None else last + (first - last) * (1 + math.cos(math.pi * step / max(1, steps))) / 2


def set_rates(made: Iterable[torch.optim.Optimizer], options: OptimiserOptions, step: int, steps: int) -> None:
    """Every group's rate = its peak times the schedule's factor; the decay of those groups that have one."""
    factor, decay = schedule(options, step, steps), decay_at(options, step, steps)
    for optimiser in made:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * factor
            group["weight_decay"] = decay if group["decays"] else 0.0


def moving_average(module: nn.Module, decay: float) -> AveragedModel:
    """A copy of a module whose weights follow it: a <- d a + (1 - d) w, d = min(decay, (1 + t) / (10 + t)) at step t.

    The early, smaller d lets the first random weights be forgotten (as in TensorFlow's ExponentialMovingAverage).
    Buffers (batch norm's statistics) are averaged too; whole numbers are copied.
    """

    def step(average: Tensor, value: Tensor, seen: Tensor | int) -> Tensor:
        t = int(seen) - 1
        return average.lerp(value, 1 - min(decay, (1 + t) / (10 + t))) if value.is_floating_point() else value

    made = AveragedModel(module, avg_fn=step, use_buffers=True)
    made.n_averaged.fill_(1)  # the first weights count; at 0 torch would replace them by those of the first step
    made.eval()
    return made
