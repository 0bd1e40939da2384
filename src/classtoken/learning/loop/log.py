"""`log.csv` of a training: a row per tenth of an epoch with the loss, and a row per score of every evaluation."""

import csv
import io
import re
from pathlib import Path

from classtoken.files import whole_file

FIELDS = ("step", "epoch", "loss", "learning_rate", "metric", "value", "seconds")


class TrainingLog:
    """Rows on disk, and the loss as an average that follows it slowly (0.98 of the last value, 0.02 of the new).

    Epochs have three digits: they say where a row belongs after the batch size has changed.
    """

    def __init__(self, folder: Path, steps: int, per_epoch: int):
        self.path, self.steps, self.per_epoch = folder / "log.csv", steps, per_epoch
        self.every = max(1, per_epoch // 10)
        self.loss: float | None = None

    def rewind(self, step: int) -> None:
        """Drop rows after a step: they belong to work that a kill has undone."""
        rows = [row for row in self._whole_rows() if step and float(row["epoch"]) <= step / self.per_epoch + 0.0005]
        with whole_file(self.path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, FIELDS)
            writer.writeheader()
            writer.writerows(rows)

    def _whole_rows(self) -> list[dict[str, str]]:
        """The rows on disk, but for one that a full disk or a copy has cut off."""
        if not self.path.exists():
            return []
        text = self.path.read_bytes().decode("utf-8", "replace")
        return [
            row
            for row in csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
            if row.keys() == set(FIELDS) and re.fullmatch(r"\d+\.\d{3}", row["epoch"] or "")
        ]

    def step(self, step: int, loss: float, rate: float, seconds: float) -> None:
        """One step is done."""
        self.loss = loss if self.loss is None else 0.98 * self.loss + 0.02 * loss
        if step % self.every == 0 or step == self.steps:
            self._row(step=step, loss=f"{self.loss:.5f}", learning_rate=f"{rate:.4g}", seconds=f"{seconds:.1f}")

    def evaluation(self, step: int, scores: dict[str, float]) -> None:
        """The held-out part has been scored."""
        for name, value in scores.items():
            self._row(step=step, metric=name, value=f"{value:.6f}")

    def _row(self, step: int, **values: str) -> None:
        with self.path.open("a", newline="", encoding="utf-8") as file:
            epoch = f"{step / self.per_epoch:.3f}"
            csv.DictWriter(file, FIELDS, restval="").writerow({"step": step, "epoch": epoch, **values})
