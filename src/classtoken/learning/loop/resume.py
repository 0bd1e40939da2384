"""Checkpoints that survive a kill at any moment, and the same next step after it."""

from pathlib import Path
from typing import Any

import torch

from classtoken.errors import ManifestMismatch, TrainingError
from classtoken.files import whole_file

NAME = "checkpoint.pt"
FORMAT = 4
"""of what stands in it"""


def save(folder: Path, state: dict[str, Any]) -> Path:
    """Write a checkpoint so that at every moment either the old or the new one is whole."""
    path = folder / NAME
    with whole_file(path) as temporary:
        torch.save({"format": FORMAT, **state}, temporary)
    return path


def load(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """The checkpoint of a run, or None; one of another run (recipe, records, versions) is refused by name."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise TrainingError(
            f"the checkpoint '{path}' cannot be read ({type(error).__name__}). "
            "Delete it to begin anew, or give another folder."
        ) from error
    if state.get("format") != FORMAT:
        raise ManifestMismatch(
            f"'{path}' was written by another version. Delete it to begin anew, or give another folder."
        )
    if state.get("fingerprint") != fingerprint:
        raise ManifestMismatch(
            f"'{path}' belongs to another run (recipe, records or model differ). "
            "Give the same ones, another folder, or delete it."
        )
    return state
