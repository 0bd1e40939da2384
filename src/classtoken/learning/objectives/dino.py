"""DINO: learning without labels, from a teacher that is the average of oneself (Caron et al. 2021)."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from classtoken.learning.data.augment import flip, recoloured, resized_crop
from classtoken.learning.data.batches import TrainingBatch
from classtoken.learning.data.pictures import Pictures
from classtoken.learning.model import Network
from classtoken.learning.objectives.base import Objective
from classtoken.tokens.roles import at_grid


def dino_loss(
    student: list[Tensor], teacher: list[Tensor], centre: Tensor, student_t: float, teacher_t: float
) -> Tensor:
    """Mean of H(softmax((t - c) / tau_t), softmax(s / tau_s)) over pairs of different crops (DINO, equation 3).

    `student[i]` and `teacher[j]` (B, K) are the scores of crop i and j; the first crops of the student are those of the
    teacher.
    """
    total, pairs = torch.zeros((), device=centre.device), 0
    for j, taught in enumerate(teacher):
        wanted = ((taught.float() - centre) / teacher_t).softmax(-1).detach()
        for i, scores in enumerate(student):
            if i != j:
                total = total - (wanted * (scores.float() / student_t).log_softmax(-1)).sum(-1).mean()
                pairs += 1
    return total / pairs


class ProjectionHead(nn.Module):
    """Two hidden layers with GELU, a bottleneck at unit length, and prototypes of unit length (DINO, appendix C)."""

    def __init__(self, size: int, prototypes: int, *, hidden: int = 256, bottleneck: int = 64, seed: int = 0):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, bottleneck)
        )
        self.prototypes = nn.Parameter(torch.empty(prototypes, bottleneck))
        generator = torch.Generator().manual_seed(seed)
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
                nn.init.zeros_(layer.bias)
        nn.init.normal_(self.prototypes, generator=generator)

    def forward(self, vectors_BD: Tensor) -> Tensor:
        return F.normalize(self.layers(vectors_BD), dim=-1) @ F.normalize(self.prototypes, dim=-1).T


@dataclass(frozen=True)
class DinoSchedule:
    """What changes over a run, in parts of it: the teacher's temperature from `first_temperature` (None: it stays)
    linearly over `rises`; the prototypes stay as they began for `frozen_prototypes` (DINO: 30 epochs, and one)."""

    first_temperature: float | None = None
    rises: float = 0.3
    frozen_prototypes: float = 0.0


class Dino(Objective):
    """Student and teacher have one shape; the student sees all crops, the teacher the two large ones.

    The teacher is an average of the student, its momentum rising by a cosine to 1; its outputs are centred, so that no
    prototype takes all, and sharpened, so that they do not become uniform.
    """

    centre: Tensor

    def __init__(
        self,
        model: Network,
        size: int,
        *,
        prototypes: int = 256,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        momentum: float = 0.996,
        centre_momentum: float = 0.9,
        seed: int = 0,
        labelled: bool = True,
        schedule: DinoSchedule | None = None,
    ):
        super().__init__()
        self.model, self.chooses = model, labelled
        self.metrics, self.schedule = ("neighbours",) if labelled else ("used",), schedule or DinoSchedule()
        self.projection = ProjectionHead(size, prototypes, seed=seed)
        self.teacher, self.teacher_projection = copy.deepcopy(model), copy.deepcopy(self.projection)
        for parameter in (*self.teacher.parameters(), *self.teacher_projection.parameters()):
            parameter.requires_grad_(False)
        self.register_buffer("centre", torch.zeros(prototypes))
        self.student_temperature, self.teacher_temperature = student_temperature, teacher_temperature
        self.momentum, self.centre_momentum, self.temperature_now = momentum, centre_momentum, teacher_temperature

    def begins(self, done: float) -> None:
        """Sets the teacher's temperature, and whether the prototypes learn yet."""
        last, first, rises = self.teacher_temperature, self.schedule.first_temperature, self.schedule.rises
        share = 1.0 if done >= rises else done / rises
        self.temperature_now = last if first is None else first + (last - first) * share
        self.projection.prototypes.requires_grad_(done >= self.schedule.frozen_prototypes)

    def outputs(self, batch: TrainingBatch) -> tuple[Tensor, ...]:
        """Scores of the student for all crops (B, crops, K), and of the teacher for the two large ones."""
        student = torch.stack([self.projection(self.model.vectors(view)) for view in batch.views], 1)
        with torch.no_grad():
            self.teacher.eval()
            teacher = [self.teacher_projection(self.teacher.vectors(view)) for view in batch.views[:2]]
        return student, torch.stack(teacher, 1)

    def loss_of(self, outputs: tuple[Tensor, ...], batch: TrainingBatch) -> Tensor:
        """Mean over pairs of crops; moves the centre towards the batch's mean (equation 4), once a step."""
        student, teacher = (list(scores.unbind(1)) for scores in outputs)
        found = dino_loss(student, teacher, self.centre, self.student_temperature, self.temperature_now)
        with torch.no_grad():
            mean = torch.cat(teacher).float().mean(0)
            self.centre.mul_(self.centre_momentum).add_(mean, alpha=1 - self.centre_momentum)
        return found

    @torch.no_grad()
    def stepped(self, done: float) -> None:
        """teacher <- m teacher + (1 - m) student, with m from `momentum` to 1 by a cosine."""
        m = 1 - (1 - self.momentum) * (1 + math.cos(math.pi * done)) / 2
        for mine, theirs in ((self.model, self.teacher), (self.projection, self.teacher_projection)):
            own = mine.state_dict()
            for name, value in theirs.state_dict().items():
                if value.is_floating_point():
                    value.lerp_(own[name], 1 - m)
                else:
                    value.copy_(own[name])

    def score(self, held_out: Iterator[TrainingBatch]) -> dict[str, float]:
        """`used`: the entropy of the teacher's mean output over its largest value, 1 where all prototypes are used (as
        they are before anything is learned: it warns of a collapse and chooses nothing); with labels `neighbours`, the
        leave-one-out 1-nearest-neighbour accuracy of the teacher's vectors (cosine), which one record alone has none
        of."""
        batches = list(held_out)
        vectors = torch.cat([F.normalize(self.teacher.vectors(b.views[0]).float(), dim=-1) for b in batches])
        found: dict[str, float] = {}
        outputs = torch.cat([self.teacher_projection(self.teacher.vectors(b.views[0])).float() for b in batches])
        used = ((outputs - self.centre) / self.teacher_temperature).softmax(-1).mean(0)
        found["used"] = float(-(used * used.clamp(min=1e-12).log()).sum() / math.log(len(used)))
        if batches[0].targets is None or len(vectors) < 2:
            return found
        targets = torch.cat([b.targets for b in batches if b.targets is not None])
        alike = (vectors @ vectors.T).fill_diagonal_(-2.0).argmax(-1)
        same = (targets == targets[alike]) if targets.dim() == 1 else (targets == targets[alike]).all(-1)
        return {**found, "neighbours": float(same.float().mean())}


