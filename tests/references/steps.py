"""What stands around a loss in a step: rates, decay, averages, matrices made orthogonal, hidden words, crops."""

import math
from random import Random

import numpy as np
import torch
from tests.learning.small import network
from tests.references.row import Numbers, Row, drawn
from torch import nn

from classtoken.learning.data.augment import crop_sides
from classtoken.learning.loop.muon import Muon
from classtoken.learning.loop.optimise import decay_at, groups, moving_average, schedule
from classtoken.learning.objectives.dino import Dino, DinoSchedule
from classtoken.learning.objectives.masked import UNTOUCHED, hide
from classtoken.learning.objectives.supervised import Supervised
from classtoken.learning.recipe import OptimiserOptions
from classtoken.tensors import Tokens
from classtoken.values import Role

ROOM = "steps"
IDS, MASK, SPECIAL = 1000, 4, 5


def our_schedule(kind: str) -> Numbers:
    """In the warm-up ours is one step ahead, so that the first step is not of rate 0: compared after it."""
    options = OptimiserOptions(warmup=0.1, final=0.0, schedule=kind)  # type: ignore[arg-type]
    return [np.array([schedule(options, step, 100) for step in (*range(9), *range(10, 100))])]


def schedule_of_transformers(kind: str) -> Numbers:
    from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

    make = {"cosine": get_cosine_schedule_with_warmup, "linear": get_linear_schedule_with_warmup}[kind]
    factor = make(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0), 10, 100).lr_lambdas[0]
    return [np.array([factor(step) for step in (*range(1, 10), *range(10, 100))])]


def cosine_of_dino(first: float, last: float) -> np.ndarray:
    """cosine_scheduler of DINO's utils.py, no warm-up."""
    return last + 0.5 * (first - last) * (1 + np.cos(np.pi * np.arange(50) / 50))


def our_teacher_temperatures() -> Numbers:
    rises = DinoSchedule(first_temperature=0.04, rises=0.3, frozen_prototypes=0.1)
    objective = Dino(network(), 16, prototypes=8, teacher_temperature=0.07, schedule=rises)
    found, learned = [], []
    for step in range(100):
        objective.begins(step / 100)
        found.append(objective.temperature_now)
        learned.append(float(objective.projection.prototypes.requires_grad))
    return [np.array(found), np.array(learned)]


def layer_rates() -> Numbers:
    made = groups(
        Supervised(network(), "single"), OptimiserOptions(learning_rate=1.0, layer_decay=0.5, weight_decay=0.1), depth=2
    )
    rate = {name: group["lr"] for group in made for name in group["names"]}
    names = ("stem.class_token", "blocks.0.feedforward.up.weight", "blocks.1.feedforward.up.weight")
    return [np.array([*(rate[f"model.encoder.{name}"] for name in names), rate["model.head.output.weight"]])]


def rates_of_beit(depth: int = 2) -> Numbers:
    """get_num_layer_for_vit and LayerDecayValueAssigner of BEiT: decay ** (depth + 1 - number)."""
    numbers = (0, 1, 2, depth + 1)
    return [np.array([0.5 ** (depth + 1 - number) for number in numbers])]


def weights_after(kind: str, rows: int, columns: int) -> Numbers:
    """A matrix after three steps along drawn gradients."""
    weight = nn.Parameter(drawn(rows, columns, seed=1))
    if kind == "ours":
        made: torch.optim.Optimizer = Muon([{"params": [weight]}], lr=0.1, momentum=0.9, weight_decay=0.5)
    else:
        made = torch.optim.Muon([weight], lr=0.1, momentum=0.9, weight_decay=0.5, adjust_lr_fn="original")
    for step in range(3):
        weight.grad = drawn(rows, columns, seed=10 + step)
        made.step()
    return [weight.detach()]


def our_average() -> Numbers:
    layer = nn.Linear(2, 2)
    nn.init.zeros_(layer.weight)
    average = moving_average(layer, 0.5)
    for _ in range(6):
        with torch.no_grad():
            layer.weight.add_(1.0)
        average.update_parameters(layer)
    return [average.module.weight.detach()]


def average_of_tensorflow() -> Numbers:
    """ExponentialMovingAverage.apply with num_updates: decay = min(decay, (1 + n) / (10 + n))."""
    expected = 0.0
    for n in range(6):
        decay = min(0.5, (1 + n) / (10 + n))
        expected -= (1 - decay) * (expected - (n + 1.0))
    return [np.full((2, 2), expected)]


def words() -> tuple[torch.Tensor, torch.Tensor]:
    """16,000 texts of one word repeated: a class token, words, an end, padding."""
    ids = torch.full((16000, 60), 7)
    roles = torch.full_like(ids, int(Role.CONTENT))
    roles[:, 0], roles[:, -6], roles[:, -5:] = int(Role.CLASS), int(Role.END), int(Role.PAD)
    return ids, roles


