"""The bench on which every family is proved: a tiny random checkpoint that the reference wrote, read by us.

A `Case` builds the reference; `set_up` gives it weights of which none is left at its initial value (a layer scale of
one would hide a layer scale that is dropped), lets it save itself and records what it computes; `errors` loads the
folder as a user would and measures, check by check, how far our values are from the reference's, relative to their
largest. `tests/encoder/test_mutations.py` uses the same function to show that it notices mistakes.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tests.encoder.formulas import logits_of, pooled_of
from torch import Tensor, nn

from classtoken.contract.reading import classifier_of, over_of, own_pooler_of
from classtoken.encoder.checkpoint import LoadedEncoder, load_encoder, open_checkpoint, reference_names
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.families import FAMILIES
from classtoken.encoder.families.row import Family
from classtoken.encoder.kernels import LaidOut
from classtoken.encoder.products import Products, products_of
from classtoken.tensors import Recorder, States, Tokens, names_of_trace
from classtoken.values import Role

TOLERANCE = 1e-5
#: Sets of roles for which the last block may compute its queries alone.
READ_OUT = (
    {Role.CLASS},
    {Role.END},
    {Role.CLASS, Role.DISTILLATION},
    {Role.CLASS, Role.END},
    {Role.CONTENT},
)


@dataclass(frozen=True)
class Inputs:
    """One batch, as the reference wants it and as we want it."""

    reference: Mapping[str, Tensor]
    tokens: Tokens


@dataclass(frozen=True)
class Case:
    """A tiny reference model of one family.

    `inputs` makes a batch for it; `tower` finds the module whose `last_hidden_state` is compared; `pooled` finds the
    reference's pooled output in what that module returns, None where it gives none.
    """

    name: str
    family: str
    build: Callable[[], nn.Module]
    inputs: Callable[[Any], Inputs]
    tower: Callable[[Any], nn.Module] = lambda model: model.base_model
    pooled: Callable[[Any], Tensor | None] = lambda out: getattr(out, "pooler_output", None)
    hidden_states: bool = True
    """whether the reference's `hidden_states` are the residual stream, block by block"""
    logits: bool = False
    """whether the model has a classifier, whose logits are compared too"""
    respell: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    """rewrites config.json as older releases or the authors themselves spelled it"""


@dataclass(frozen=True)
class Bench:
    """A reference checkpoint on disk, and what the reference computes."""

    case: Case
    folder: Path
    inputs: Inputs
    last_BLD: Tensor
    hidden_states: tuple[Tensor, ...]
    pooled: Tensor | None
    logits: Tensor | None
    on_disk: Mapping[str, Tensor] = field(repr=False)


def randomise(model: nn.Module) -> None:
    """Give every parameter another value than the one it began with, norms, biases, scales and tokens included."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            before = parameter.clone()
            noise = torch.randn_like(parameter)
            parameter.copy_(noise * 0.3 if parameter.dim() > 1 else parameter + noise * 0.1)
            assert not bool((parameter == before).any()), f"{name} keeps an initial value"


@torch.no_grad()
def set_up(case: Case, folder: Path) -> Bench:
    """Build the reference, save it by its own `save_pretrained`, and run it."""
    torch.manual_seed(0)
    model = case.build().eval()
    randomise(model)
    model.save_pretrained(folder)
    if case.respell is not None:
        path = folder / "config.json"
        path.write_text(json.dumps(case.respell(json.loads(path.read_text()))))
    inputs = case.inputs(model.config)
    out = case.tower(model)(**inputs.reference, output_hidden_states=case.hidden_states)
    return Bench(
        case=case,
        folder=folder,
        inputs=inputs,
        last_BLD=out.last_hidden_state,
        hidden_states=tuple(out.hidden_states) if case.hidden_states else (),
        pooled=case.pooled(out),
        logits=model(**inputs.reference).logits if case.logits else None,
        on_disk=load_file(folder / "model.safetensors"),
    )


def family_named(name: str) -> Family:
    """The row of the table with this name."""
    return next(family for family in FAMILIES if family.name == name)


def load(bench: Bench) -> tuple[LoadedEncoder, Mapping[str, Any]]:
    """Our encoder from the folder, and the config of its tower."""
    checkpoint = open_checkpoint(bench.folder)
    family = family_named(bench.case.family)
    config = checkpoint.config
    if family.config_key is not None:
        config = config.get(family.config_key, config)
    assert config["model_type"] in family.types
    return load_encoder(checkpoint.weights.read(), family, family.shape(config), config, str(bench.folder)), config


def relative(theirs: Tensor, ours: Tensor, keep: Tensor | None = None) -> float:
    """Largest difference over the largest value; infinite where the shapes differ."""
    if theirs.shape != ours.shape:
        return float("inf")
    if keep is not None:
        theirs, ours = theirs[keep], ours[keep]
    error = float((theirs.float() - ours.float()).abs().max() / theirs.float().abs().max())
    return error if error == error else float("inf")


def mirrored(tokens: Tokens) -> Tokens:
    """The same texts with the padding on the other side."""

    def turn(padded_BL: Tensor) -> Tensor:
        lengths = tokens.mask_BL.sum(1).tolist()
        return torch.stack([row.roll(len(row) - n) for row, n in zip(padded_BL, lengths, strict=True)])

    assert tokens.ids_BL is not None
    return Tokens(turn(tokens.roles_BL), turn(tokens.ids_BL))


@torch.no_grad()
def errors(bench: Bench) -> dict[str, float]:
    """Relative error of every check, by name."""
    loaded, config = load(bench)
    encoder, tokens, family = loaded.encoder, bench.inputs.tokens, family_named(bench.case.family)
    depth, mask = encoder.depth, tokens.mask_BL
    full = encoder(tokens, layers=("embeddings", *range(depth)))
    found = {"states": relative(bench.last_BLD, _comparable(full, family), mask)}
    for k, theirs in enumerate(bench.hidden_states[:depth]):
        found[f"hidden_states[{k}]"] = relative(theirs, full.layers["embeddings" if k == 0 else k - 1], mask)
    names = names_of_trace(depth)
    recorder = Recorder(names)
    found["traced"] = relative(full.last_BLD, encoder(tokens, trace=recorder).last_BLD, mask)
    assert sorted(recorder.kept) == sorted(names)
    if tokens.ids_BL is not None:
        found |= _text_errors(encoder, tokens, full)
    found |= _rows_errors(encoder, tokens, full)
    found |= _fast_errors(encoder, tokens, full)
    if bench.pooled is not None:
        found["pooled by formula"] = relative(bench.pooled, pooled_of(loaded, config, full))
        found["pooled"] = relative(bench.pooled, _pooled(loaded, config, full))
    if bench.logits is not None:
        found["logits by formula"] = relative(bench.logits, logits_of(loaded, config, full))
        found["logits"] = relative(bench.logits, _logits(loaded, config, tokens))
    return found


def _comparable(states: States, family: Family) -> Tensor:
    """Ours at the place where the reference's `last_hidden_state` is."""
    if family.hidden_state == "before_norm":
        return states.layers[max(k for k in states.layers if isinstance(k, int))]
    return states.last_BLD


