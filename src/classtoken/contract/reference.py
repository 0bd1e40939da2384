"""The same weights in the reference library: are our states its states, and what is its `pooler_output`?"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from classtoken.contract.checks import TOLERANCE, difference
from classtoken.contract.reading import Reading
from classtoken.encoder.checkpoint import open_checkpoint
from classtoken.encoder.foreign.building import built
from classtoken.errors import EmptyRow, TraceError
from classtoken.readout import own
from classtoken.remembered import folder_fingerprint, remembered
from classtoken.results.inspect import Claim, Evidence, Kind, Verdict
from classtoken.tensors import States, Tokens, tensor_hash
from classtoken.values import Role
from classtoken.version import __version__


def open_reference(folder: Path, seed: int) -> tuple[Any, tuple[str, ...]]:
    """The checkpoint as transformers' AutoModel loads it, and the weights that it had to invent, drawn from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, report = built(open_checkpoint(folder))
    return model.float().eval(), tuple(sorted(report["missing_keys"]))


def reference_of(folder: Path, seed: int = 0) -> tuple[Any, tuple[str, ...]] | None:
    """`open_reference`, or None where transformers does not read this folder."""
    try:
        return open_reference(folder, seed)
    except Exception:  # transformers and its validation of configs raise many kinds for one cause
        return None


@torch.no_grad()
def gaps(reference: tuple[Any, tuple[str, ...]], reading: Reading, tokens: Tokens) -> dict[str, float] | None:
    """How far states and pooled output are from the reference's on one batch; None where they cannot be compared."""
    model, missing = reference
    side, inputs = _side(model, tokens)
    try:
        theirs = side(**inputs)
    except Exception:  # whatever another library does with an input that it does not take
        return None
    ours = _states(reading, tokens)
    last, pooled = getattr(theirs, "last_hidden_state", None), getattr(theirs, "pooler_output", None)
    if last is None or last.shape != ours.last_BLD.shape:
        return None
    found = {"states": _nearest(ours, last)[0]}
    if pooled is not None and reading.given_pooler is not None and not any("pool" in name for name in missing):
        with suppress(EmptyRow):  # of texts without the token that it reads it is refused, and their states are right
            vector = reading.given_pooler(ours)
            found["pooler"] = difference(vector, pooled) if vector.shape == pooled.shape else float("inf")
    return found


def _states(reading: Reading, tokens: Tokens) -> States:
    try:
        return reading.encoder(tokens, layers=(-1,))
    except TraceError:  # a foreign model whose blocks cannot be seen
        return reading.encoder(tokens)


@torch.no_grad()
def against_reference(folder: Path, reading: Reading, *batches: Tokens) -> list[Claim]:
    """Claims from running transformers on the same inputs. Empty where transformers does not read this folder.

    Opening a model a second time in another library takes most of the time of `inspect`. What came of it is remembered
    for these files, these versions, and these very numbers of ours: whatever changes one of them asks again.
    """
    every = [_states(reading, tokens) for tokens in batches]
    numbers = []
    for ours in every:
        pooled = [] if reading.given_pooler is None else [reading.given_pooler(ours)]
        numbers += [tensor_hash(one) for one in (ours.last_BLD, ours.roles_BL, *ours.layers.values(), *pooled)]
    files = [folder_fingerprint(place) for place in dict.fromkeys((folder, reading.home))]
    versions = [version(package) for package in ("transformers", "torch")]

    def ask() -> dict[str, Any]:
        return {"claims": [claim.to_dict() for claim in _compared(folder, reading, batches, every)]}

    found = remembered(f"{__version__} beside the reference {versions} {files} {numbers}", ask)
    assert found is not None
    return [Claim.from_dict(claim) for claim in found["claims"]]


def _compared(folder: Path, reading: Reading, batches: Sequence[Tokens], every: Sequence[States]) -> list[Claim]:
    reference = reference_of(folder)
    if reference is None:
        return []  # another layout than Hugging Face's
    model, missing = reference
    outs = []
    for tokens in batches:
        side, inputs = _side(model, tokens)
        try:
            outs.append(side(**inputs))
        except Exception as error:  # whatever another library does with an input that it does not take
            line = " ".join(str(error).split())[:200]
            says = f"{type(side).__name__} refuses the input ({type(error).__name__}: {line})"
            return [Claim("same states as transformers", "not compared", Verdict.ASSUMED, (_ran(says),))]
    claims = []
    last = [getattr(out, "last_hidden_state", None) for out in outs]
    pairs = [(ours, one) for ours, one in zip(every, last, strict=True) if one is not None]
    if len(pairs) == len(every) and all(one.shape == ours.last_BLD.shape for ours, one in pairs):
        claims.append(_states_claim(pairs))
    pooled = [one for one in (getattr(out, "pooler_output", None) for out in outs) if one is not None]
    lost = tuple(name for name in missing if "pool" in name)
    refused = reading.pooler is not None and reading.given_pooler is None
    if pooled and lost:
        claims.append(_random_claim(folder, batches[0], pooled[0], lost))
    elif len(pooled) == len(every) and not missing and not refused:  # it has no random weights of a class of its own
        claims.append(_formula_claim(reading, every, pooled))
    return claims


