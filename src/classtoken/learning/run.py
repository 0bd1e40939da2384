"""What a training run is given besides its records; every way of training and the folder that it leaves read it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from classtoken.embedder import Embedder
from classtoken.learning.recipe import Recipe
from classtoken.values import Progress


@dataclass(frozen=True)
class TrainingRun:
    """A recipe, the folder to write, the device to compute on; the MODEL that it begins with, and which side of it.

    `half` writes weights as 16-bit numbers; `report` is called with how far the run is.
    """

    recipe: Recipe
    out: Path
    device: str = "cpu"
    half: bool = False
    report: Callable[[Progress], None] | None = None
    model: Embedder | None = None
    modality: str = ""

    @property
    def embedder(self) -> Embedder:
        """The MODEL of a run that begins with one."""
        assert self.model is not None
        return self.model

    @property
    def way(self) -> str:
        """`scratch`, `finetune` or `frozen`."""
        return "scratch" if self.model is None else "finetune" if self.recipe.unfreeze else "frozen"
