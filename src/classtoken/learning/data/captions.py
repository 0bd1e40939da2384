"""Pictures with their texts."""

from dataclasses import dataclass

from torch import Generator, Tensor

from classtoken.learning.data.batches import TrainingBatch
from classtoken.learning.data.pictures import Pictures
from classtoken.learning.data.texts import Texts


@dataclass(frozen=True)
class Captions:
    """Row k of both belongs together; the views of a batch are (image, text)."""

    pictures: Pictures
    texts: Texts

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def targets(self) -> Tensor | None:
        """None: partners are learned from, not labels."""
        return None

    def train(self, rows: Tensor, generator: Generator) -> TrainingBatch:
        """These rows, augmented."""
        image = self.pictures.train(rows, generator)
        return TrainingBatch((*image.views, *self.texts.train(rows, generator).views), None, rows)

    def plain(self, rows: Tensor) -> TrainingBatch:
        """These rows as they are."""
        return TrainingBatch((*self.pictures.plain(rows).views, *self.texts.plain(rows).views), None, rows)
