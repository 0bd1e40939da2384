"""`inspect`: which vectors a checkpoint can give, which one its authors meant, and the evidence."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from classtoken.contract import checks
from classtoken.contract.reading import Reading
from classtoken.contract.reference import against_reference
from classtoken.embedder import Embedder, load
from classtoken.embedder import Tower as LoadedTower
from classtoken.encoder.families.row import PoolerRow
from classtoken.errors import ClasstokenError
from classtoken.model_folder import transformer_folder
from classtoken.options import InspectOptions
from classtoken.readout import own
from classtoken.results.inspect import Claim, Evidence, Inspection, Kind, Tower, Vector, Verdict
from classtoken.tensors import Tokens
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Layout, Role

USES = {"dense": "dense prediction", "linear": "a linear head", "knn": "k-nearest neighbours"}
TEXTS = (
    "A class token reads all the others.",
    "Before dawn the zebras came down to the river, far from the noise of the town, and drank for a long time.",
)


def inspect(model: str | Path, options: InspectOptions) -> Inspection:
    """Look at a MODEL: its files, and unless `verify` is off what experiments on it show."""
    embedder = load(model, device="cpu", revision=options.revision)
    towers = tuple(_tower(embedder, tower, options.verify) for tower in embedder.towers.values())
    labels = next((len(t.reading.classifier.labels) for t in embedder.towers.values() if t.reading.classifier), 0)
    name = str(model) if str(model).startswith("builtin:") or not Path(model).exists() else Path(model).resolve().name
    return Inspection(model=name, towers=towers, labels=labels, verified=options.verify)


def _tower(embedder: Embedder, tower: LoadedTower, verify: bool) -> Tower:
    reading = tower.reading
    claims = list(reading.claims)
    if reading.pooler_missing and _has_own_pooler(reading):
        evidence = Evidence(Kind.WEIGHTS, "model.safetensors", reading.pooler_missing)
        claims.append(Claim("pooler", "refused: the checkpoint has no weights for it", Verdict.DECLARED, (evidence,)))
    if verify:
        claims += experiments(embedder, tower)
    family = reading.family
    encoder: Any = reading.encoder
    contract = reading.contract
    if isinstance(tower.prepare, TextPreprocessor):
        contract = replace(contract, max_length=tower.prepare.recipe.max_length)
    good, bad = uses(reading, tower)
    return Tower(
        modality=reading.modality,
        family=family.name if family else str(reading.config.get("model_type", "foreign")),
        paper=family.paper if family else "",
        layout=tower.layout,
        depth=encoder.depth,
        heads=encoder.heads,
        hidden_size=encoder.hidden_size,
        parameters=sum(p.numel() for p in encoder.parameters()),
        contract=contract,
        vectors=tuple(vectors(reading, tower)),
        claims=tuple(claims),
        preprocessing=tower.prepare.describe(),
        good_for=good,
        not_for=bad,
        advice=tuple(advice(reading, tower, claims)),
        gaps=tuple(encoder.gaps),
    )


# -- vectors and words about them --------------------------------------------------------------------------------------


def vectors(reading: Reading, tower: LoadedTower) -> Iterable[Vector]:
    """Every vector that a user is likely to ask for, and whether this checkpoint gives it."""
    size, layout, chosen = reading.encoder.hidden_size, tower.layout, reading.contract.pooling
    prefix = reading.modality == "image"
    found: dict[str, Vector] = {}

    def add(spec: str, meaning: str, numbers: int = size, weights: str = "none needed") -> None:
        found.setdefault(spec, Vector(spec, numbers, weights, meaning, available=weights != "MISSING"))

    if chosen not in ("cls", "mean", "pooler", "last", "dist", "cls_dist"):
        add(chosen, "the contract's own readout", reading.contract.size, "present")
    causal = reading.encoder.causal
    if layout.count(Role.CLASS):
        many = layout.count(Role.CLASS) > 1
        empty = "; the mask is causal: the SAME for every input" if causal and prefix_first(layout) else ""
        add("cls", "class token after the final norm" + (", mean of them (cls(i): one)" if many else "") + empty)
    if layout.count(Role.DISTILLATION):
        add("dist", "distillation token after the final norm")
        add("cls_dist", "mean of class and distillation token")
    kept = "patches only, registers and class token left out" if prefix else "every token but padding, masked"
    add("mean", f"mean after the final norm: {kept}")
    if reading.modality == "text":
        add("last", "last token after the final norm, on either side of padding")
    if layout.count(Role.CLASS) and not causal:
        add("cls+mean", "class token and mean side by side", 2 * size)
    row = _pooler_row(reading)
    if reading.pooler is not None:
        weights = "present" if own.needs_weights(reading.pooler.row) else "none needed"
        add("pooler", own.meaning(reading.pooler.row), reading.pooler.size or size, weights)
    elif row is not None and row.kind != "none":
        add("pooler", f"REFUSED: {own.meaning(row)}; the file lacks its weights", weights="MISSING")
    for spec, vector in found.items():
        if spec == chosen:
            whole = f"; then {', '.join(reading.contract.after)}" if reading.contract.after else ""
            whole += "; then unit length" if reading.contract.unit_length else ""
            recommended = replace(vector, size=reading.contract.size, meaning=vector.meaning + whole, recommended=True)
            yield recommended
        else:
            yield vector


def prefix_first(layout: Layout) -> bool:
    """Whether the class token stands before the content."""
    return layout.runs[0][0] == Role.CLASS


def _pooler_row(reading: Reading) -> PoolerRow | None:
    if reading.family is None:
        return None
    pooler = reading.family.pooler
    return pooler if isinstance(pooler, PoolerRow) else pooler(reading.config)


def _has_own_pooler(reading: Reading) -> bool:
    row = _pooler_row(reading)
    return row is not None and row.kind != "none"


def uses(reading: Reading, tower: LoadedTower) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the contract's vector is good for and what it is not."""
    contract, good, bad = reading.contract, [], []
    if reading.classifier is not None:
        good.append("classification (this checkpoint's classifier reads it; so can a new linear head)")
    if contract.unit_length or contract.source == "modules.json":
        good.append("retrieval and similarity by cosine (declared by the authors)")
    elif reading.modality == "text":
        good.append("features for a trained head")
        bad.append("similarity or search as it is: nothing in the files says that it was trained for cosine")
    elif reading.classifier is not None:
        good.append("retrieval of images of like class (make it unit length)")
    else:
        good.append("k-nearest neighbours and linear heads")
    if reading.modality == "image":
        bad.append(
            "dense prediction, and the image side of a language model: use the patch states, embedder.states(...)"
        )
    return tuple(good), tuple(bad)


