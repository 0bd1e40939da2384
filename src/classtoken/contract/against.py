"""Two checkpoints side by side: weights, contract, preprocessing, tokenizer, and the vectors of sample inputs."""

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from classtoken.contract.experiments import pictures
from classtoken.contract.reading import Reading
from classtoken.contract.samples import TRICKY
from classtoken.contract.settling import Side
from classtoken.errors import ClasstokenError
from classtoken.inputs import one_batch
from classtoken.plain import encode
from classtoken.results.against import SettingDifference, SideDifferences, WeightDifference
from classtoken.tokens.image import ImagePreprocessor
from classtoken.tokens.text import TextPreprocessor

#: Fields of a contract that explain it and decide no number.
WORDS = ("reason", "source")
#: Fields of a text recipe that say where another one comes from.
SAID = ("max_length_source", "notes")


def side_differences(here: Side, there: Side) -> SideDifferences:
    """What differs between the same side of two models."""
    equal, weights = _weights(tensors_of(here.reading), tensors_of(there.reading))
    cosine, why = _cosine(here, there)
    return SideDifferences(
        modality=here.reading.modality,
        weights=weights,
        equal=equal,
        contract=_fields(here.reading.contract, there.reading.contract, but=WORDS),
        preprocessing=_preprocessing(here, there),
        tokenizer=_tokenizer(here, there),
        cosine=cosine,
        cosine_why=why,
    )


def tensors_of(reading: Reading) -> dict[str, Tensor]:
    """Every tensor that decides a vector or a probability, by name: the encoder's, the readout's, the classifier's."""
    parts: dict[str, Any] = {
        "": reading.encoder,
        "pooler.": reading.pooler,
        "classifier.": reading.classifier and reading.classifier.head,
    }
    parts |= {f"before.{n}.": step for n, step in enumerate(reading.before)}
    parts |= {f"after.{n}.": step for n, step in enumerate(reading.after)}
    parts |= {f"learned.{name}.": module for name, module in reading.learned.items()}
    return {
        prefix + name: tensor
        for prefix, module in parts.items()
        if module is not None
        for name, tensor in cast(nn.Module, module).state_dict().items()
    }


def _weights(here: Mapping[str, Tensor], there: Mapping[str, Tensor]) -> tuple[int, tuple[WeightDifference, ...]]:
    equal, found = 0, []
    for name in sorted(here.keys() | there.keys()):
        a, b = here.get(name), there.get(name)
        if a is None or b is None or a.shape != b.shape:
            found.append(WeightDifference(name, _shape(a), _shape(b)))
        elif torch.equal(a.cpu(), b.cpu()):
            equal += 1
        else:
            moved = torch.linalg.vector_norm((a - b).float()) / torch.linalg.vector_norm(b.float()).clamp(min=1e-12)
            found.append(WeightDifference(name, _shape(a), _shape(b), float(moved)))
    far = sorted(found, key=lambda one: (one.distance is not None, -(one.distance or 0.0), one.name))
    return equal, tuple(far)


def _shape(tensor: Tensor | None) -> str:
    return "" if tensor is None else "x".join(map(str, tensor.shape)) or "a number"


def _fields(here: Any, there: Any, *, but: tuple[str, ...] = ()) -> tuple[SettingDifference, ...]:
    """Fields of two values of one class that differ."""
    pairs = ((field.name, getattr(here, field.name), getattr(there, field.name)) for field in dataclasses.fields(here))
    return tuple(SettingDifference(name, _said(a), _said(b)) for name, a, b in pairs if a != b and name not in but)


def _said(value: Any) -> str:
    plain = encode(value)
    if isinstance(plain, list):
        return ", ".join(map(str, plain)) or "none"
    return "none" if plain is None else str(plain)


def _preprocessing(here: Side, there: Side) -> tuple[SettingDifference, ...]:
    a, b = here.prepare, there.prepare
    if isinstance(a, TextPreprocessor) and isinstance(b, TextPreprocessor):
        found = _fields(a.recipe, b.recipe, but=SAID)
        return found + tuple(_pair("special tokens", a.layout, b.layout)) + tuple(_pair("padding", a.pad_id, b.pad_id))
    if isinstance(a, ImagePreprocessor) and isinstance(b, ImagePreprocessor):
        return _fields(a.recipe, b.recipe, but=("source", "notes")) + tuple(_pair("tokens", a.layout, b.layout))
    return tuple(_pair("kind of input", a.describe(), b.describe()))


def _pair(name: str, here: Any, there: Any) -> list[SettingDifference]:
    return [] if here == there else [SettingDifference(name, str(here), str(there))]


def _tokenizer(here: Side, there: Side) -> tuple[SettingDifference, ...]:
    a, b = here.prepare, there.prepare
    if not (isinstance(a, TextPreprocessor) and isinstance(b, TextPreprocessor)):
        return ()
    ids = [prepare.tokenizer.ids(list(TRICKY)) for prepare in (a, b)]
    unlike = [place for place, (one, other) in enumerate(zip(*ids, strict=True)) if list(one) != list(other)]
    if unlike:
        first = unlike[0]
        words = (" ".join(p.tokenizer.words(tokens[first])) for p, tokens in zip((a, b), ids, strict=True))
        return (SettingDifference(f"{len(unlike)} of {len(TRICKY)} texts, {TRICKY[first]!r}", *words),)
    if a.tokenizer.content() != b.tokenizer.content():
        return (SettingDifference("its file", "other contents", f"ids that are equal for all {len(TRICKY)} texts"),)
    return ()


def _cosine(here: Side, there: Side) -> tuple[tuple[float, ...], str]:
    """The cosine of the two vectors of each sample input; or why there is none."""
    items = list(TRICKY) if isinstance(here.prepare, TextPreprocessor) else pictures()
    try:
        pairs = [tuple(_vector(side, item) for side in (here, there)) for item in items]
    except ClasstokenError as error:
        return (), f"a vector is refused: {error}"
    a, b = pairs[0]
    if a.shape != b.shape:
        return (), f"none: vectors of {a.shape[-1]} and of {b.shape[-1]} numbers"
    # in float64: a cosine of two equal vectors is 1 and not a little less
    found = [float(torch.nn.functional.cosine_similarity(a.double(), b.double()).mean()) for a, b in pairs]
    return tuple(found), ""


@torch.no_grad()
def _vector(side: Side, item: Any) -> Tensor:
    """A vector as its authors meant it. Raises `ContractError` where nothing says what they meant."""
    readout, tokens = side.reading.readout(), one_batch(side.prepare, [item])
    return readout(side.reading.encoder(tokens, layers=readout.layers), over=side.prepare.pooled_roles(None))
