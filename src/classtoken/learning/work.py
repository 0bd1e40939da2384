"""What makes two trainings the same work, and the refusal of a folder that holds another one."""

import dataclasses
import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from classtoken.destination import entries, refuse_strangers
from classtoken.errors import ClasstokenError, ManifestMismatch, OutputError
from classtoken.files import UNFINISHED, alone, flush_folder, link_or_copy, whole_folder, write_text
from classtoken.fingerprint import hash_value
from classtoken.learning.recipe import Recipe
from classtoken.model_folder import BEFORE, BEGUN, TRAINING, WORK, WRITING
from classtoken.plain import to_json
from classtoken.results.base import Result, write
from classtoken.results.train import TrainResult
from classtoken.source.contents import content_of
from classtoken.values import Content, Record
from classtoken.version import __version__

LOG = logging.getLogger("classtoken")
CODE = f"classtoken {__version__}, torch {torch.__version__}"
FILE, FILES = WORK, "_meta/files.json"
HELD = f"_meta/.training{UNFINISHED}"
"""there while a process trains in the folder"""
FEATURES = "features"
DURING = frozenset({"_meta", FEATURES, "checkpoint.pt", "log.csv", "tokenizer.json", "tokenizer_config.json"})
"""what is in the folder of a training that has not finished"""
BY_CONTENT = ("start", "objective.teacher", "data.unlabelled")
"""fields that name what is compared by what it holds"""
GOING_ON = ("loop.epochs", "loop.patience", "loop.accumulate", "loop.batch", "loop.recompute")
"""fields that a run of steps may be given anew: it goes on from its last step"""
UNREADABLE = b"\0unreadable"  # whoever decodes it rejects the record with the reason


class FinishedBefore(Exception):
    """The folder holds what this very work has made; `result` is what was found."""

    def __init__(self, result: TrainResult):
        super().__init__(str(result.out))
        self.result = result


class HeldFolder(ExitStack):
    """The folder of a training, which no other process trains in from its first file to the end of the block."""

    def __init__(self) -> None:
        super().__init__()
        self._held = False
        self.claimed = False
        """whether it is this training's, and what was there before has gone"""

    def take(self, folder: Path) -> None:
        """Keep others out from now on, if they are not yet. Raises `OutputError` where one is at it."""
        if not self._held and not self.enter_context(alone(folder / HELD)):
            raise OutputError(f"another training is at work in '{folder}'; wait for it, or give another folder.")
        self._held = True


class RecordsRead:
    """What the records of a run hold, noted while they pass by: ids and contents, and their labels beside; each goes on
    with its `content`, by which copies are known."""

    def __init__(self) -> None:
        self.seen = set[bytes]()
        self._contents, self._labels = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)

    def noted(self, records: Iterable[Record], columns: Sequence[str] = ()) -> Iterator[Record]:
        """The same records, in the same order; `columns` are further ones that are learned from."""
        for record in records:
            more = [record.meta[name] for name in columns if name in record.meta]
            content = content_of(record)
            held = b"" if record.image is None else UNREADABLE if content is None else content.hash
            self._contents.update(json.dumps([record.id, record.text, *more], default=str).encode() + held)
            self._labels.update(json.dumps([record.label, record.group], default=list).encode())
            if content is not None:
                self.seen.add(content.hash)
                if more:
                    content = Content(bytes.fromhex(hash_value([content.hash.hex(), *map(str, more)])))
            yield dataclasses.replace(record, content=content)

    @property
    def contents(self) -> str:
        """A hash of ids, texts and the bytes of image files."""
        return self._contents.hexdigest()

    @property
    def labels(self) -> str:
        """A hash of labels and groups in the records' order."""
        return self._labels.hexdigest()


