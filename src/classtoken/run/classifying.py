"""A classifier at work in a run: the probabilities of every record's labels, written as vectors are."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from classtoken.embedder import Embedder
from classtoken.embedder.identity import module_hash
from classtoken.fingerprint import Fingerprint, hash_value
from classtoken.run.embedding import EmbedStage
from classtoken.run.stage import StageBatch

#: The name of the column: a number for each of the model's labels, in their order.
PROBABILITIES = "probabilities"
#: How typical a record is of the labels, one number; of models that know it.
TYPICAL = "typical"


class ClassifyStage(EmbedStage):
    """An embedder's classifier at work on one modality. Raises `ContractError` where that side has none."""

    def __init__(self, embedder: Embedder, modality: str, *, prompt: str | None = None):
        super().__init__(embedder, modality, prompt=prompt)
        classifier = embedder.classifying(modality).reading.classifier
        assert classifier is not None
        self.classifier = classifier

    @property
    def columns(self) -> Mapping[str, int]:
        """A probability for each label, and how typical a record is of them where the model knows."""
        own = {PROBABILITIES: len(self.classifier.labels)}
        return own if self.classifier.typical is None else own | {TYPICAL: 1}

    def vectors(self, batch: StageBatch) -> Mapping[str, np.ndarray]:
        """Calibrated probabilities of one batch, (rows, labels) float32, and how typical its rows are, (rows, 1)."""
        how = {"modality": self.modality, "prompt": self.prompt}
        probabilities, typical = self.embedder.answers_of(batch.tokens, **how)
        return {PROBABILITIES: probabilities} | ({} if typical is None else {TYPICAL: typical[:, None]})

    def fingerprint(self) -> Fingerprint:
        """What decides the probabilities: the encoder, the readout and the classifier's own weights."""
        own = super().fingerprint()
        head = [self.classifier.labels, self.classifier.temperature, self.classifier.multilabel]
        weights = hash_value([own.weights, head, module_hash(self.classifier)])
        return replace(own, weights=weights, poolings=(str(self.classifier.readout.spec),), spaces={})
