"""What a folder of vectors is: how it was made, from what, and which files belong to it."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classtoken.errors import ClasstokenError, ManifestMismatch, OutputError, StoreError
from classtoken.fingerprint import Fingerprint, hash_value
from classtoken.places import Place, place_of
from classtoken.results.base import Result
from classtoken.results.embed import Sampled
from classtoken.sink.numbers import Ranges, Store
from classtoken.values import Rejected

#: The folder below a folder of vectors that holds everything but the vectors. Readers of Parquet folders skip names
#: that begin so.
META = "_meta"
NAME = "manifest.json"
#: Written when what a folder looks like changes, so that no version misreads another's.
FORMAT = 2


@dataclass(frozen=True)
class Part:
    """One finished file: `checksum` is BLAKE2b over its bytes.

    `refused` counts the records of its task that are not in it, `cut` those that were longer than the model takes,
    `clipped` the numbers that lay outside of the folder's ranges, `extra` the rows beyond one for each record. `stamp`
    is that of its task: a task of the same stamp has the same rows. `made_of` is the checksum of its ledger.
    """

    task: int
    file: str = ""
    rows: int = 0
    bytes: int = 0
    checksum: str = ""
    refused: int = 0
    cut: int = 0
    clipped: int = 0
    extra: int = 0
    stamp: str = ""
    made_of: str = ""


@dataclass(frozen=True)
class Receipt(Result):
    """Says that a task is done: its part will outlive a crash, and these records are not in it; `lineage` is that of
    the folder's manifest, `times` those of the source's files as whoever did the task listed them. `refused_of` says
    of each refused record what it held, as a hash; nothing where it could not be read. Receipts of older versions,
    and of tasks that nobody could do, do not say it."""

    part: Part
    refused: tuple[Rejected, ...]
    lineage: str = ""
    times: str = ""
    refused_of: tuple[str, ...] = ()

    @property
    def may_pass(self) -> bool:
        """Whether it lacks records only for what lay around them, so that they are worth another look."""
        return any(entry.passing for entry in self.refused)


@dataclass(frozen=True)
class Manifest(Result):
    """`_meta/manifest.json`. `columns` are the vectors' columns with their sizes; `plan` is the hash of the work.

    `carried` are the columns kept beside the vectors, and before them those of `beside`: label, group or both, as the
    source has them. `called` says which of its columns held what: the part of a record (id, text, image, label, group)
    -> the column. `accepted` are keys of the model's files, FILE:KEY, that are not
    understood here and that the user vouched for. `parts` are listed once the run is `complete`; until then a
    finished file is known by its receipt. `kept` rows are of records that the source no longer has. `times` are those
    of the source's files (`source.Listing`).

    `lineage` is a hash of the folder's name and plan when it was begun, and stays with it, whatever becomes of either:
    receipts of another folder count for nothing, and a manifest that was copied from elsewhere has none.

    `asked` is a hash of the model's files and the options, by which a finished folder is known without opening either.

    `extra` counts rows, refused ones among them, beyond one for each record: texts that are cut into chunks. `tokens`
    is the size of the states of all tokens that are kept beside the vectors, 0 where they are not.

    `store` says in which numbers vectors are stored; of bytes, `ranges` are what they stand for in each column, and
    `clipped` counts numbers that lay outside. `sampled` is what was measured on some records before the run.
    `products` says by which means the blocks' matrix products were computed where the run was begun. `seal` is a hash
    of everything else that is written here but the lineage, put to it when the run is complete.
    """

    model: str
    revision: str | None
    source: str
    kind: str
    columns: Mapping[str, int]
    fingerprint: Fingerprint
    plan: str
    tasks: int
    total: int
    carried: tuple[str, ...] = ()
    prompt: str | None = None
    accepted: tuple[str, ...] = ()
    complete: bool = False
    rows: int = 0
    refused: int = 0
    cut: int = 0
    parts: tuple[Part, ...] = ()
    kept: int = 0
    store: Store = "fp32"
    ranges: Mapping[str, Ranges] = field(default_factory=dict)
    clipped: int = 0
    sampled: Mapping[str, Sampled] = field(default_factory=dict)
    times: str = field(default="", compare=False)
    products: str = field(default="", compare=False)
    extra: int = 0
    tokens: int = 0
    lineage: str = field(default="", compare=False)
    asked: str = field(default="", compare=False)
    beside: tuple[str, ...] = ("label", "group")
    called: Mapping[str, str] = field(default_factory=dict, compare=False)
    seal: str = field(default="", compare=False)
    format: int = FORMAT

    def differences(self, there: "Manifest") -> tuple[str, ...]:
        """What differs in the vectors `there`, as `name there instead of here`, hashes put into words."""
        parts = list(self.fingerprint.differences(there.fingerprint))
        names: tuple[str, ...] = ("source", "total", "tasks") if there.plan != self.plan else ()
        plan = [self._difference(there, name) for name in names if getattr(there, name) != getattr(self, name)]
        if there.plan != self.plan:
            parts += plan or ["records of the same number and other contents, labels or columns"]
        # Other poolings have other columns: once is enough.
        names = ("carried", "store", "tokens") if parts else ("columns", "carried", "store", "tokens")
        parts += [self._difference(there, name) for name in names if getattr(there, name) != getattr(self, name)]
        if not set(self.beside) <= set(there.beside):  # one that the source no longer has stays, and is empty
            parts.append(self._difference(there, "beside"))
        return tuple(parts)

    def own_name(self, column: str) -> str:
        """What a column is called here that goes by that name in the source: `label` for what `called` says."""
        here = ("id", *self.columns, *self.beside, *self.carried)
        return column if column in here else {name: part for part, name in self.called.items()}.get(column, column)

    def _difference(self, there: "Manifest", name: str) -> str:
        words = {"total": "records", "tasks": "parts", "tokens": "token states of size", "beside": "columns"}.get(
            name, name
        )
        return f"{words} {_shown(getattr(there, name))} instead of {_shown(getattr(self, name))}"

    def refuse_others(self, there: "Manifest", place: object) -> None:
        """Raise `ManifestMismatch` naming what differs, when the vectors `there` were made in another way."""
        if parts := self.differences(there):
            raise ManifestMismatch(
                f"{place} holds vectors made with {'; '.join(parts)}. Give another folder, or set `overwrite` to "
                "replace them."
            )


def has_manifest(place: Place) -> bool:
    """Whether a folder has a manifest, readable or not."""
    return f"{META}/{NAME}" in place.sizes(META)


def write_manifest(place: Place, manifest: Manifest) -> None:
    """Put a manifest into a folder of vectors. Raises `OutputError`."""
    sealed = dataclasses.replace(manifest, seal=_seal_of(json.loads(manifest.to_json())))
    place.put(f"{META}/{NAME}", f"{sealed.to_json()}\n".encode())


def is_as_sealed(place: Place) -> bool:
    """Whether a manifest says what it said when it was written, as far as it has a seal."""
    plain = json.loads(place.read(f"{META}/{NAME}"))
    return not plain.get("seal") or plain["seal"] == _seal_of(plain)


def _seal_of(plain: dict[str, Any]) -> str:
    # The lineage is that of the place, and receipts have it too: equal work has equal seals.
    return hash_value({name: value for name, value in plain.items() if name not in ("seal", "lineage")})


def read_manifest(folder: str | Path | Place) -> Manifest:
    """The manifest of a folder of vectors. Raises `OutputError` when there is none or it cannot be read."""
    place = place_of(folder)
    path = f"{place.name}/{META}/{NAME}"
    try:
        text = place.read(f"{META}/{NAME}").decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        refuse_first_format(place)
        raise OutputError(
            f"{place.name} holds no vectors (no {META}/{NAME}); give a folder that `classtoken embed` made."
        ) from None
    except StoreError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(f"{path} cannot be read: {error}; put it back, or embed into a new folder.") from error
    try:
        plain: Any = json.loads(text)
        number = plain.get("format") if isinstance(plain, dict) else None
        if isinstance(number, int) and number != FORMAT:
            raise OutputError(f"{path} has format {number}, and this version reads {FORMAT}; embed anew.")
        return Manifest.from_dict(plain)
    except OutputError:
        raise
    except (ClasstokenError, ValueError, RecursionError) as error:
        raise OutputError(f"{path} cannot be read: {error}; put it back, or embed into a new folder.") from error


def refuse_first_format(place: Place) -> None:
    """Raise `OutputError` for a folder of the first format, which had its manifest on top and columns `meta.NAME`."""
    names = place.sizes()
    if NAME in names and any(name.startswith("part-") for name in names):
        raise OutputError(
            f"{place.name} was written by an older classtoken ({NAME} on top, columns named meta.*), which this "
            "version does not read; embed anew into another folder."
        )


def summed(manifest: Manifest, parts: tuple[Part, ...]) -> Manifest:
    """The manifest of a finished run."""
    return dataclasses.replace(
        manifest,
        complete=True,
        parts=parts,
        rows=sum(part.rows for part in parts),
        refused=sum(part.refused for part in parts),
        cut=sum(part.cut for part in parts),
        clipped=sum(part.clipped for part in parts),
        extra=sum(part.extra for part in parts),
    )


def _shown(value: object) -> str:
    """Names and sizes without Python's brackets."""
    if isinstance(value, Mapping):
        value = ",".join(f"{name} ({size})" for name, size in value.items())
    elif isinstance(value, tuple):
        value = ",".join(value)
    return f"'{value}'"
