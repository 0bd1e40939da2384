"""What the model answers, as numbers that the page can show: confidences, or cosines to other inputs."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from classtoken.embedder import Embedder
from classtoken.probe.from_embedder import subject_of
from classtoken.probe.subject import Subject
from classtoken.tensors import Tokens

Outcome = Literal["probability", "sigmoid", "cosine"]


@dataclass(frozen=True)
class Answering:
    """A subject's outcomes (B, C) as answers (B, A): softmax or sigmoid of logits / temperature, or cosines.

    labels: names of the answers. references_RD: unit vectors of the inputs that a vector is compared with.
    """

    subject: Subject
    kind: Outcome
    labels: tuple[str, ...]
    temperature: float = 1.0
    references_RD: Tensor | None = None

    def logits(self, outcome_BC: Tensor) -> Tensor | None:
        """Logits / temperature (B, C); None for a model that only gives vectors."""
        return None if self.kind == "cosine" else outcome_BC.float() / self.temperature

    def values(self, outcome_BC: Tensor) -> Tensor:
        """Answers (..., A) of outcomes (..., C)."""
        logits = self.logits(outcome_BC)
        if logits is None:
            assert self.references_RD is not None
            return nn.functional.normalize(outcome_BC.float(), dim=-1) @ self.references_RD.mT
        return logits.softmax(-1) if self.kind == "probability" else logits.sigmoid()

    def __call__(self, tokens: Tokens) -> Tensor:
        """Answers of a batch, undisturbed."""
        with torch.no_grad():
            return self.values(self.subject(tokens))


def answering_of(embedder: Embedder, references: list[tuple[str, Tokens]]) -> Answering:
    """The classifier's answers; for a model without one, the cosine to `references` (name, one prepared input)."""
    subject = subject_of(embedder)
    classifier = embedder.tower(embedder.modalities[0]).reading.classifier
    if classifier is not None:
        kind: Outcome = "sigmoid" if classifier.multilabel else "probability"
        return Answering(subject, kind, classifier.labels, float(classifier.temperature))
    with torch.no_grad():
        vectors = [nn.functional.normalize(subject(tokens).float(), dim=-1)[0] for _, tokens in references]
    return Answering(subject, "cosine", tuple(name for name, _ in references), references_RD=torch.stack(vectors))
