"""Classes in words: a model of texts and images, or of texts alone, classifies by the vectors of what classes are
called.

    logit_c = s cos(v, w_c),   w_c = the mean of the unit vectors of the class in every template, of unit length

(Radford et al. 2021, section 3.1.4.) s is the scale that the model was trained with; a temperature can be fitted
beside.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from classtoken.embedder.embedder import Embedder
from classtoken.encoder.checkpoint import weight_files
from classtoken.errors import ClasstokenError, ContractError, OptionError
from classtoken.files import user_path
from classtoken.head import CosineHead
from classtoken.model_folder import transformer_folder
from classtoken.options import PredictOptions
from classtoken.readout import Classifier, Readout

#: Of models whose files hold none: what sentence-transformers trains texts with.
USUAL_SCALE = 20.0
#: CLIP clips its scale there.
LARGEST_SCALE = 100.0
PLACE = "{}"


@dataclass(frozen=True)
class WordedClass:
    """A class: its label, and one or several ways to say it."""

    label: str
    words: tuple[str, ...]


def worded_classes(classes: Sequence[str], file: Path | None) -> tuple[WordedClass, ...]:
    """Classes by name, or out of a file: one a line, the label alone or, after a tab, words for it joined by `|`.

    Raises `OptionError` for both or neither, one class only, or a label twice.
    """
    if bool(classes) == (file is not None):
        raise OptionError("give the classes one by one (`classes`) or as a file (`classes_file`), not both.")
    found = _read(user_path(file)) if file is not None else tuple(WordedClass(name, (name,)) for name in classes)
    if wrong := _wrong([each.label for each in found]):
        raise OptionError(f"{wrong}; give two classes or more, each once.")
    return found


def _wrong(labels: Sequence[str]) -> str:
    """What is wrong with the names of classes; empty where nothing is."""
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        return f"the class '{twice[0]}' is named twice"
    if not all(labels):
        return "a class has an empty name"
    only = f"'{labels[0]}' is the only class" if labels else "there is no class"
    return "" if len(labels) > 1 else f"{only}, so there is nothing to choose from"


def by_words(
    embedder: Embedder,
    classes: Sequence[WordedClass],
    templates: Sequence[str] = (PLACE,),
    *,
    scale: float | None = None,
) -> Embedder:
    """The same model with a classifier on every side: each class's vector is that of its words in every template.

    Raises `ContractError` for a model that reads no text, `OptionError` for a template without `{}`.
    """
    wrong = [template for template in templates if PLACE not in template]
    if wrong:
        raise OptionError(f"the template '{wrong[0]}' has no {PLACE} where the class should stand: a photo of {PLACE}.")
    if "text" not in embedder.modalities:
        raise ContractError(
            f"'{embedder.name}' reads no text, so classes have no vectors in words. Give a model of two sides (CLIP, "
            "SigLIP), or fit a classifier with the verb train."
        )
    sizes = {embedder.tower(side).size_of(_contract(embedder, side)) for side in embedder.modalities}
    if len(sizes) > 1:
        raise ContractError(f"the sides of '{embedder.name}' have vectors of different sizes, so they do not meet.")
    weights = class_vectors(embedder, classes, templates)
    scale = scale or trained_scale(embedder) or USUAL_SCALE
    other = copy.copy(embedder)
    other.towers = {}
    for side, tower in embedder.towers.items():
        head = CosineHead(weights.shape[1], len(classes), scale=scale)
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(weights))
        labels = tuple(each.label for each in classes)
        classifier = Classifier(_contract(embedder, side), head, labels).to(embedder.device).eval()
        other.towers[side] = replace(tower, reading=replace(tower.reading, classifier=classifier))
    return other


def worded(embedder: Embedder, options: PredictOptions) -> Embedder:
    """The model with the classes in words that options name, or as it is where they name none."""
    if options.classes or options.classes_file is not None:
        return by_words(embedder, worded_classes(options.classes, options.classes_file), options.templates or (PLACE,))
    if options.templates or options.calibrate is not None:
        raise OptionError("`templates` and `calibrate` are only for classes in words; name those with `classes`.")
    return embedder


def class_vectors(embedder: Embedder, classes: Sequence[WordedClass], templates: Sequence[str]) -> np.ndarray:
    """(classes, size): the mean of the unit vectors of all words in all templates, of unit length."""
    said = [[template.replace(PLACE, words) for words in each.words for template in templates] for each in classes]
    vectors = embedder.embed([text for texts in said for text in texts], modality="text")
    assert isinstance(vectors, np.ndarray)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    ends = np.cumsum([len(texts) for texts in said])[:-1]
    means = np.stack([block.mean(0) for block in np.split(vectors, ends)])
    return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)


def trained_scale(embedder: Embedder) -> float | None:
    """What cosines were multiplied by in training: exp(`logit_scale`) of the file; None where it holds none."""
    try:
        files = weight_files(transformer_folder(embedder.folder))
        names = [name for name in files.names if name.rsplit(".", 1)[-1] == "logit_scale"]
        if not names:
            return None
        return min(float(files.read((names[0],))[names[0]].flatten()[0].exp()), LARGEST_SCALE)
    except ClasstokenError:  # an adapter's folder, or one of several encoders
        return None


def _contract(embedder: Embedder, side: str) -> Readout:
    (readout,) = embedder.tower(side).readouts(None, embedder.spec.normalize).values()
    return readout


def _read(path: Path) -> tuple[WordedClass, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"`classes_file` is '{path}', which cannot be read ({error}).") from None
    found = []
    for line in filter(str.strip, lines):
        label, _, words = line.partition("\t")
        ways = tuple(part.strip() for part in words.split("|") if part.strip())
        found.append(WordedClass(label.strip(), ways or (label.strip(),)))
    return tuple(found)
