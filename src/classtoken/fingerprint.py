"""Which weights, contract, inputs and code made a vector, and with which others it may be compared."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from classtoken.results.base import Result
from classtoken.version import NUMBERS, __version__

_BLOCK = 1 << 20


HASHED = ("weights", "preprocessing")
"""fields of a fingerprint that are hashes"""


@dataclasses.dataclass(frozen=True)
class Fingerprint(Result):
    """What decides a vector's numbers, each part as a short text or a hash.

    `weights` hashes the checkpoint's tensors, `contract` the readout, `preprocessing` how texts or images become
    tokens, `prompt` what is put before each text; `poolings` are canonical names, `normalize` is None where the
    contract decides; `accepted` are keys of the model's files that are not understood here and that the user vouched
    for (`accept`), each as FILE:KEY; `numbers` is raised when the code gives other vectors for the same input. The
    device is not in it: it moves the last digits only. `version` is classtoken's, to be read by people: another version
    that gives the same vectors makes the same fingerprint.

    `chunks` says how long texts were cut into chunks, nothing where they were not.

    `dim` is to how many of its first numbers a vector was cut, and made unit again; None for the whole of it.

    `spaces` says of each vector which others it may be compared with: those whose space is equal. Weights, contract,
    pooling, projection, unit length and size decide it; prompts, preprocessing, precision and batches do not,
    and the two sides of a model that meet in one space share it.
    """

    weights: str
    contract: str
    preprocessing: str
    modality: str
    poolings: tuple[str, ...]
    normalize: bool | None
    precision: str
    version: str = dataclasses.field(default=__version__, compare=False)
    prompt: str = ""
    accepted: tuple[str, ...] = ()
    spaces: Mapping[str, str] = dataclasses.field(default_factory=dict)
    dim: int | None = None
    numbers: int = NUMBERS
    chunks: str = ""

    def differences(self, other: "Fingerprint") -> tuple[str, ...]:
        """What differs, as `name 'there' instead of 'here'`; of what is a hash, that it is another one."""
        pairs = (
            (field.name, getattr(self, field.name), getattr(other, field.name))
            for field in dataclasses.fields(self)
            if field.compare and field.name != "spaces"  # which follow from the others
        )
        return tuple(
            f"{name} that differ{'s' * (not name.endswith('s'))}"
            if name in HASHED
            else f"{name} {_shown(there)} instead of {_shown(here)}"
            for name, here, there in pairs
            if here != there
        )

    def hash(self) -> str:
        """All of it in 32 signs."""
        plain = dataclasses.asdict(self)
        return hash_value({field.name: plain[field.name] for field in dataclasses.fields(self) if field.compare})


def hash_value(value: Mapping[str, Any] | Iterable[Any] | str) -> str:
    """A hash of plain values, the same on every machine."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def hash_bytes(content: bytes) -> str:
    """A hash of bytes, that of the file that holds them."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def hash_file(path: Path) -> str:
    """A hash of a file's bytes."""
    with path.open("rb") as file:
        return hash_opened(file)


def hash_opened(file: BinaryIO) -> str:
    """A hash of the bytes that a file has left."""
    digest = hashlib.blake2b(digest_size=16)
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _shown(value: Any) -> str:
    text = ",".join(value) if isinstance(value, tuple) else str(value)
    return f"'{text if len(text) <= 40 else text[:37] + '...'}'"