def _side(model: Any, tokens: Tokens) -> tuple[Any, dict[str, Any]]:
    """The part of a model that reads this input (an encoder, one of two sides), and what it is given."""
    if tokens.ids_BL is not None:
        text = {"input_ids": tokens.ids_BL, "attention_mask": tokens.mask_BL.long()}
        both = hasattr(model, "encoder") and hasattr(model, "decoder")
        return (model.encoder if both else getattr(model, "text_model", model)), text
    image: dict[str, Any] = {"pixel_values": tokens.pixels}
    if tokens.grids is not None:  # images of several shapes, each row filled up behind its patches
        content = torch.isin(tokens.roles_BL, torch.tensor([int(Role.CONTENT)])).long()
        image |= {"pixel_attention_mask": content, "spatial_shapes": torch.tensor(tokens.grids)}
    return getattr(model, "vision_model", model), image


def _nearest(ours: States, theirs: Tensor) -> tuple[float, str]:
    """How far our states are from the reference's, after or before the final norm, whichever it returns."""
    keep = ours.roles_BL != Role.PAD
    found = [(difference(ours.last_BLD[keep], theirs[keep]), "after the final norm")]
    if -1 in ours.layers:
        found.append((difference(ours.layers[-1][keep], theirs[keep]), "before the final norm"))
    return min(found)


def _states_claim(pairs: Sequence[tuple[States, Tensor]]) -> Claim:
    moved, where = max(_nearest(ours, theirs) for ours, theirs in pairs)
    verdict = Verdict.PROVED if moved <= TOLERANCE else Verdict.REFUTED
    says = f"last_hidden_state ({where}) of {len(pairs)} inputs differs by {moved:.1e} at most"
    return Claim("same states as transformers", "yes" if moved <= TOLERANCE else "NO", verdict, (_ran(says),))


def _random_claim(folder: Path, tokens: Tokens, first: Tensor, lost: tuple[str, ...]) -> Claim:
    """Load once more from another seed: a vector that changes was never in the file."""
    side, inputs = _side(open_reference(folder, seed=1)[0], tokens)
    second = side(**inputs).pooler_output
    cosine = float(torch.nn.functional.cosine_similarity(first, second).mean())
    says = f"two loads give unrelated vectors (cosine {cosine:.2f}); missing: {', '.join(lost)}"
    return Claim(
        "pooler_output", "RANDOM in transformers: its weights are not in the file", Verdict.PROVED, (_ran(says),)
    )


def _formula_claim(reading: Reading, every: Sequence[States], pooled: Sequence[Tensor]) -> Claim:
    """Which formula reproduces pooler_output to 1e-5, of every input?"""
    tried: dict[str, float] = {}
    for ours, theirs in zip(every, pooled, strict=True):
        for name, vector in _formulas(reading, ours).items():
            if vector.shape == theirs.shape:
                tried[name] = max(tried.get(name, 0.0), difference(vector, theirs))
    best = min(tried, key=lambda name: tried[name], default=None)
    if best is None or tried[best] > TOLERANCE:
        says = f"nearest: {best} ({tried[best]:.1e})" if best else "no formula gives a vector of its size"
        return Claim("pooler_output", "no known formula gives it", Verdict.REFUTED, (_ran(says),))
    return Claim("pooler_output", best, Verdict.PROVED, (_ran(f"this formula gives it to {tried[best]:.1e}"),))


def _formulas(reading: Reading, ours: States) -> Mapping[str, Tensor]:
    last, roles = ours.last_BLD, ours.roles_BL
    found: dict[str, Tensor] = {}
    if bool((roles == Role.CLASS).any(1).all()):
        place = (roles == Role.CLASS).long().argmax(1)
        rows = torch.arange(len(place))
        found["the class token after the final norm"] = last[rows, place]
        if -1 in ours.layers:
            found["the class token before the final norm"] = ours.layers[-1][rows, place]
    content = torch.isin(roles, torch.tensor(sorted(reading.over))).to(last.dtype)
    found["the mean"] = torch.einsum("bl,bld->bd", content / content.sum(1, keepdim=True), last)
    if reading.given_pooler is not None:
        found[own.meaning(reading.given_pooler.row)] = reading.given_pooler(ours)
    return found


def _ran(says: str) -> Evidence:
    import transformers

    return Evidence(Kind.EXPERIMENT, f"transformers {transformers.__version__}", says)
