"""What makes two trainings the same work, and the refusal of a folder that holds another one."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

import classtoken
from classtoken.errors import ClasstokenError, ManifestMismatch
from classtoken.fingerprint import hash_value
from classtoken.learning.recipe import Recipe
from classtoken.results.base import Result, write
from classtoken.values import Record

CODE = f"classtoken {classtoken.__version__}, torch {torch.__version__}"
FILE = "_meta/work.json"
BY_CONTENT = ("start", "objective.teacher", "data.unlabelled")
"""fields that name what is compared by what it holds"""
UNREADABLE = b"\0unreadable"


class RecordsRead:
    """What the records of a run hold, noted while they pass by: ids and contents, and their labels beside."""

    def __init__(self) -> None:
        self._contents, self._labels = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)

    def noted(self, records: Iterable[Record]) -> Iterator[Record]:
        """The same records, in the same order."""
        for record in records:
            self._contents.update(json.dumps([record.id, record.text]).encode() + _image(record))
            self._labels.update(json.dumps([record.label, record.group], default=list).encode())
            yield record

    @property
    def contents(self) -> str:
        """A hash of ids, texts and the bytes of image files."""
        return self._contents.hexdigest()

    @property
    def labels(self) -> str:
        """A hash of labels and groups in the records' order."""
        return self._labels.hexdigest()


def _image(record: Record) -> bytes:
    if not isinstance(record.image, Path):
        return record.image or b""
    try:
        return hashlib.blake2b(record.image.read_bytes()).digest()
    except OSError:
        return UNREADABLE  # whoever decodes it rejects the record with the reason


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
        """The names of what differs; a field of the recipe by its own name."""
        names = [
            field.name
            for field in dataclasses.fields(self)
            if field.name != "recipe" and getattr(self, field.name) != getattr(other, field.name)
        ]
        fields = sorted(self.recipe.keys() | other.recipe.keys())
        return (*names, *(f"recipe.{name}" for name in fields if self.recipe.get(name) != other.recipe.get(name)))

    def hash(self) -> str:
        """All of it in 32 signs."""
        return hash_value(self.to_dict())

    def claim(self, folder: Path) -> None:
        """Write down that a folder is of this work. Raises `ManifestMismatch` for a folder of another one, naming what
        differs."""
        path = folder / FILE
        if path.exists():
            try:
                before = Work.from_json(path.read_text(encoding="utf-8"))
            except ClasstokenError as error:
                raise ManifestMismatch(
                    f"'{path}' was written by another version. Delete '{folder}' to begin anew, or give another folder."
                ) from error
            if different := before.differences(self):
                raise ManifestMismatch(
                    f"'{folder}' belongs to another run: {', '.join(different)} differ"
                    f"{'s' * (len(different) == 1)}. Give the same, another folder, or delete it."
                )
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        write(self, path)


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
