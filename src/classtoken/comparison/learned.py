"""Learned poolings, all trained by one protocol, and what each of them must beat: a head of as many parameters."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from classtoken.comparison.classification import Classification
from classtoken.comparison.labelled import Labelled
from classtoken.comparison.multilabel import MultiLabel
from classtoken.comparison.probes import score
from classtoken.comparison.task import Judged, JudgedTask, Rows
from classtoken.errors import OptionError
from classtoken.head import make_head
from classtoken.learning.model import label_shares, new_readout, width_of
from classtoken.learning.objectives.supervised import classification_loss
from classtoken.learning.ways.heads import OnStates
from classtoken.learning.ways.logistic import FitTask
from classtoken.pooling.spec import Spec
from classtoken.tensors import States
from classtoken.values import Role

STEPS, BATCH, DECAY = 100, 64, 0.01
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
Train = Callable[[str], object]


@dataclass(frozen=True)
class TokenSet:
    """The states (R, L, D) and roles (R, L) of every token of all records, and what a pooling must know of them."""

    states: NDArray[np.float32]
    roles: NDArray[np.int8]
    over: frozenset[Role]
    grid: tuple[int, int] | None
    encoder: object

    def some(self, rows: Rows) -> "TokenSet":
        """Some of the records."""
        return TokenSet(self.states[rows], self.roles[rows], self.over, self.grid, self.encoder)

    def standardised(self, rows: Rows) -> "TokenSet":
        """Every number of a token's state with mean 0 and deviation 1 over these records, padding left out."""
        tokens = self.states[rows][self.roles[rows] != Role.PAD].astype(np.float64)
        mean, deviation = tokens.mean(0).astype(np.float32), np.maximum(tokens.std(0), 1e-6).astype(np.float32)
        return replace(self, states=(self.states - mean) / deviation)

    def pooled(self, spec: Spec) -> "TokenSet":
        """One token a record: what a pooling without weights makes of its tokens. Quicker to learn a head on."""
        readout = new_readout(spec, self.encoder, self.over, positions=None, grid=self.grid, seed=0)
        rows = range(0, len(self.states), 256)
        with torch.no_grad():
            parts = [readout(states_of(self, np.arange(r, min(r + 256, len(self.states))))).numpy() for r in rows]
        vectors = np.concatenate(parts)[:, None].astype(np.float32)
        roles = np.full(vectors.shape[:2], Role.CONTENT, np.int8)
        return TokenSet(vectors, roles, frozenset({Role.CONTENT}), None, self.encoder)

    @property
    def positions(self) -> int:
        """The largest number of tokens of a record that are pooled."""
        return int(np.isin(self.roles, [int(role) for role in self.over]).sum(1).max())


@dataclass(frozen=True)
class Learner:
    """What is trained: a pooling, and the hidden numbers of its head (0: a linear one)."""

    spec: Spec
    hidden: int = 0

    def made(self, tokens: TokenSet, task: Labelled, seed: int) -> OnStates:
        """With first weights of a seed."""
        size = tokens.states.shape[-1]
        readout = new_readout(
            self.spec, tokens.encoder, tokens.over, positions=tokens.positions, grid=tokens.grid, seed=seed
        )
        width = width_of(readout, size)
        head = make_head("mlp" if self.hidden else "linear", width, outputs_of(task), hidden=self.hidden, seed=seed)
        return OnStates(readout, head)

    def parameters(self, tokens: TokenSet, task: Labelled) -> int:
        """How many numbers are learned, the head's among them."""
        return sum(p.numel() for p in self.made(tokens, task, 0).parameters() if p.requires_grad)

    def width(self, tokens: TokenSet) -> int:
        """Length of the pooled vector."""
        readout = new_readout(
            self.spec, tokens.encoder, tokens.over, positions=tokens.positions, grid=tokens.grid, seed=0
        )
        return width_of(readout, tokens.states.shape[-1])


def states_of(tokens: TokenSet, rows: Rows) -> States:
    """The states of some records as a batch, without columns that hold padding only."""
    roles = torch.from_numpy(tokens.roles[rows]).long()
    longest = int((roles != Role.PAD).sum(1).max()) if tokens.grid is None else roles.shape[1]
    states = torch.from_numpy(tokens.states[rows])
    return States(states[:, :longest], roles[:, :longest], tokens.grid)


def outputs_of(task: Labelled) -> int:
    """Classes, or labels that count."""
    return len(task.counted) if isinstance(task, MultiLabel) else len(task.labels)


def equal_control(learner: Learner, mean: Spec, tokens: TokenSet, task: Labelled) -> Learner:
    """A hidden layer on the mean, with as many parameters as a learned pooling and its linear head."""
    wanted, size, outputs = learner.parameters(tokens, task), tokens.states.shape[-1], outputs_of(task)
    return Learner(mean, max(1, round((wanted - outputs) / (size + 1 + outputs))))


