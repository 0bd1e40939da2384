"""What a run says while it goes: a line on stderr, and `log.csv` with a row per tenth of an epoch and per look."""

import csv
import sys
import time
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

FIELDS = ("step", "epoch", "loss", "learning_rate", "metric", "value", "seconds")
QUIET_SECONDS = 30.0


class Log:
    """Rows on disk and a line for people; where stderr is no terminal, a plain line every half minute."""

    def __init__(self, folder: Path, title: str, steps: int, per_epoch: int):
        self.path, self.title, self.steps, self.per_epoch = folder / "log.csv", title, steps, per_epoch
        self.every = max(1, per_epoch // 10)
        self.smooth: float | None = None
        self.said, self.score = 0.0, ""
        self.began: tuple[float, int] | None = None
        console = Console(stderr=True)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]} {task.fields[score]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task(title, total=steps, loss="-", score="")

    def __enter__(self) -> "Log":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def rewind(self, step: int) -> None:
        """Drop rows after a step: they belong to work that a kill has undone."""
        rows = []
        if step and self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        with self.path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, FIELDS)
            writer.writeheader()
            writer.writerows(rows)
        self.bar.update(self.task, completed=step)

    def step(self, step: int, loss: float, rate: float, seconds: float) -> None:
        """One step is done."""
        self.smooth = loss if self.smooth is None else 0.98 * self.smooth + 0.02 * loss
        if step % self.every == 0 or step == self.steps:
            self._row(step=step, loss=f"{self.smooth:.5f}", learning_rate=f"{rate:.4g}", seconds=f"{seconds:.1f}")
        self.bar.update(self.task, completed=step, loss=f"{self.smooth:.4f}", score=self.score)
        now = time.monotonic()
        self.began = self.began or (now, step)
        if self.bar.disable and (now - self.said > QUIET_SECONDS or step == self.steps):
            self.said = now
            pace = (now - self.began[0]) / max(1, step - self.began[1])
            left = f", {pace * (self.steps - step) / 60:.1f} min left" if step > self.began[1] else ""
            sys.stderr.write(f"{self.title}: step {step}/{self.steps}, loss {self.smooth:.4f} {self.score}{left}\n")
            sys.stderr.flush()

    def stopped(self, step: int) -> None:
        """Somebody has pressed Ctrl-C."""
        sys.stderr.write(f"{self.title}: stopped at step {step} of {self.steps}; the same command goes on from there\n")

    def look(self, step: int, scores: dict[str, float], metric: str) -> None:
        """The held-out part has been looked at."""
        self.score = f"{metric} {scores[metric]:.4f}"
        for name, value in scores.items():
            self._row(step=step, metric=name, value=f"{value:.6f}")

    def _row(self, step: int, **values: str) -> None:
        with self.path.open("a", newline="", encoding="utf-8") as file:
            epoch = f"{step / self.per_epoch:.3f}"
            csv.DictWriter(file, FIELDS, restval="").writerow({"step": step, "epoch": epoch, **values})
