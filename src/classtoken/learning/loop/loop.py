"""The training loop: one for heads, fine-tuning and encoders from scratch.

    for every step: batch -> loss -> gradients -> clip -> move the weights -> average
    now and then:   score the held-out part, write a checkpoint

Everything that a step draws is a function of (seed, step), so the step after a kill is bit-equal on the CPU. A batch
may be computed in parts, one after another or by several processes: the numbers are those of one piece.
"""

import contextlib
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from classtoken.errors import OptionError, TrainingError
from classtoken.learning.data.batches import Feed, TrainingBatch
from classtoken.learning.loop import resume
from classtoken.learning.loop.interrupt import interrupt_noted
from classtoken.learning.loop.log import TrainingLog
from classtoken.learning.loop.optimise import moving_average, optimisers, set_rates
from classtoken.learning.loop.processes import ALONE, Processes
from classtoken.learning.loop.seeds import FORWARD, own_randomness, seed_of
from classtoken.learning.objectives.base import Objective
from classtoken.learning.recipe import LoopOptions, OptimiserOptions
from classtoken.tensors import multiplies_bf16, say_no_bf16
from classtoken.values import Progress


@dataclass
class TrainingState:
    """Where a run stands; all of it is in the checkpoint."""

    step: int = 0
    best: float = -math.inf
    best_step: int = 0
    worse: int = 0
    """evaluations since the best one"""
    evaluations: list[dict[str, float]] = field(default_factory=list)
    best_values: dict[str, Tensor] | None = None
    seconds: float = 0.0
    loss: float | None = None
    """as the log follows it"""

    def at(self, ratio: float) -> "TrainingState":
        """The same place in the same epoch where an epoch has `ratio` times as many steps (another batch size)."""
        if ratio == 1.0:
            return self
        moved = [{**scores, "step": round(scores["step"] * ratio)} for scores in self.evaluations]
        step, best_step = round(self.step * ratio), round(self.best_step * ratio)
        return replace(self, step=step, best_step=best_step, evaluations=moved)


@dataclass(frozen=True)
class Outcome:
    """What a run leaves behind; the module itself now holds the chosen weights."""

    steps: int
    seconds: float
    best: float
    best_step: int
    evaluations: tuple[dict[str, float], ...]
    stopped_early: bool


