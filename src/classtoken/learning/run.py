"""What a training run is given besides its records; every way of training and the folder that it leaves read it."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from classtoken.embedder import Embedder, load
from classtoken.errors import ClasstokenError
from classtoken.files import whole_file
from classtoken.fingerprint import hash_value
from classtoken.learning.loop.processes import ALONE, Processes
from classtoken.learning.recipe import Recipe
from classtoken.learning.work import (
    FILE,
    GOING_ON,
    FinishedBefore,
    HeldFolder,
    RecordsRead,
    Work,
    essence_of,
    whole_model,
)
from classtoken.model_folder import BEFORE
from classtoken.values import Progress


@dataclass(frozen=True)
class TrainingRun:
    """A recipe, the folder to write, the device to compute on; the MODEL that it begins with, and which side of it.

    `half` writes the encoder as 16-bit numbers; `report` is called with how far the run is.
    """

    recipe: Recipe
    out: Path
    device: str = "cpu"
    half: bool = False
    report: Callable[[Progress], None] | None = None
    model: Embedder | None = None
    modality: str = ""
    own_pooling: bool = False
    """whether no pooling was named, so that the MODEL's own is meant, with what it has learned"""
    read: RecordsRead = field(default_factory=RecordsRead)
    held: HeldFolder = field(default_factory=HeldFolder)
    """what keeps other processes out of the folder"""
    overwrite: bool = False
    source: str = ""
    """what the records are called"""
    called: Mapping[str, str] = field(default_factory=dict)
    """the columns that they were read from, by the part of a record"""
    notes: Callable[[], tuple[str, ...]] = tuple
    """what there is to be told of them, once they have been read"""
    shared_features: Path | None = None
    """a folder of frozen vectors that other runs use too"""
    processes: Processes = ALONE
    """those that compute the steps together"""
    work: Work | None = None
    """what the folder has been claimed for"""
    made: Path | None = None
    """a folder of files that had to be made before the training's own was claimed, and go into that one then"""

    @property
    def features(self) -> Path:
        """Where frozen vectors are kept."""
        return self.shared_features or self.out / "features"

    @property
    def embedder(self) -> Embedder:
        """The MODEL of a run that begins with one."""
        assert self.model is not None
        return self.model

    @property
    def way(self) -> str:
        """`scratch`, `finetune` or `frozen`."""
        return "scratch" if self.model is None else "finetune" if self.recipe.unfreeze else "frozen"

    def claim(self, model: Sequence[Any], preparation: Sequence[Any], teacher: str = "") -> "TrainingRun":
        """This run with its work, which the folder is of from now on: called when its records have been read and no
        weight has moved yet. `model` holds hashes of all that vectors are made of, `preparation` what makes tokens of
        records.

        Raises `ManifestMismatch` for a folder of other work, `OutputError` where another process trains in it, and
        `FinishedBefore` where it has been done already.
        """
        work = Work(
            records=self.read.contents,
            labels=self.read.labels,
            model=hash_value(model),
            teacher=teacher,
            preparation=hash_value(preparation),
            recipe=essence_of(self.recipe),
        )
        self.held.take(self.out)
        alone = self.processes.count == 1 and not self.overwrite
        if alone and (before := work.finished(self.out, self.half)) is not None and self._opens():
            shutil.rmtree(self.out / BEFORE, ignore_errors=True)  # which a kill may have left
            raise FinishedBefore(before)
        going_on = () if self.way == "frozen" else GOING_ON
        work.claim(self.out, overwrite=self.overwrite, may_differ=going_on)
        self.held.claimed = True
        if self.made is not None:
            for path in sorted(self.made.iterdir(), reverse=True):  # the vocabulary last, as it was learned
                with whole_file(self.out / path.name) as temporary:
                    shutil.copyfile(path, temporary)
        return replace(self, work=work)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A block in which no other process trains in the folder, once that is taken; one that is stopped before what
        it overwrites is another work's no more says what became of that."""
        try:
            with self.held:
                yield
        except KeyboardInterrupt as stopped:
            if stopped.args or self.held.claimed or not (self.overwrite and (self.out / FILE).exists()):
                raise
            where = whole_model(self.out)
            kept = "" if where is None else f" The model that was there is in '{where}'."
            raise KeyboardInterrupt(f"stopped before the first step.{kept} The same command begins anew") from None

    def _opens(self) -> bool:
        """Whether the model in the folder can be opened: its files may have been damaged or half copied."""
        try:
            load(self.out)
        except ClasstokenError:
            return False
        return True

    @property
    def identity(self) -> str:
        """What a checkpoint of this run is known by."""
        assert self.work is not None
        return self.work.hash()