def shares_of(now: torch.Tensor, targets: torch.Tensor, content: torch.Tensor) -> Numbers:
    """Of the words: how many are to be guessed; of those: hidden, exchanged, as they were; of all others: changed."""
    chosen = targets != UNTOUCHED
    assert not bool((chosen & ~content).any())
    assert bool((now[~chosen] == 7).all())
    kinds = (now[chosen] == MASK, (now[chosen] != MASK) & (now[chosen] != 7), now[chosen] == 7)
    drawn_ids = now[chosen][kinds[1]].double()
    return [
        np.array([float(chosen[content].double().mean()), *(float(kind.double().mean()) for kind in kinds)]),
        float(drawn_ids.mean()),
        float(drawn_ids.std()),
    ]


def our_hiding() -> Numbers:
    ids, roles = words()
    hidden, targets = hide(Tokens(roles, ids_BL=ids), 0.15, MASK, IDS, torch.Generator().manual_seed(0))
    assert hidden.ids_BL is not None
    return shares_of(hidden.ids_BL, targets, roles == Role.CONTENT)


def hiding_of_transformers() -> Numbers:
    from transformers import DataCollatorForLanguageModeling

    class Words:
        mask_token, pad_token = "[MASK]", "[PAD]"

        def convert_tokens_to_ids(self, token: str) -> int:
            return MASK

        def __len__(self) -> int:
            return IDS

    ids, roles = words()
    collator = DataCollatorForLanguageModeling(Words(), mlm_probability=0.15, seed=0)  # type: ignore[arg-type]
    collator.generator = torch.Generator().manual_seed(0)
    now, targets = collator.torch_mask_tokens(ids.clone(), special_tokens_mask=roles != Role.CONTENT)
    return shares_of(now, targets, roles == Role.CONTENT)


def areas_of_torchvision(height: int, width: int) -> np.ndarray:
    """RandomResizedCrop.get_params: crops that do not fit are drawn again, not made to fit."""
    random = Random(0)

    def one() -> float:
        for _ in range(10):
            wanted = height * width * random.uniform(0.3, 1.0)
            ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
            w, h = round(math.sqrt(wanted * ratio)), round(math.sqrt(wanted / ratio))
            if 0 < w <= width and 0 < h <= height:
                return w * h / (width * height)
        w, h = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
        return w * h / (width * height)

    return np.array([one() for _ in range(20000)])


def our_areas(height: int, width: int) -> np.ndarray:
    tall, wide = crop_sides(20000, (0.3, 1.0), height / width, torch.Generator().manual_seed(0))
    found: np.ndarray = (tall * wide).numpy()
    return found


def spread(areas: np.ndarray) -> Numbers:
    """Mean, quantiles, and how many are as large as a crop can be."""
    quantiles = np.quantile(areas, [0.05, 0.25, 0.5, 0.75, 0.95])
    return [float(areas.mean()), quantiles]


ROWS = (
    *(
        Row(
            ROOM,
            "schedule with warm-up",
            "transformers get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup",
            lambda kind=kind: our_schedule(kind),
            lambda kind=kind: schedule_of_transformers(kind),
            1e-9,
            (kind,),
        )
        for kind in ("cosine", "linear")
    ),
    Row(
        ROOM,
        "weight decay that rises",
        "cosine_scheduler of DINO's utils.py, written out",
        lambda: [
            np.array([decay_at(OptimiserOptions(weight_decay=0.04, final_weight_decay=0.4), s, 50) for s in range(50)])
        ],
        lambda: [cosine_of_dino(0.04, 0.4)],
        1e-9,
    ),
    Row(
        ROOM,
        "the teacher's temperature, and its prototypes held still at first",
        "main_dino.py, written out",
        our_teacher_temperatures,
        lambda: [
            np.concatenate((np.linspace(0.04, 0.07, 31), np.full(69, 0.07))),
            (np.arange(100) >= 10).astype(float),
        ],
        1e-9,
    ),
    Row(
        ROOM, "learning rates by layer", "BEiT's LayerDecayValueAssigner, written out", layer_rates, rates_of_beit, 1e-9
    ),
    *(
        Row(
            ROOM,
            "three steps of Muon",
            "torch.optim.Muon, adjust_lr_fn=original",
            lambda rows=rows, columns=columns: weights_after("ours", rows, columns),
            lambda rows=rows, columns=columns: weights_after("theirs", rows, columns),
            1e-2,
            (f"{rows} x {columns}",),
        )
        for rows, columns in ((8, 8), (6, 4), (4, 6))
    ),
    Row(
        ROOM,
        "moving average of weights",
        "TensorFlow's ExponentialMovingAverage, written out",
        our_average,
        average_of_tensorflow,
        1e-6,
    ),
    Row(
        "masking",
        "words to be guessed: how many, and what stands in their place",
        "transformers DataCollatorForLanguageModeling",
        our_hiding,
        hiding_of_transformers,
        0.03,
    ),
    *(
        Row(
            "masking",
            "areas of random crops",
            "torchvision RandomResizedCrop, written out",
            lambda height=height, width=width: spread(our_areas(height, width)),
            lambda height=height, width=width: spread(areas_of_torchvision(height, width)),
            0.015,
            (f"{height} x {width}",),
        )
        for height, width in ((2000, 2000), (1000, 3000))
    ),
)
