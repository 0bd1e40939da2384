"""Experiments on a loaded model: two inputs go in, and what comes out speaks for or against what the files say."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from classtoken.contract import checks
from classtoken.contract.reading import Reading
from classtoken.contract.reference import against_reference
from classtoken.errors import ClasstokenError
from classtoken.inputs import Preprocessor, one_batch
from classtoken.model_folder import transformer_folder
from classtoken.pooling.spec import parse
from classtoken.results.inspect import Claim, Evidence, Kind, Verdict
from classtoken.tensors import Tokens
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Role

TEXTS = (
    "A class token reads all the others.",
    "Before dawn the zebras came down to the river, far from the noise of the town, and drank for a long time.",
)


def experiments(reading: Reading, prepare: Preprocessor) -> list[Claim]:
    """Run the small experiments of `contract.checks`, and the reference where it reads this folder."""
    claims: list[Claim | None] = []
    encoder = reading.encoder
    one, other = _two_inputs(prepare)
    changed = _last_changed(one)
    claims.append(checks.class_token_is_constant(encoder, one, other))
    claims.append(checks.reach(encoder, one, changed))
    readout = reading.readout(parse(reading.contract.pooling) if reading.unsettled else None)

    def vector(tokens: Tokens) -> Tensor:
        with torch.no_grad():
            return readout(encoder(tokens, layers=readout.layers))

    try:
        alone = vector(one)
        claims.append(checks.deterministic(lambda: vector(one)))
        claims += _company(prepare, vector, alone)
    except ClasstokenError as error:
        evidence = Evidence(Kind.EXPERIMENT, "run here", str(error))
        claims.append(Claim("contract", "its vector could not be computed", Verdict.REFUTED, (evidence,)))
    claims += against_reference(transformer_folder(reading.folder), reading, one)
    return [claim for claim in claims if claim is not None]


def _two_inputs(prepare: Preprocessor) -> tuple[Tokens, Tokens]:
    items: list[Any] = pictures() if prepare.modality == "image" else list(TEXTS)
    return one_batch(prepare, items[:1]), one_batch(prepare, items[1:])


def pictures() -> list[np.ndarray]:
    """A colour gradient and noise: two pictures that have nothing in common."""
    ramp = np.linspace(0, 255, 256, dtype=np.uint8)
    gradient = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], np.uint8(90)), axis=-1)
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    return [np.ascontiguousarray(gradient), noise]


def _last_changed(tokens: Tokens) -> Tokens:
    """The same input with another last content token."""
    if tokens.ids_BL is None:
        assert tokens.pixels is not None
        pixels = tokens.pixels.clone()
        if pixels.dim() == 4:
            pixels[..., -1:, -1:] += 3.0
        else:
            place = int((tokens.roles_BL[0] == Role.CONTENT).nonzero().flatten()[-1])
            pixels[0, place] += 3.0
        return replace(tokens, pixels=pixels)
    ids = tokens.ids_BL.clone()
    place = int((tokens.roles_BL[0] == Role.CONTENT).nonzero().flatten()[-1])
    ids[0, place] = ids[0, place] - 1 if ids[0, place] > 0 else 1
    return replace(tokens, ids_BL=ids)


def _company(prepare: Preprocessor, vector: Callable[[Tokens], Tensor], alone: Tensor) -> list[Claim]:
    """Does company in the batch, padding, or its side move the vector?"""
    if not isinstance(prepare, TextPreprocessor):
        together = vector(one_batch(prepare, pictures()))[:1]
        return [checks.unmoved("a batch mate", alone, together, "one image alone and beside another")]
    rows = prepare.encode(TEXTS)
    sides = {side: vector(prepare.collate(rows, side=side))[:1] for side in ("right", "left")}
    did = "a short text alone and padded beside a long one"
    return [
        checks.unmoved("padding and batch mates", alone, sides[prepare.recipe.pad_side], did),
        checks.unmoved("left padding", sides["right"], sides["left"], "padded right and padded left"),
    ]