class Loop:
    """One run over one objective; `run()` begins it or takes it up where a checkpoint left it.

    `report` is called after every step with how far the run is.
    """

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
        report: Callable[[Progress], None] | None = None,
        processes: Processes = ALONE,
    ):
        if options.batch < processes.count:
            raise OptionError(f"`batch` is {options.batch}: fewer records than the {processes.count} processes.")
        self.processes = processes
        self.objective, self.feed, self.held_out = objective.to(device), feed, held_out
        self.options, self.optimiser_options = options, optimiser
        self.folder, self.fingerprint, self.device, self.report = folder, fingerprint, torch.device(device), report
        self.optimisers = optimisers(objective, optimiser, depth)
        self.parameters = [p for p in objective.parameters() if p.requires_grad]
        self.average = moving_average(objective, options.ema) if options.ema else None
        self.steps = max(1, options.least_steps, round(options.epochs * feed.steps))
        self.state = TrainingState()
        self.keeps_best = options.keep == "best" and objective.chooses
        self.log = TrainingLog(folder, self.steps, feed.steps)

    def run(self, *, until: int | None = None) -> Outcome:
        """Train to the end (or to step `until`, leaving a checkpoint) and put the chosen weights into the objective.

        Ctrl-C ends it after the step under way, with a checkpoint: `KeyboardInterrupt`, which says how far it came.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._restore()
        state = self.state
        every = max(1, round(self.options.evaluate_every * self.feed.steps))
        last = self.steps if until is None else min(until, self.steps)
        before, spent, began = state.step, state.seconds, time.monotonic()
        saved, early = began, self._patience_is_over()
        with interrupt_noted() as interrupted:
            stopped = False
            while state.step < last and not early and not stopped:
                loss = self._step(state.step)
                state.step += 1
                state.seconds = spent + time.monotonic() - began
                if self.held_out is not None and (state.step % every == 0 or state.step == self.steps):
                    self._evaluate(self.held_out)
                    early = self._patience_is_over()
                self.log.step(state.step, loss, self._rate(), state.seconds)
                state.loss = self.log.loss
                self._report(before, state.seconds - spent)
                stopped = bool(self.processes.total(torch.tensor([float(interrupted())], device=self.device)) > 0)
                due = self.options.checkpoint_steps and state.step % self.options.checkpoint_steps == 0
                if due or time.monotonic() - saved >= self.options.checkpoint_seconds:
                    self._save()
                    saved = time.monotonic()
            self._save()
            if stopped:
                raise KeyboardInterrupt(
                    f"stopped at step {state.step} of {self.steps}; the same command goes on from there"
                )
        if until is None or early or last == self.steps:
            self._choose()
        return Outcome(
            state.step, state.seconds, state.best, state.best_step, tuple(state.evaluations), stopped_early=early
        )

    def _step(self, step: int) -> float:
        """One batch, one move of the weights; the loss, a mean over the batch."""
        self.objective.train()
        set_rates(self.optimisers, self.optimiser_options, step, self.steps)
        self.objective.begins(step / self.steps)
        batch = self.feed.at(step)
        with own_randomness(self.device, seed_of(self.options.seed, FORWARD, step)):
            total = self._gradients(batch, step)
        if not math.isfinite(total):
            raise TrainingError(self._not_finite(step, f"the loss became {total}"))
        norm = self._clip()
        if not (self.objective.may_diverge or math.isfinite(norm)):
            raise TrainingError(self._not_finite(step, f"the gradient's norm became {norm}"))
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.processes.average_buffers(self.objective)
        self.objective.stepped((step + 1) / self.steps)
        if self.average is not None:
            self.average.update_parameters(self.objective)
        return total

    def _gradients(self, batch: TrainingBatch, step: int) -> float:
        """Gradients of a batch's mean loss, which is returned, computed in as many parts as are wanted.

        A loss that is a mean over rows is that of its parts. Any other is computed from the outputs of the whole batch,
        whose gradients are then sent back part by part (Gao et al. 2021, GradCache): the same numbers as in one piece,
        for a second forward pass.
        """
        count, objective = min(self.options.accumulate * self.processes.count, len(batch)), self.objective
        edges = [len(batch) * k // count for k in range(count + 1)]
        if count > 1 and not objective.rowwise:
            return self._from_outputs(objective.draw(batch), step, edges)
        total = torch.zeros(1, device=self.device)
        for start, stop in self._mine(edges):
            part = batch.part(start, stop)
            with self._drawing(step, start, count), self._precision():
                loss = objective.loss(part) * (len(part) / len(batch))
            loss.backward()
            total += loss.detach()
        self.processes.sum_gradients(self.parameters)
        return float(self.processes.total(total))

    def _from_outputs(self, batch: TrainingBatch, step: int, edges: list[int]) -> float:
        """The gradients of a loss that is no mean over rows, from the outputs of all parts."""
        objective, mine, count = self.objective, self._mine(edges), len(edges) - 1

        def outputs(start: int, stop: int) -> tuple[Tensor, ...]:
            with self._drawing(step, start, count), self._precision():
                return objective.outputs(batch.part(start, stop))

        with torch.no_grad():
            parts = [outputs(*place) for place in mine]
        own = [torch.cat(pieces) for pieces in zip(*parts, strict=True)]
        every = [self.processes.gathered(output) for output in own]
        whole = [torch.cat(pieces).requires_grad_(pieces[0].is_floating_point()) for pieces in every]
        with self._precision():
            loss = objective.loss_of(tuple(whole), batch)
        loss.backward()
        if not self.processes.first:  # weights that the loss itself reads: all have the same gradient, one counts
            for parameter in self.parameters:
                parameter.grad = None
        before = [sum(len(piece) for piece in pieces[: self.processes.rank]) for pieces in every]
        wanted = [
            None if x.grad is None else x.grad[start : start + len(output)].split([len(part[i]) for part in parts])
            for i, (x, start, output) in enumerate(zip(whole, before, own, strict=True))
        ]
        for n, place in enumerate(mine):
            again = outputs(*place)
            sent = [(x, g[n]) for x, g in zip(again, wanted, strict=True) if g is not None and x.requires_grad]
            torch.autograd.backward([x for x, _ in sent], [gradient for _, gradient in sent])
        self.processes.sum_gradients(self.parameters)
        return float(loss.detach())

    def _mine(self, edges: list[int]) -> list[tuple[int, int]]:
        """First and last row of the parts that this process computes."""
        parts, rank, count = list(itertools.pairwise(edges)), self.processes.rank, self.processes.count
        return parts[len(parts) * rank // count : len(parts) * (rank + 1) // count]

    def _drawing(self, step: int, start: int, count: int) -> contextlib.AbstractContextManager[Any]:
        """What one part of a batch draws (dropout) depends on the step and its first row, not on who computes it."""
        seed = seed_of(self.options.seed, FORWARD, step, start)
        return own_randomness(self.device, seed) if count > 1 else contextlib.nullcontext()

    def _clip(self) -> float:
        """The gradient's norm, which is brought down to the largest that is allowed, if there is one."""
        if self.optimiser_options.clip:
            return float(nn.utils.clip_grad_norm_(self.parameters, self.optimiser_options.clip))
        norms = [p.grad.norm() for p in self.parameters if p.grad is not None]
        return float(torch.stack(norms).norm()) if norms else 0.0

    def _evaluate(self, held_out: Feed) -> None:
        """Score the held-out part with the weights that would be kept, and remember the best."""
        judged: Any = self.objective if self.average is None else self.average.module
        judged.eval()

        def score() -> dict[str, float]:
            with torch.no_grad(), self._precision():
                found: dict[str, float] = judged.score(held_out.in_order())
                return found

        scores = self.processes.agreed(score)
        state, value = self.state, self.objective.value(scores)
        state.evaluations.append({"step": state.step, **scores})
        if value is None:
            pass  # nothing chooses: the last weights are kept, and no patience ends
        elif value > state.best:
            state.best, state.best_step, state.worse = value, state.step, 0
            if self.keeps_best:
                state.best_values = {name: v.detach().clone() for name, v in judged.state_dict().items()}
        else:
            state.worse += 1
        self.log.evaluation(state.step, scores)

    def _patience_is_over(self) -> bool:
        return bool(self.options.patience) and self.objective.chooses and self.state.worse >= self.options.patience

    def _choose(self) -> None:
        """Put the weights that are kept into the objective: the best evaluation's, the average, or the last step's."""
        if self.keeps_best and self.state.best_values is not None:
            self.objective.load_state_dict(self.state.best_values)
        elif self.average is not None:
            self.objective.load_state_dict(self.average.module.state_dict())
        self.objective.eval()

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        asked = self.options.precision == "bf16"
        lower = asked and multiplies_bf16(self.device.type)
        if asked and not lower:
            say_no_bf16()
        return torch.autocast(self.device.type, torch.bfloat16, enabled=lower)

    def _rate(self) -> float:
        return max(float(group["lr"]) for optimiser in self.optimisers for group in optimiser.param_groups)

    def _report(self, before: int, seconds: float) -> None:
        if self.report is not None:
            metric, last = self.objective.metric, (self.state.evaluations or [{}])[-1]
            score = f", {metric.replace('_', ' ')} {last[metric]:.4f}" if metric in last else ""
            note = f"loss {self.log.loss:.4f}{score}"
            self.report(Progress(self.state.step, self.steps, before, seconds=seconds, what="training", note=note))

    def _not_finite(self, step: int, what: str) -> str:
        kept = self.folder / resume.NAME
        where = f"The last good checkpoint is '{kept}'" if kept.exists() else "No checkpoint had been written yet"
        return (
            f"{what} at step {step + 1} of {self.steps}, learning rate {self._rate():.3g}. {where}. "
            "Lower the learning rate, lengthen the warm-up, or set a clip, and give another folder."
        )

    def _save(self) -> None:
        # The last step may have moved them there, after a loss and gradients that were finite.
        if not (self.objective.may_diverge or all(bool(p.isfinite().all()) for p in self.parameters)):
            raise TrainingError(self._not_finite(self.state.step - 1, "weights became infinite"))
        if not self.processes.first:
            return
        resume.save(
            self.folder,
            {
                "fingerprint": self.fingerprint,
                "steps_per_epoch": self.feed.steps,
                "state": dict(vars(self.state)),
                "objective": self.objective.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
                "average": None if self.average is None else self.average.state_dict(),
            },
        )

    def _restore(self) -> None:
        kept = self.processes.agreed(lambda: resume.load(self.folder, self.fingerprint))
        if kept is None:
            self.log.rewind(0)
            return
        self.state = TrainingState(**kept["state"]).at(self.feed.steps / kept["steps_per_epoch"])
        if self.state.step > self.steps:
            raise OptionError(
                f"`epochs` = {self.options.epochs:g} are {self.steps} steps, and {self.state.step} are done here. Give "
                "more, or another folder."
            )
        self.objective.load_state_dict(kept["objective"])
        for optimiser, values in zip(self.optimisers, kept["optimisers"], strict=True):
            optimiser.load_state_dict(values)
        if self.average is not None:
            self.average.load_state_dict(kept["average"])
        self.log.rewind(self.state.step)
        self.log.loss = self.state.loss
