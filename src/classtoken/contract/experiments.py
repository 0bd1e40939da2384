"""Experiments on a loaded model: several inputs go in, and what comes out speaks for or against what the files say."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from classtoken.activity import activity
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
    items = tried(prepare)
    batches = [one_batch(prepare, [item]) for item in items]
    with activity("experiment 1 of 6, whether the class token is constant"):
        claims.append(checks.class_token_is_constant(encoder, *batches))
    with activity("experiment 2 of 6, what the first token reads"):
        claims.append(checks.reach(encoder, *((one, _last_changed(one)) for one in batches)))
    try:
        readout = reading.readout(parse(reading.contract.pooling) if reading.unsettled else None)

        def vector(tokens: Tokens) -> Tensor:
            with torch.no_grad():
                return readout(encoder(tokens, layers=readout.layers))

        with activity("experiment 3 of 6, two runs on the same input"):
            alone = torch.cat([vector(one) for one in batches])
            claims.append(checks.deterministic(lambda: torch.cat([vector(one) for one in batches])))
        with activity("experiments 4 and 5 of 6, padding and batch mates"):
            claims += _company(prepare, items, vector, alone)
    except ClasstokenError as error:
        evidence = Evidence(Kind.EXPERIMENT, "run here", str(error))
        claims.append(Claim("contract", "its vector could not be computed", Verdict.REFUTED, (evidence,)))
    with activity("experiment 6 of 6, beside transformers' own model"):
        claims += against_reference(transformer_folder(reading.folder), reading, *batches)
    return [claim for claim in claims if claim is not None]


def tried(prepare: Preprocessor) -> list[Any]:
    """What goes in: texts of several lengths, pictures of several sizes."""
    if prepare.modality == "text":
        return [*TEXTS, "Zebra"]
    first, second = pictures()
    return [first, second, np.ascontiguousarray(second[:180])]


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


def _company(
    prepare: Preprocessor, items: Sequence[Any], vector: Callable[[Tokens], Tensor], alone: Tensor
) -> list[Claim]:
    """Does company in the batch, padding, or its side move the vector?"""
    if not isinstance(prepare, TextPreprocessor):
        did = f"{len(items)} images, each alone and beside the others"
        return [checks.unmoved("a batch mate", alone, vector(one_batch(prepare, items)), did)]
    rows = prepare.encode(items)
    sides = {side: vector(prepare.collate(rows, side=side)) for side in ("right", "left")}
    lengths = [len(row.ids) for row in rows]
    did = f"{len(items)} texts of {min(lengths)} to {max(lengths)} tokens, each alone and padded beside the others"
    return [
        checks.unmoved("padding and batch mates", alone, sides[prepare.recipe.pad_side], did),
        checks.unmoved("left padding", sides["right"], sides["left"], "padded right and padded left"),
    ]