def _pooled(loaded: LoadedEncoder, config: Mapping[str, Any], states: States) -> Tensor:
    """The pooled output as a user gets it."""
    assert loaded.family is not None
    pooler, refused = own_pooler_of(loaded.family, config, loaded)
    assert pooler is not None, refused
    return pooler(states)


def _logits(loaded: LoadedEncoder, config: Mapping[str, Any], tokens: Tokens) -> Tensor:
    """The logits as a user gets them: no more computed than the classifier reads."""
    assert loaded.family is not None
    pooler, _ = own_pooler_of(loaded.family, config, loaded)
    classifier = classifier_of(loaded.family, config, loaded, pooler, over_of(loaded.family.modality))
    assert classifier is not None, "the classifier was not found"
    readout = classifier.readout
    return classifier(loaded.encoder(tokens, layers=readout.layers, rows=readout.rows))


def _text_errors(encoder: nn.Module, tokens: Tokens, full: States) -> dict[str, float]:
    mask = tokens.mask_BL
    other = mirrored(tokens)
    return {
        "packed": relative(full.last_BLD, encoder(tokens, packed=True).last_BLD, mask),
        "padded left": relative(full.last_BLD[mask], encoder(other).last_BLD[other.mask_BL]),
        "packed from the left": relative(full.last_BLD[mask], encoder(other, packed=True).last_BLD[other.mask_BL]),
    }


def _fast_errors(encoder: Encoder, tokens: Tokens, full: States) -> dict[str, float]:
    """The same on laid-out weights: padded, packed, and for some roles only."""
    fast = products_of(encoder, LaidOut)
    assert fast is not None, "this build of torch has no oneDNN"
    mask = tokens.mask_BL
    found = {"fast": relative(full.last_BLD, encoder(tokens, fast=fast).last_BLD, mask)}
    if tokens.ids_BL is not None:
        found["fast packed"] = relative(full.last_BLD, encoder(tokens, packed=True, fast=fast).last_BLD, mask)
        alone = [encoder(tokens.row(i), packed=True, fast=fast).last_BLD[0] for i in range(len(tokens))]
        found["fast alone"] = relative(full.last_BLD[mask], torch.cat(alone))
    return found | {f"fast {name}": error for name, error in _rows_errors(encoder, tokens, full, fast).items()}


def _rows_errors(encoder: nn.Module, tokens: Tokens, full: States, fast: Products | None = None) -> dict[str, float]:
    """The last block for some roles only = the full one, at those roles; padded and packed."""
    found = {}
    for roles in READ_OUT:
        wanted = torch.isin(full.roles_BL, torch.tensor(sorted(roles)))
        counts = wanted.sum(1)
        if int(counts.min()) == 0 or int(counts.min()) != int(counts.max()):
            continue
        expected = full.last_BLD[wanted].view(len(tokens), -1, full.last_BLD.shape[-1])
        for packed in (False, True) if tokens.ids_BL is not None else (False,):
            name = f"rows {'+'.join(sorted(r.name.lower() for r in roles))}{' packed' if packed else ''}"
            some = encoder(tokens, rows=roles, packed=packed, fast=fast)
            right = some.roles_BL.tolist() == full.roles_BL[wanted].view(len(tokens), -1).tolist()
            found[name] = relative(expected, some.last_BLD) if right else float("inf")
    return found


def names_that_do_not_come_back(bench: Bench) -> list[str]:
    """What differs between the reference's file and the one we would write: names, shapes, values."""
    loaded, _ = load(bench)
    family = family_named(bench.case.family)
    ours = reference_names(loaded.encoder, family, loaded.prefix)
    beside = {name if name in bench.on_disk else loaded.prefix + name for name in loaded.rest}
    ignored = [re.compile(re.escape(loaded.prefix) + pattern) for pattern in family.ignored]
    wanted = {name for name in bench.on_disk if name not in beside and not any(p.fullmatch(name) for p in ignored)}
    wrong = [f"{name} is not written" for name in sorted(wanted - ours.keys())]
    wrong += [f"{name} is written but not in the file" for name in sorted(ours.keys() - bench.on_disk.keys())]
    wrong += [
        f"{name} differs" for name in sorted(wanted & ours.keys()) if not torch.equal(ours[name], bench.on_disk[name])
    ]
    return wrong
