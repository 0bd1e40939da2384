"""A model's name -> an `Embedder` under its contract."""

from pathlib import Path

from classtoken.contract.model import read_model
from classtoken.embedder.embedder import Embedder, Precision
from classtoken.embedder.tower import Tower, preprocessor
from classtoken.encoder.locate import locate


def load(
    model: str | Path,
    *,
    pooling: str | None = None,
    precision: Precision = "fp32",
    device: str | None = None,
    revision: str | None = None,
    normalize: bool | None = None,
) -> Embedder:
    """Load a MODEL (folder, hub id, `builtin:NAME`) under its contract.

    pooling: read out something else than the contract's vector. normalize: unit length or not, whatever the contract
    says. Raises `ModelError` and its kin, `VectorRefused`, `ContractError`.
    """
    folder = locate(model, revision)
    towers = {reading.modality: Tower(reading, preprocessor(folder, reading)) for reading in read_model(folder)}
    return Embedder(
        folder, towers, name=str(model), pooling=pooling, precision=precision, device=device, normalize=normalize
    )