def check_learnable(task: JudgedTask, specs: Sequence[Spec]) -> Labelled:
    """The task, which must have labels to learn from. Raises `OptionError`."""
    if not isinstance(task, Classification | MultiLabel):
        raise OptionError(
            f"'{specs[0]}' is a learned pooling, and nothing is learned for {task.name}; leave it out, or compare by "
            "classification."
        )
    for spec in specs:
        if any(term.layer is not None for term in spec.terms):
            raise OptionError(f"'{spec}': learned poolings are trained on the last states; leave its layer out.")
    return task


def learned_in_words(seeds: int) -> str:
    """The protocol of what is trained."""
    return (
        f"AdamW, {STEPS} steps of {BATCH}, cosine, decay {DECAY:g}, states standardised by the learned part; biases of "
        "several labels start at their log-odds; the rate "
        f"({', '.join(f'{rate:g}' for rate in RATES)}) chosen on a held-out fifth of the learned part, then "
        f"trained on all of it with {seeds} seed{'s' * (seeds != 1)}; items count by their mean over seeds"
    )


def judge_learned(learner: Learner, tokens: TokenSet, task: Labelled, *, tell: Train) -> Judged:
    """Train on every part of the split, judge what it leaves out."""
    seeds, fitting = task.choices.seeds, FitTask(task.several, False, task.choices.seed, outputs_of(task))
    targets = task.targets[:, task.counted] if isinstance(task, MultiLabel) else task.targets
    logits: list[list[NDArray]] = [[] for _ in range(seeds)]
    chosen, inner = [], []
    for part, (learned, judged) in enumerate(task.split.parts):
        tell(f"part {part + 1} of {len(task.split.parts)}")
        run = Trainings(learner, tokens.standardised(learned), task, targets)
        fit, held = fitting.folds(targets[learned], task.groups(learned))[0]
        rate, best = run.best_rate(learned[fit], learned[held])
        chosen.append(rate)
        inner.append(best)
        for seed in range(seeds):
            logits[seed].append(run.logits(run.trained(learned, rate, task.choices.seed + seed), judged))
    return _of_seeds(task, [np.concatenate(parts) for parts in logits], inner, chosen)


class Trainings:
    """One part of the split: training with a rate, and logits."""

    def __init__(self, learner: Learner, tokens: TokenSet, task: Labelled, targets: NDArray):
        self.learner, self.tokens, self.task = learner, tokens, task
        self.targets = torch.from_numpy(targets)

    def best_rate(self, fit: Rows, held: Rows) -> tuple[float, float]:
        """The learning rate that is best on held-out rows, and its score."""
        scores = []
        for rate in RATES:
            found = self.logits(self.trained(fit, rate, self.task.choices.seed), held)
            scores.append(score(found, self.targets[held].numpy()))
        best = int(np.argmax(scores))
        return RATES[best], scores[best]

    def trained(self, rows: Rows, rate: float, seed: int) -> nn.Module:
        """A fresh pooling and head after `STEPS` steps."""
        model = self.learner.made(self.tokens, self.task, seed)
        if self.task.several:
            model.head.expect(label_shares(self.targets[rows].float()))
        optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=DECAY)
        order = np.random.default_rng([seed, 17])
        queue: list[int] = []
        for step in range(STEPS):
            while len(queue) < min(BATCH, len(rows)):
                queue += order.permutation(rows).tolist()
            some, queue = np.array(queue[:BATCH]), queue[BATCH:]
            for group in optimiser.param_groups:
                group["lr"] = rate * (1 + math.cos(math.pi * step / STEPS)) / 2
            targets = self.targets[some]
            loss = classification_loss(
                model(states_of(self.tokens, some)),
                targets.float() if self.task.several else targets,
                "multi" if self.task.several else "single",
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return model

    def logits(self, model: nn.Module, rows: Rows) -> NDArray:
        """(n, C); numbers that are not finite (a rate that was too large) count as 0."""
        with torch.no_grad():
            found = [model(states_of(self.tokens, rows[begin : begin + 256])) for begin in range(0, len(rows), 256)]
        return torch.cat(found).nan_to_num(0, 0, 0).double().numpy()


def _of_seeds(task: Labelled, logits: Sequence[NDArray], inner: list[float], rates: list[float]) -> Judged:
    """Items count by their mean over seeds; the spread of the metric over seeds is beside it."""
    each = []
    for one in logits:
        if isinstance(task, MultiLabel):
            each.append(task.of_scores(one)[0])
        else:
            assert isinstance(task, Classification)
            given = one.argmax(1)
            right = (given == task.truth).astype(np.float64)
            each.append({"accuracy": right, "macro_f1": task.f1_items(given)})
    values = {name: np.mean([found[name] for found in each], axis=0) for name in each[0]}
    spread = {}
    if len(each) > 1:
        spread = {name: (float(np.std([f[name].mean() for f in each], ddof=1)), len(each)) for name in values}
    predicted = None if task.several else np.mean([_shares(one) for one in logits], axis=0).argmax(1)
    rate = "rate " + ", ".join(f"{r:g}" for r in sorted(set(rates)))
    return Judged(values, spread, tuple(inner), predicted, {}, rate)


def _shares(logits: NDArray) -> NDArray:
    """Each row's votes: 1 for its class."""
    return np.eye(logits.shape[1])[logits.argmax(1)]