@dataclasses.dataclass(frozen=True)
class Work(Result):
    """One training as what decides its outcome, each part as a short text or a hash.

    `records` and `labels` by content, `model` by its weights (those that a recipe's `start` gives included), `teacher`
    by its weights or answers, `preparation` is tokenizer or image preprocessing, `recipe` its fields that decide the
    weights, `code` the versions of classtoken and torch.
    """

    records: str
    labels: str
    model: str
    teacher: str
    preparation: str
    recipe: Mapping[str, str]
    code: str = dataclasses.field(default_factory=lambda: CODE)

    def differences(self, other: "Work") -> tuple[str, ...]:
        """What differs: of what is a hash that it is another one, else both values; a field of the recipe by its own
        name."""
        names = [
            f"code {self.code} instead of {other.code}" if field.name == "code" else _differs(field.name)
            for field in dataclasses.fields(self)
            if field.name != "recipe" and getattr(self, field.name) != getattr(other, field.name)
        ]
        fields = sorted(self.recipe.keys() | other.recipe.keys())
        nothing = "nothing"
        return (
            *names,
            *(
                f"recipe.{name} {self.recipe.get(name, nothing)} instead of {other.recipe.get(name, nothing)}"
                for name in fields
                if self.recipe.get(name) != other.recipe.get(name)
            ),
        )

    def _unlike(self, path: Path) -> tuple[str, ...]:
        """What differs in the work that is written down at `path`."""
        try:
            return Work.from_json(path.read_text(encoding="utf-8")).differences(self)
        except (ClasstokenError, OSError, ValueError):
            return (f"what '{path}' says of it cannot be read",)

    def hash(self) -> str:
        """What its steps are known by, in 32 signs: all of it but how far they go."""
        steady = {name: value for name, value in self.recipe.items() if name not in GOING_ON}
        return hash_value(dataclasses.replace(self, recipe=steady).to_dict())

    def whole_hash(self, half: bool) -> str:
        """What a finished folder of it is known by: all of it, and in which numbers its weights are written."""
        return hash_value([self.to_dict(), half])

    def finished(self, folder: Path, half: bool) -> TrainResult | None:
        """What this very work has found, where a folder holds all of it."""
        if (folder / WRITING).exists():
            return None
        try:
            record = json.loads((folder / TRAINING).read_text(encoding="utf-8"))
            there = _listed(folder)
            whole = there is not None and all((folder / name).exists() for name in there)
            if record.get("work") != self.whole_hash(half) or not whole:
                return None
            return TrainResult.from_json((folder / "result.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, AttributeError, ClasstokenError):
            return None

    def claim(self, folder: Path, *, overwrite: bool = False, may_differ: Sequence[str] = ()) -> None:
        """Write down that a folder is of this work; fields of the recipe that `may_differ` are written anew.

        Raises `ManifestMismatch` for a folder of another one, naming what differs; with `overwrite` what it holds is
        removed, of this very work too: it is done anew. A whole model is kept in `_meta/before` until the new one is.
        """
        path = folder / FILE
        if path.exists():
            unlike = self._unlike(path)
            allowed = tuple(f"recipe.{name} " for name in may_differ)
            if not overwrite and (different := [what for what in unlike if not what.startswith(allowed)]):
                raise ManifestMismatch(
                    f"'{folder}' belongs to another run: {'; '.join(different)}. Give the same, another folder, or set "
                    "`overwrite` to replace it."
                )
            if overwrite:  # nothing of its steps stays; vectors of a frozen model are those that would be made again
                check_training(folder, overwrite=True)
                _keep(folder)
                _remove(folder, _ours(folder) - (set() if unlike else {FEATURES}))
        path.parent.mkdir(parents=True, exist_ok=True)
        write(self, path)


def check_training(folder: Path, *, overwrite: bool = False) -> None:
    """Raise `OutputError` for a folder that is not empty and holds no training, or nothing that says which; before any
    work.

    With `overwrite`, whose results would be removed, for one that holds anything besides, too.
    """
    begun = any((folder / name).exists() for name in (FILE, BEGUN))
    if not begun and (folder / TRAINING).exists():
        raise OutputError(
            f"'{folder}' holds a trained model without '{FILE}', which says what it was made of. Nothing there is "
            "touched; give a new folder."
        )
    if not begun:
        refuse_strangers(folder, entries(folder), "a trained model")
    elif overwrite:
        if (folder / FILES).exists() and _listed(folder) is None:
            raise OutputError(
                f"'{folder / FILES}' cannot be read, which lists what in '{folder}' is the training's own. Nothing "
                "there is touched; give a new folder."
            )
        refuse_strangers(folder, entries(folder) - _ours(folder), "results of classtoken alone")


def begin_folder(folder: Path) -> None:
    """Make a folder that is known to be a training's before its work is."""
    (folder / BEGUN).parent.mkdir(parents=True, exist_ok=True)
    if not (folder / FILE).exists():
        (folder / BEGUN).touch()


@contextmanager
def being_written(folder: Path) -> Iterator[None]:
    """A block that writes a model into a folder, which may hold an earlier one: a model is several files, and until the
    last is there nobody opens a mixture of two (`locate`). Where the block fails, so it stays; where it ends, the model
    that was there before is no longer kept."""
    mark = _mark_writing(folder)
    yield
    mark.unlink()
    flush_folder(mark.parent)
    shutil.rmtree(folder / BEFORE, ignore_errors=True)


def _mark_writing(folder: Path) -> Path:
    """From now on nobody opens the model in a folder."""
    mark = folder / WRITING
    mark.parent.mkdir(parents=True, exist_ok=True)
    write_text(mark, "")
    return mark


def list_files(folder: Path) -> None:
    """Write down what a finished training has put into its folder, which is all that is there the first time."""
    if _listed(folder) is None:
        write_text(folder / FILES, to_json(sorted(entries(folder))) + "\n")


def _ours(folder: Path) -> set[str]:
    """What a training has put into a folder."""
    return {*(_listed(folder) or ()), *DURING}


def _listed(folder: Path) -> list[str] | None:
    """What a finished training has written down that it has put there; None where that cannot be read."""
    try:
        names = json.loads((folder / FILES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def whole_model(folder: Path) -> Path | None:
    """Where the model of a folder lies that is trained anew: where it was, or put aside; None where there was none."""
    if (folder / TRAINING).exists() and not (folder / WRITING).exists():
        return folder
    return folder / BEFORE if (folder / BEFORE).exists() else None


def _keep(folder: Path) -> None:
    """Put the whole model of a folder below it, and say where: it is lost neither where the new training fails, nor
    where that is stopped for good. Files are linked where they can be, and take no room twice."""
    if whole_model(folder) != folder:
        return
    place, names = folder / BEFORE, _ours(folder) - {FEATURES, "checkpoint.pt"}
    with whole_folder(place, replacing=True) as kept:  # which removes what a kill has left of an earlier one
        inside = [path for name in names for path in (folder / name, *(folder / name).rglob("*"))]
        for path in inside:
            if path.is_file() and path.suffix != UNFINISHED and not {place, kept} & {*path.parents}:
                to = kept / path.relative_to(folder)
                to.parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(path, to)
    LOG.warning("the model that was in '%s' is kept in '%s' until the new one is whole", folder, place)


def _remove(folder: Path, names: Iterable[str]) -> None:
    """Remove what a training has put into a folder, but for the work that it was of, which the next one is written in
    the place of: a kill in between leaves a folder that is known, and that nobody opens. What is kept of the model
    before stays."""
    if (folder / TRAINING).exists():
        _mark_writing(folder)
    last = [folder / name for name in (WRITING, FILES, BEGUN)]
    below, stays = (folder / FILE).parent, [*last, *(folder / name for name in (FILE, HELD, BEFORE))]
    others = [folder / name for name in names if folder / name != below]
    for path in (*others, *(path for path in below.glob("*") if path not in stays), *last):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _differs(name: str) -> str:
    return f"{name} differ{'s' * (not name.endswith('s'))}"


def essence_of(recipe: Recipe) -> dict[str, str]:
    """The fields of a recipe that decide the weights, by their names, as JSON."""
    fields = {name: json.dumps(value, sort_keys=True) for name, value in _flat("", recipe.essence())}
    return {name: value for name, value in fields.items() if name not in BY_CONTENT}


def _flat(before: str, plain: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in plain.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{before}{name}.", value)
        else:
            yield before + name, value
