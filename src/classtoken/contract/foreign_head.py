"""A published classifier that no row of the table knows: which vector it reads, found by running its class."""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from classtoken.encoder.checkpoint import Checkpoint, check_finite
from classtoken.encoder.foreign.classifying import ForeignHead, Given, head_of, output_of, published_classifiers
from classtoken.encoder.foreign.model import EQUAL
from classtoken.encoder.towers import LoadedTower
from classtoken.errors import ClasstokenError
from classtoken.pooling.spec import parse
from classtoken.readout import OwnPooler, Readout
from classtoken.remembered import folder_fingerprint, remembered
from classtoken.tensors import States, Tokens
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Role
from classtoken.version import __version__

#: Tokens of the texts that are tried.
LENGTHS = (7, 11, 2)


def foreign_head(
    folder: Path,
    checkpoint: Checkpoint,
    tower: LoadedTower,
    pooler: OwnPooler | None,
    over: frozenset[Role],
    first: str,
) -> tuple[Readout, ForeignHead] | None:
    """The readout and the head of a checkpoint's classifier, as its class of transformers computes it; None where it
    has none that reads one vector. `folder` has the tokenizer; `first` is what the first token of a text is called as a
    pooling.

    The class is given all states of random inputs, and that vector is taken which gives its logits; this is remembered.
    """
    names = published_classifiers(checkpoint.config)
    if not names:
        return None

    def ask() -> dict[str, Any] | None:
        try:
            return _found(checkpoint, tower, pooler, over, first)
        except (MemoryError, OSError):  # another time it may go well
            raise
        except Exception:  # whatever a class of another library says to its own checkpoint
            return None

    versions = [__version__, *(version(package) for package in ("transformers", "torch"))]
    about = f"{versions} {checkpoint.weights.stamp} {folder_fingerprint(checkpoint.folder)} {first}"
    answer = remembered(f"which vector {names[0]} reads {about}", ask)
    if answer is None:
        return None
    head = head_of(checkpoint, cast(Given, answer["given"]))
    assert head is not None
    if answer["reads"] == "last" and head.pad_id is not None and _end_of_texts(folder) == head.pad_id:
        return None  # the class takes that token for padding, and reads the one before it
    check_finite(head, str(checkpoint.folder))
    return _readout(str(answer["reads"]), tower, pooler, over), head


def _end_of_texts(folder: Path) -> int | None:
    """The token that is last in an ordinary text."""
    return next(iter(TextPreprocessor.from_folder(folder).tokenizer.ids(["a"])[0][::-1]), None)


def _readout(spec: str, tower: LoadedTower, pooler: OwnPooler | None, over: frozenset[Role]) -> Readout:
    encoder = tower.loaded.encoder
    return Readout(parse(spec), encoder.depth, over, size=encoder.hidden_size, pooler=pooler)


@torch.no_grad()
def _found(
    checkpoint: Checkpoint, tower: LoadedTower, pooler: OwnPooler | None, over: frozenset[Role], first: str
) -> dict[str, str] | None:
    """The pooling whose vector gives the logits of the whole class, and how it is handed over; None where none does."""
    ways: tuple[Given, ...] = ("row", "map") if tower.modality == "image" else ("row",)
    heads = {given: head for given in ways if (head := head_of(checkpoint, given)) is not None}
    if not heads:
        return None
    states, wanted = [], []
    for tokens, batch in _inputs(tower, first):
        states.append(tower.loaded.encoder(tokens))
        wanted.append(heads["row"].of_whole(_all_of(tower, states[-1], pooler, batch), batch))
    named = (first, "last", "mean") if tower.modality == "text" else ("cls", "mean")
    for spec in (*(["pooler"] if pooler is not None else []), *named):
        for given, head in heads.items():
            try:
                readout = _readout(spec, tower, pooler, over)
                logits = [head(readout(one)) for one in states]
            except (ClasstokenError, RuntimeError):  # a token that is not there, a vector of another size
                continue
            if all(_equal(a, b) for a, b in zip(logits, wanted, strict=True)):
                return {"reads": spec, "given": given}
    return None


def _all_of(tower: LoadedTower, states: States, pooler: OwnPooler | None, batch: Mapping[str, Tensor]) -> Any:
    """What transformers' own encoder gives for a batch; of a native one its states, which are proved to be the same."""
    if tower.loaded.family is None:
        return tower.loaded.encoder.model(**batch)
    return output_of(states.last_BLD, None if pooler is None else pooler(states))


def _inputs(tower: LoadedTower, first: str) -> Iterator[tuple[Tokens, dict[str, Tensor]]]:
    """Random inputs, one a batch, as they are given here and there."""
    encoder, config = tower.loaded.encoder, tower.config
    if tower.modality == "image":
        roles = torch.tensor([[int(role) for role in encoder.layout.roles()]])
        for seed in range(len(LENGTHS)):
            batch = encoder.random_input(seed)
            yield Tokens(roles, pixels=batch["pixel_values"], grid=encoder.layout.grid), batch
        return
    called = {config.get(f"{name}_token_id") for name in ("pad", "bos", "eos", "sep", "cls", "mask")}
    usable = torch.tensor([n for n in range(encoder.vocabulary or 256) if n not in called])
    for seed, length in enumerate(LENGTHS):
        picked = torch.randint(len(usable), (1, length), generator=torch.Generator().manual_seed(seed))
        ids = usable[picked]
        roles = torch.full_like(ids, int(Role.CONTENT))
        if first == "cls":
            roles[:, 0] = int(Role.CLASS)
        yield Tokens(roles, ids_BL=ids), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def _equal(found: Tensor, wanted: Tensor) -> bool:
    if found.shape != wanted.shape or found.dim() != 2:
        return False
    return float((found - wanted).abs().max()) <= EQUAL * float(wanted.abs().max().clamp(min=1e-12))
