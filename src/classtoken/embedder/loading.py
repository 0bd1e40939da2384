"""A model's name, or its spec -> an `Embedder` under its contract."""

from dataclasses import replace
from pathlib import Path

from classtoken.contract.model import read_model
from classtoken.embedder.embedder import Embedder
from classtoken.embedder.spec import ModelSpec
from classtoken.embedder.tower import Tower, preprocessor
from classtoken.encoder.locate import locate
from classtoken.errors import OptionError
from classtoken.values import Precision


def load(
    model: str | Path | ModelSpec | Embedder,
    *,
    pooling: str | None = None,
    precision: Precision = "fp32",
    device: str | None = None,
    revision: str | None = None,
    normalize: bool | None = None,
) -> Embedder:
    """Load a MODEL (folder, hub id, `builtin:NAME`), or what a `ModelSpec` says, under its contract.

    pooling: read out something else than the contract's vector. normalize: unit length or not, whatever the contract
    says. An `Embedder` is given back as it is. Raises `ModelError` and its kin, `VectorRefused`, `ContractError`, and
    `OptionError` for keywords beside a spec or an embedder, which have their own.
    """
    asked = ModelSpec("", pooling, normalize, precision, device, revision)
    if isinstance(model, ModelSpec | Embedder):
        if asked != ModelSpec(""):
            raise OptionError(
                f"{'an Embedder' if isinstance(model, Embedder) else 'a ModelSpec'} has its own pooling, normalize, "
                "precision, device and revision; give them to load() or ModelSpec()."
            )
        if isinstance(model, Embedder):
            return model
    spec = model if isinstance(model, ModelSpec) else replace(asked, model=str(model))
    folder = locate(spec.model, spec.revision)
    towers = {reading.modality: Tower(reading, preprocessor(folder, reading)) for reading in read_model(folder)}
    return Embedder(spec, folder, towers)
