"""What a folder of vectors is: how it was made, from what, and which files belong to it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from classtoken.errors import ClasstokenError, ManifestMismatch, OutputError
from classtoken.fingerprint import Fingerprint
from classtoken.results.base import Result

NAME = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Part:
    """One finished file: `checksum` is BLAKE2b over its bytes.

    `refused` counts the records of its task that are not in it, `cut` those that were longer than the model takes.
    """

    task: int
    file: str
    rows: int
    bytes: int
    checksum: str
    refused: int
    cut: int = 0


@dataclass(frozen=True)
class Manifest(Result):
    """`manifest.json`. `columns` are the vectors' columns with their dimensions; `plan` is the hash of the work.

    `parts` are listed once the run is `complete`; until then a finished file is known by its receipt.
    """

    model: str
    revision: str | None
    source: str
    kind: str
    columns: Mapping[str, int]
    made_by: Fingerprint
    plan: str
    tasks: int
    total: int
    prompt: str | None = None
    complete: bool = False
    rows: int = 0
    refused: int = 0
    cut: int = 0
    parts: tuple[Part, ...] = ()
    format: int = FORMAT

    def refuse_others(self, there: "Manifest", folder: Path) -> None:
        """Raise `ManifestMismatch` naming what differs, when the vectors `there` were made in another way."""
        parts = list(self.made_by.differences(there.made_by))
        parts += [
            f"{name} {str(getattr(there, name))!r} instead of {str(getattr(self, name))!r}"
            for name in ("plan", "columns")
            # Other poolings have other columns: once is enough.
            if getattr(there, name) != getattr(self, name) and not (name == "columns" and parts)
        ]
        if parts:
            plan = " (another plan: the source has changed, or --limit)" if there.plan != self.plan else ""
            raise ManifestMismatch(
                f"{folder} holds vectors made with {'; '.join(parts)}{plan}. Give another folder, or remove this one."
            )


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder of vectors. Raises `OutputError` when there is none or it cannot be read."""
    path = folder / NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise OutputError(
            f"{folder} holds no vectors (no {NAME}); give a folder that `classtoken embed` made."
        ) from None
    try:
        manifest = Manifest.from_json(text)
    except ClasstokenError as error:
        raise OutputError(f"{path} cannot be read: {error}") from error
    if manifest.format != FORMAT:
        raise OutputError(f"{path} has format {manifest.format}, this version reads {FORMAT}; embed anew.")
    return manifest


def summed(manifest: Manifest, parts: tuple[Part, ...]) -> Manifest:
    """The manifest of a finished run."""
    return dataclasses.replace(
        manifest,
        complete=True,
        parts=parts,
        rows=sum(part.rows for part in parts),
        refused=sum(part.refused for part in parts),
        cut=sum(part.cut for part in parts),
    )