@dataclass(frozen=True)
class MultiCrop:
    """Pictures as DINO sees them: two large crops at full size, some small ones at `local` pixels."""

    pictures: Pictures
    crops: int
    local: tuple[int, int]
    patch: int
    large: tuple[float, float] = (0.4, 1.0)
    small: tuple[float, float] = (0.1, 0.4)

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def targets(self) -> Tensor | None:
        """Those of the pictures."""
        return self.pictures.targets

    def train(self, rows: Tensor, generator: Generator) -> TrainingBatch:
        """These rows, cropped, flipped and coloured differently for every view."""
        options = self.pictures.options
        whole = self.pictures.pixels[rows.to(self.pictures.pixels.device)]
        full = self.pictures.size or (whole.shape[2], whole.shape[3])
        sizes = [(self.large, full)] * 2 + [(self.small, self.local)] * self.crops
        views = []
        for area, size in sizes:
            crop = flip(resized_crop(whole, area, size, generator), generator)
            light = (0.7 + 0.6 * torch.rand(len(crop), 3, generator=generator)).to(crop.device)
            crop = (crop.float() * light[:, :, None, None]).clamp(0, 255).to(whole.dtype)
            if options.colour or options.grey:
                crop = recoloured(crop, options.colour, options.grey, generator)
            layout = at_grid(self.pictures.layout, (size[0] // self.patch, size[1] // self.patch))
            views.append(self.pictures.tokens(self.pictures.numbers(crop), layout))
        return TrainingBatch(tuple(views), None, rows)

    def plain(self, rows: Tensor) -> TrainingBatch:
        """These rows as they are, with their labels where there are some."""
        return self.pictures.plain(rows)
