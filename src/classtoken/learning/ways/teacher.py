"""Teachers: any MODEL that classtoken loads, as a function from a batch to scores of our labels."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from classtoken.embedder import Embedder, load
from classtoken.errors import ContractError, OptionError
from classtoken.fingerprint import hash_value
from classtoken.head import probabilities
from classtoken.learning.data.batches import TrainingBatch
from classtoken.learning.objectives.supervised import Task
from classtoken.run.classifying import ClassifyStage
from classtoken.tensors import Tokens
from classtoken.tokens.image import ImagePreprocessor
from classtoken.tokens.roles import image_roles


def order_of(embedder: Embedder, labels: Sequence[str]) -> list[int] | None:
    """Where each of our labels stands among the teacher's; None where it has no classifier for all of them."""
    try:
        known = {name: i for i, name in enumerate(embedder.labels)}
    except ContractError:
        return None
    return [known[name] for name in labels] if set(labels) <= known.keys() else None


def text_probabilities(
    models: Sequence[str], texts: Sequence[str], rows: Tensor, targets: Tensor, labels: Sequence[str], device: str
) -> Tensor:
    """The teachers' probabilities (N, C) for every text; of several teachers their mean.

    A teacher without a classifier for these labels gets a logistic regression on its frozen vectors of the labelled
    `rows` (C = 1, scikit-learn). Raises `OptionError` where it would need one for several labels a row.
    """
    found = [_text_probabilities(model, texts, rows, targets, labels, device) for model in models]
    return torch.stack(found).mean(0)


def _text_probabilities(
    model: str, texts: Sequence[str], rows: Tensor, targets: Tensor, labels: Sequence[str], device: str
) -> Tensor:
    embedder = load(model, device=device)
    order = order_of(embedder, labels)
    if order is not None:
        logits = torch.from_numpy(embedder.logits(list(texts)))[:, order]
        return probabilities(logits, multilabel=targets.dim() == 2).float()
    if targets.dim() == 2:
        raise _without_classifier(model, "text", labels)
    vectors = embedder.embed(list(texts))
    assert isinstance(vectors, np.ndarray)
    fitted = LogisticRegression(max_iter=1000).fit(vectors[rows.numpy()], targets[rows].numpy())
    return torch.from_numpy(fitted.predict_proba(vectors)).float()


def _without_classifier(model: str, modality: str, labels: Sequence[str]) -> OptionError:
    return OptionError(
        f"the teacher '{model}' has no {modality} classifier for the labels {', '.join(labels[:6])}; train one first, "
        "on its frozen vectors."
    )


class ImageTeacher:
    """Logits of an image classifier for the very pictures that the student sees, brought to the teacher's size."""

    def __init__(self, model: str, labels: Sequence[str], mean: Sequence[float], std: Sequence[float], device: str):
        self.embedder = load(model, device=device)
        order = order_of(self.embedder, labels)
        prepare = self.embedder.tower("image").prepare
        if order is None or not isinstance(prepare, ImagePreprocessor):
            raise _without_classifier(model, "image", labels)
        self.order, self.prepare, self.own = torch.tensor(order, device=device), prepare, (mean, std)

    @property
    def identity(self) -> str:
        """A hash of what its answers are made of."""
        return ClassifyStage(self.embedder, "image").fingerprint().hash()

    def __deepcopy__(self, memo: dict) -> "ImageTeacher":
        """Itself: it does not learn, so that an average of the student needs no second one."""
        return self

    @torch.no_grad()
    def __call__(self, batch: TrainingBatch) -> Tensor:
        """The teacher's logits for a batch, in the order of our labels."""
        pixels = batch.views[0].pixels
        assert pixels is not None
        recipe, device = self.prepare.recipe, pixels.device
        mean, std = (torch.tensor(v, device=device).view(1, -1, 1, 1) for v in self.own)
        x = F.interpolate(pixels * std + mean, size=recipe.output, mode="bicubic", antialias=True).clamp(0, 1)
        if recipe.mean is not None and recipe.std is not None:
            mean, std = (torch.tensor(v, device=device).view(1, -1, 1, 1) for v in (recipe.mean, recipe.std))
            x = (x - mean) / std
        tower = self.embedder.tower("image")
        classifier = tower.reading.classifier
        assert classifier is not None
        encoder, readout = tower.reading.encoder, classifier.readout
        grid = self.prepare.grid_of((x.shape[2], x.shape[3]))
        tokens = Tokens(image_roles(encoder.layout, len(x), grid).to(device), pixels=x, grid=grid)
        states = encoder(tokens, layers=readout.layers, rows=readout.rows)
        return classifier(states)[:, self.order]


class ImageTeachers:
    """Several image classifiers as one: their probabilities p are averaged (Hinton et al. 2015), and given as scores,
    log p of one class among several, log p / (1 - p) where a picture may have several labels."""

    def __init__(self, members: Sequence[ImageTeacher], task: Task):
        self.members, self.task = tuple(members), task

    @property
    def identity(self) -> str:
        """A hash of what all their answers are made of; a single one's is its own."""
        known = [member.identity for member in self.members]
        return known[0] if len(known) == 1 else hash_value(known)

    def __deepcopy__(self, memo: dict) -> "ImageTeachers":
        """Itself, as its members."""
        return self

    def __call__(self, batch: TrainingBatch) -> Tensor:
        """Scores (B, C) in the order of our labels."""
        if len(self.members) == 1:
            return self.members[0](batch)
        several = self.task == "multi"
        answers = [probabilities(member(batch).float(), multilabel=several) for member in self.members]
        mean = torch.stack(answers).mean(0)
        return torch.logit(mean, eps=1e-6) if several else mean.clamp(min=1e-8).log()
