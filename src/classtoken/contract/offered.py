"""What a checkpoint offers: its vectors by name, what its own one is good for, and what to mind."""

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace

from classtoken.contract.reading import Reading
from classtoken.encoder.families.row import PoolerRow
from classtoken.files import in_shell
from classtoken.readout import own
from classtoken.results.inspect import OPEN, Claim, Vector
from classtoken.values import Layout, Role

USES = {"dense": "dense prediction", "linear": "a linear head", "knn": "k-nearest neighbours"}


def vectors(reading: Reading, layout: Layout) -> Iterable[Vector]:
    """Every vector that a user is likely to ask for, and whether this checkpoint gives it."""
    size, chosen = reading.encoder.hidden_size, reading.contract.pooling
    prefix = reading.modality == "image"
    found: dict[str, Vector] = {}

    def add(spec: str, meaning: str, numbers: int = size, weights: str = "none needed") -> None:
        available = weights != "MISSING" and not meaning.startswith("REFUSED")
        found.setdefault(spec, Vector(spec, numbers, weights, meaning, available=available))

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
        if not _one_state(reading, chosen):
            meaning = own.meaning(reading.pooler.row)
            if reading.given_pooler is None:
                meaning = f"REFUSED: {meaning}; texts do not begin with one"
            add("pooler", meaning, reading.pooler.size or size, weights)
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


def _one_state(reading: Reading, chosen: str) -> bool:
    """Whether the pooled output is the class token's or the last token's state, which is offered by that name."""
    row = reading.pooler.row if reading.pooler is not None else None
    return row is not None and row.kind == "state" and row.token in ("cls", "last") and chosen != "pooler"


def prefix_first(layout: Layout) -> bool:
    """Whether the class token stands before the content."""
    return layout.runs[0][0] == Role.CLASS


def _pooler_row(reading: Reading) -> PoolerRow | None:
    if reading.family is None:
        return None
    pooler = reading.family.pooler
    return pooler if isinstance(pooler, PoolerRow) else pooler(reading.config)


def has_own_pooler(reading: Reading) -> bool:
    row = _pooler_row(reading)
    return row is not None and row.kind != "none"


def uses(reading: Reading) -> tuple[tuple[str, ...], tuple[str, ...]]:
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


def _notes(reading: Reading) -> Iterable[str]:
    """The family's notes that concern this checkpoint."""
    has = {
        "all": True,
        "none": False,
        "pooler": reading.given_pooler is not None,
        "classifier": bool(reading.classifier),
    }
    for note in reading.family.notes if reading.family is not None else ():
        if isinstance(note, str) or (has[note.of] and note.when(reading.config)):
            yield str(note)


def lines_to_copy(model: str, reading: Reading, *, sides: int, route: str = "") -> tuple[str, str]:
    """The line that gives a model's vectors, in Python and on the command line; empty where a vector is refused."""
    if reading.refusals or reading.unsettled:
        return "", ""
    item, source = ("a text", "TEXTS") if reading.modality == "text" else ("photo.jpg", "PHOTOS")
    keyword, flag = (f', modality="{reading.modality}"', f" --modality {reading.modality}") if sides > 1 else ("", "")
    keyword, flag = (f', prompt="{route}"', f" --prompt {shlex.quote(route)}") if route else (keyword, flag)
    python = f'ct.load({json.dumps(model, ensure_ascii=False)}).embed(["{item}"]{keyword})'
    return python, f"classtoken embed {source} --model {in_shell(model)} --out VECTORS{flag}"


def advice(reading: Reading, layout: Layout, claims: Sequence[Claim]) -> Iterable[str]:
    """What to mind."""
    yield from _notes(reading)
    if any(claim.subject == "pooling" and claim.verdict in OPEN for claim in claims):
        yield "nothing proves which vector was meant: `classtoken compare` says which is best for a task of your own"
    registers = layout.count(Role.REGISTER)
    if registers:
        yield f"{registers} register tokens stand between class token and patches; a mean over [:, 1:] would pool them"
    if layout.count(Role.DISTILLATION):
        yield "the distillation token stands at position 1: patches begin at 2"
    causal = any(claim.subject == "attention" and claim.value.startswith("causal") for claim in claims)
    if causal and "cls" in reading.contract.pooling:
        yield "the mask is causal and the contract reads a token in front: it cannot depend on the input"
    if reading.authors is not None and reading.contract.source not in ("modules.json", "classtoken.json"):
        for use, spec in reading.authors.alternatives.items():
            if use != "dense" and ("cls" not in spec or layout.count(Role.CLASS)):  # dense: `uses` says that
                yield f"for {USES.get(use, use)}: {spec}"