def advice(reading: Reading, tower: LoadedTower, claims: list[Claim]) -> Iterable[str]:
    """What to mind."""
    yield from tower.prepare.advice()
    if reading.family is not None:
        yield from reading.family.notes
    registers = tower.layout.count(Role.REGISTER)
    if registers:
        yield f"{registers} register tokens stand between class token and patches; a mean over [:, 1:] would pool them"
    if tower.layout.count(Role.DISTILLATION):
        yield "the distillation token stands at position 1: patches begin at 2"
    causal = any(claim.subject == "attention" and claim.value.startswith("causal") for claim in claims)
    if causal and "cls" in reading.contract.pooling:
        yield "the mask is causal and the contract reads a token in front: it cannot depend on the input"
    if reading.authors is not None and reading.contract.source not in ("modules.json", "classtoken.json"):
        for use, spec in reading.authors.alternatives.items():
            yield f"for {USES.get(use, use)}: {spec}"


# -- experiments -------------------------------------------------------------------------------------------------------


def experiments(embedder: Embedder, tower: LoadedTower) -> list[Claim]:
    """Run the small experiments of `contract.checks`, and the reference where it reads this folder."""
    claims: list[Claim | None] = []
    encoder, one, other = tower.reading.encoder, *_two_inputs(tower)
    changed = _last_changed(one)
    claims.append(checks.class_token_is_constant(encoder, one, other))
    claims.append(checks.reach(encoder, one, changed))
    readout = tower.reading.readout()

    def vector(tokens: Tokens) -> Tensor:
        with torch.no_grad():
            return readout(encoder(tokens, layers=readout.layers))

    try:
        alone = vector(one)
        claims.append(checks.deterministic(lambda: vector(one)))
        claims += _company(tower, vector, alone)
    except ClasstokenError as error:
        evidence = Evidence(Kind.EXPERIMENT, "run here", str(error))
        claims.append(Claim("contract", "its vector could not be computed", Verdict.REFUTED, (evidence,)))
    claims += against_reference(transformer_folder(tower.reading.folder), tower.reading, one)
    return [claim for claim in claims if claim is not None]


def _two_inputs(tower: LoadedTower) -> tuple[Tokens, Tokens]:
    items: list[Any] = _pictures() if tower.modality == "image" else list(TEXTS)
    return tower.tokens(items[:1]), tower.tokens(items[1:])


def _pictures() -> list[np.ndarray]:
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


def _company(tower: LoadedTower, vector: Any, alone: Tensor) -> list[Claim]:
    """Does company in the batch, padding, or its side move the vector?"""
    if not isinstance(tower.prepare, TextPreprocessor):
        together = vector(tower.tokens(_pictures()))[:1]
        return [checks.unmoved("a batch mate", alone, together, "one image alone and beside another")]
    rows = tower.prepare.encode(TEXTS)
    sides = {side: vector(tower.prepare.collate(rows, side=side))[:1] for side in ("right", "left")}
    did = "a short text alone and padded beside a long one"
    return [
        checks.unmoved("padding and batch mates", alone, sides[tower.prepare.recipe.pad_side], did),
        checks.unmoved("left padding", sides["right"], sides["left"], "padded right and padded left"),
    ]
