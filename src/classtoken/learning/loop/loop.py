"""The training loop: one for heads, fine-tuning and encoders from scratch.

    for every step: batch -> loss -> gradients -> clip -> move the weights -> average
    now and then:   look at the held-out part, write a checkpoint

Everything that a step draws is a function of (seed, step), so the step after a kill is bit-equal on the CPU.
"""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from classtoken.errors import TrainingError
from classtoken.learning.data.batches import Feed
from classtoken.learning.loop import resume
from classtoken.learning.loop.log import Log
from classtoken.learning.loop.optimise import Average, optimisers, schedule, set_rates
from classtoken.learning.loop.seeds import FORWARD, seed_of
from classtoken.learning.loop.stopping import Stop
from classtoken.learning.objectives.base import Objective
from classtoken.learning.recipe import LoopOptions, OptimiserOptions


@dataclass
class Progress:
    """Where a run stands; all of it is in the checkpoint."""

    step: int = 0
    best: float = -math.inf
    best_step: int = 0
    worse: int = 0
    looks: list[dict[str, float]] = field(default_factory=list)
    best_values: dict[str, Tensor] | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What a run leaves behind; the module itself now holds the chosen weights."""

    steps: int
    seconds: float
    best: float
    best_step: int
    looks: tuple[dict[str, float], ...]
    stopped_early: bool


class Loop:
    """One run over one objective; `run()` begins it or takes it up where a checkpoint left it."""

    def __init__(
        self,
        objective: Objective,
        feed: Feed,
        held_out: Feed | None,
        options: LoopOptions,
        optimiser: OptimiserOptions,
        *,
        folder: Path,
        fingerprint: str,
        depth: int = 0,
        device: torch.device | str = "cpu",
        title: str = "train",
    ):
        self.objective, self.feed, self.held_out = objective.to(device), feed, held_out
        self.options, self.optimiser_options = options, optimiser
        self.folder, self.fingerprint, self.device = folder, fingerprint, torch.device(device)
        self.optimisers = optimisers(objective, optimiser, depth)
        self.parameters = [p for p in objective.parameters() if p.requires_grad]
        self.average = Average(objective, options.ema) if options.ema else None
        self.steps = max(1, round(options.epochs * feed.steps))
        self.progress = Progress()
        self.log = Log(folder, title, self.steps, feed.steps)

    def run(self, *, until: int | None = None) -> Outcome:
        """Train to the end (or to step `until`, leaving a checkpoint) and put the chosen weights into the objective.

        Ctrl-C ends it after the step under way, with a checkpoint.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._restore()
        every = max(1, round(self.options.evaluate_every * self.feed.steps))
        last = self.steps if until is None else min(until, self.steps)
        began, saved = time.monotonic() - self.progress.seconds, time.monotonic()
        early = self._patience_is_over()
        with self.log, Stop() as stop:
            while self.progress.step < last and not early:
                loss = self._step(self.progress.step)
                self.progress.step += 1
                self.progress.seconds = time.monotonic() - began
                if self.held_out is not None and (self.progress.step % every == 0 or self.progress.step == self.steps):
                    self._look()
                    early = self._patience_is_over()
                self.log.step(self.progress.step, loss, self._rate(), self.progress.seconds)
                steps_due = self.options.checkpoint_steps and self.progress.step % self.options.checkpoint_steps == 0
                if steps_due or time.monotonic() - saved >= self.options.checkpoint_seconds:
                    self._save()
                    saved = time.monotonic()
                if stop.asked:
                    break
            self._save()
        if stop.asked:
            self.log.stopped(self.progress.step)
            raise KeyboardInterrupt
        if until is None or early or last == self.steps:
            self._choose()
        p = self.progress
        return Outcome(p.step, p.seconds, p.best, p.best_step, tuple(p.looks), early)

    def _step(self, step: int) -> float:
        """One batch, one move of the weights; the loss, a mean over the batch."""
        torch.manual_seed(seed_of(self.options.seed, FORWARD, step))
        self.objective.train()
        set_rates(self.optimisers, schedule(self.optimiser_options, step, self.steps))
        batch = self.feed.at(step)
        size = math.ceil(len(batch) / self.options.accumulate)
        total = 0.0
        for start in range(0, len(batch), size):
            part = batch.part(start, min(start + size, len(batch)))
            with self._precision():
                loss = self.objective.loss(part) * (len(part) / len(batch))
            loss.backward()
            total += float(loss.detach())
        if not math.isfinite(total):
            raise TrainingError(self._not_finite(step, total))
        if self.optimiser_options.clip:
            nn.utils.clip_grad_norm_(self.parameters, self.optimiser_options.clip)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.objective.stepped((step + 1) / self.steps)
        if self.average is not None:
            self.average.update(self.objective)
        return total

    def _look(self) -> None:
        """Score the held-out part with the weights that would be kept, and remember the best."""
        assert self.held_out is not None
        self.objective.eval()
        with self._averaged(), torch.no_grad(), self._precision():
            scores = self.objective.score(self.held_out.looks())
            value = scores[self.objective.metric]
            p = self.progress
            p.looks.append({"step": p.step, **scores})
            if value > p.best:
                p.best, p.best_step, p.worse = value, p.step, 0
                if self.options.keep == "best":
                    p.best_values = {k: v.detach().clone() for k, v in self.objective.state_dict().items()}
            else:
                p.worse += 1
        self.log.look(p.step, scores, self.objective.metric)

    def _patience_is_over(self) -> bool:
        return bool(self.options.patience) and self.progress.worse >= self.options.patience

    def _choose(self) -> None:
        """Put the weights that are kept into the objective: the best look's, the average, or the last step's."""
        if self.options.keep == "best" and self.progress.best_values is not None:
            self.objective.load_state_dict(self.progress.best_values)
        elif self.average is not None:
            self.objective.load_state_dict(self.average.values)
        self.objective.eval()

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """The averaged weights for the time of a look."""
        if self.average is None:
            yield
            return
        own = {k: v.detach().clone() for k, v in self.objective.state_dict().items()}
        self.objective.load_state_dict(self.average.values)
        try:
            yield
        finally:
            self.objective.load_state_dict(own)

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.precision == "bf16")

    def _rate(self) -> float:
        return max(float(group["lr"]) for optimiser in self.optimisers for group in optimiser.param_groups)

    def _not_finite(self, step: int, loss: float) -> str:
        kept = self.folder / resume.NAME
        where = f"The last good checkpoint is '{kept}'" if kept.exists() else "No checkpoint had been written yet"
        return (
            f"the loss became {loss} at step {step + 1} of {self.steps}, learning rate {self._rate():.3g}. {where}. "
            "Lower the learning rate, lengthen the warm-up, or set a clip, and give another --out."
        )

    def _save(self) -> None:
        p = self.progress
        resume.save(
            self.folder,
            {
                "fingerprint": self.fingerprint,
                "progress": {name: getattr(p, name) for name in p.__dataclass_fields__},
                "objective": self.objective.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
                "average": None if self.average is None else self.average.state_dict(),
            },
        )

    def _restore(self) -> None:
        state = resume.load(self.folder, self.fingerprint)
        if state is None:
            self.log.rewind(0)
            return
        self.progress = Progress(**state["progress"])
        self.objective.load_state_dict(state["objective"])
        for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.log.rewind(self.progress.step)
