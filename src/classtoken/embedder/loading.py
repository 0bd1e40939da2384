"""A model's name, or its spec -> an `Embedder` under its contract."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

import torch

from classtoken.activity import activity
from classtoken.contract.company import settle_company
from classtoken.contract.model import read_model
from classtoken.contract.settling import Side, settle
from classtoken.embedder.embedder import Embedder
from classtoken.embedder.routes import TextRoutes, routes_of
from classtoken.embedder.spec import ModelSpec
from classtoken.embedder.tower import Tower, preprocessor
from classtoken.encoder.locate import locate
from classtoken.errors import ClasstokenError, ContractError, ModelError, OptionError
from classtoken.model_folder import watching
from classtoken.options.keywords import with_hints
from classtoken.values import Precision


@with_hints
def load(
    model: str | Path | ModelSpec | Embedder,
    *,
    pooling: str | None = None,
    precision: Precision = "fp32",
    device: str | None = None,
    revision: str | None = None,
    normalize: bool | None = None,
    accept: str | Sequence[str] = (),
    max_length: int | None = None,
) -> Embedder:
    """Load a MODEL (folder, hub id, `builtin:NAME`), or what a `ModelSpec` says, under its contract.

    pooling: read out something else than the contract's vector. normalize: unit length or not, whatever the contract
    says. accept: keys of the model's files that are not understood here (`inspect` lists them) and that you know to
    move no vector. max_length: most tokens of a text, in the place of the files' limit and up to the positions that
    there are. An `Embedder` is given back as it is. Raises `ModelError`, `VectorRefused`, `ContractError`, and
    `OptionError` for keywords beside a spec or an embedder, which have their own.
    """
    keys = (accept,) if isinstance(accept, str) else tuple(accept)
    asked = ModelSpec("", pooling, normalize, precision, device, revision, keys, max_length)
    if isinstance(model, ModelSpec | Embedder):
        if asked != ModelSpec(""):
            raise OptionError(
                f"{'an Embedder' if isinstance(model, Embedder) else 'a ModelSpec'} has its own pooling, normalize, "
                "precision, device, revision, accept and max_length; give them to load() or ModelSpec()."
            )
        if isinstance(model, Embedder):
            return model
    if not isinstance(model, ModelSpec | str | PathLike):
        raise OptionError(
            f"`model` is of type {type(model).__name__}; give a folder, a hub id, builtin:NAME, a ModelSpec or an "
            "Embedder. A model of another library is saved as a folder first."
        )
    spec = model if isinstance(model, ModelSpec) else replace(asked, model=str(model))
    embedder = open_model(spec)
    every = (embedder, *embedder.routes.values())
    refusals = [line for one in every for tower in one.towers.values() for line in tower.reading.refusals]
    if refusals:
        raise ContractError(f"'{spec.model}' gives no vector: {refusals[0]}")
    return embedder


def load_again(spec: ModelSpec, identity: Mapping[str, tuple[str, tuple[str, ...]]]) -> Embedder:
    """What a pickled `Embedder` was: its model loaded from where it lies, with the sides that it had.

    Raises `ModelError` where that is another model now, or was changed in memory, and what `load` raises.
    """
    embedder = load(spec)
    if set(identity) < set(embedder.towers):
        embedder = embedder.side(next(iter(identity)))
    if embedder._identity() != identity:
        raise ModelError(
            f"the model '{spec.model}' is not the one that was pickled: its files have changed, or it was changed in "
            "memory, and an Embedder is pickled as its name and options, without weights. Save it as a folder (save) "
            "and load that."
        )
    return embedder


def open_model(spec: ModelSpec) -> Embedder:
    """The embedder of a spec, also where its vectors are refused: for `inspect`, which says why."""
    with activity(f"loading {Path(spec.model).name}"):
        return _opened(spec)


def _opened(spec: ModelSpec) -> Embedder:
    folder = locate(spec.model, spec.revision)
    routes = routes_of(folder)
    if routes is None:
        if spec.route is not None:
            raise OptionError(f"'{spec.model}' has no route '{spec.route}': it reads all texts in one way.")
        return _of_folder(spec, folder)
    return _routed(spec, folder, routes)


def _routed(spec: ModelSpec, folder: Path, routes: TextRoutes) -> Embedder:
    """The embedder of the route that is asked for, or of the usual one, with all of them beside it."""
    found = {}
    for name, place in routes.folders.items():
        try:
            found[name] = _of_folder(replace(spec, route=name), place)
        except ClasstokenError as error:  # the files lie in the model's own folder too, under the same names
            raise type(error)(f"the route '{name}': {error}".replace(str(place), str(folder))) from error
    if spec.route is not None and spec.route not in found:
        raise OptionError(f"'{spec.model}' has no route '{spec.route}'; it has {', '.join(map(repr, found))}.")
    for embedder in found.values():
        embedder.routes, embedder.usual_route = found, routes.default
    return found[spec.route or routes.default or next(iter(found))].on_route(spec.route)


def _of_folder(spec: ModelSpec, folder: Path) -> Embedder:
    # New modules draw random numbers before the file's replace them: not the caller's.
    with watching() as opened, torch.random.fork_rng(devices=[]):
        try:
            sides = [Side(reading, preprocessor(folder, reading, spec.max_length)) for reading in read_model(folder)]
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise ModelError(
                f"'{folder}' cannot be read: one of its files holds something of an unexpected kind, '{opened.last}' "
                f"was read last ({type(error).__name__}: {' '.join(str(error).split()):.160}). Copy its .json files "
                "again."
            ) from error
    if spec.max_length is not None and all(side.reading.modality != "text" for side in sides):
        raise OptionError(f"`max_length` is for texts, and '{spec.model}' reads images; leave it out.")
    settle(folder, sides, opened, spec.accept, lambda reading: preprocessor(folder, reading, spec.max_length))
    settle_company(folder, [side.reading for side in sides])
    return Embedder(spec, folder, {side.reading.modality: Tower(side.reading, side.prepare) for side in sides})
