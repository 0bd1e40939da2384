"""A sentencepiece model file, read without the packages sentencepiece and protobuf.

The file is a protocol buffer (`sentencepiece_model.proto`): pieces with their scores and kinds, and settings of the
trainer and the normaliser. What is read here has the attributes that transformers' own conversion asks for, so that a
vocabulary becomes a tokenizer by transformers' rules, family by family.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

from classtoken.errors import ModelError

UNIGRAM, BPE = 1, 2
CONTROL, USER_DEFINED = 3, 4


@dataclass
class VocabularyPiece:
    """One piece of the vocabulary."""

    piece: str = ""
    score: float = 0.0
    type: int = 1


@dataclass
class TrainerSpec:
    """How the model was trained, as far as it decides the ids."""

    model_type: int = UNIGRAM
    byte_fallback: bool = False
    unk_id: int = 0
    bos_id: int = 1
    eos_id: int = 2
    pad_id: int = -1
    unk_piece: str = "<unk>"
    bos_piece: str = "<s>"
    eos_piece: str = "</s>"


@dataclass
class NormalizerSpec:
    """What is done to a text first."""

    precompiled_charsmap: bytes = b""
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True


@dataclass
class SentencePieceModel:
    """A model file."""

    pieces: list[VocabularyPiece] = field(default_factory=list)
    trainer_spec: TrainerSpec = field(default_factory=TrainerSpec)
    normalizer_spec: NormalizerSpec = field(default_factory=NormalizerSpec)


#: Numbers of fields in the protocol -> names here.
PIECE = {1: "piece", 2: "score", 3: "type"}
TRAINER = {
    3: "model_type",
    35: "byte_fallback",
    40: "unk_id",
    41: "bos_id",
    42: "eos_id",
    43: "pad_id",
    45: "unk_piece",
    46: "bos_piece",
    47: "eos_piece",
}
NORMALIZER = {2: "precompiled_charsmap", 3: "add_dummy_prefix", 4: "remove_extra_whitespaces"}


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """Raises `ModelError` for a file that is none."""
    model = SentencePieceModel()
    try:
        for number, value in _fields(path.read_bytes()):
            if number == 1:
                model.pieces.append(_filled(VocabularyPiece(), PIECE, value))
            elif number == 2:
                _filled(model.trainer_spec, TRAINER, value)
            elif number == 3:
                _filled(model.normalizer_spec, NORMALIZER, value)
    except (IndexError, ValueError, struct.error, TypeError) as error:
        raise ModelError(f"{path} is no readable sentencepiece model ({error}). Copy the file again.") from error
    if not model.pieces or model.trainer_spec.model_type not in (UNIGRAM, BPE):
        raise ModelError(f"{path} is no sentencepiece model of pieces (unigram or BPE). Copy the file again.")
    return model


_CONVERTING = Lock()


@contextmanager
def without_the_package(broken: list[ModelError]) -> Iterator[None]:
    """While it lasts transformers' conversion reads sentencepiece models by `read_sentencepiece`: it would import two
    packages to parse the file, and has nothing else to do with them.

    What is wrong with a file is put into `broken`: transformers passes over it and blames another package.
    """
    theirs: Any = import_module("transformers.convert_slow_tokenizer")  # the package has a function of that name too

    class Extractor(theirs.SentencePieceExtractor):
        def __init__(self, model: str):
            try:
                self.proto = read_sentencepiece(Path(model))
            except ModelError as error:
                broken.append(error)
                raise

    with _CONVERTING:
        original = theirs.SentencePieceExtractor
        theirs.SentencePieceExtractor = Extractor
        try:
            yield
        finally:
            theirs.SentencePieceExtractor = original


def _filled(record: Any, names: dict[int, str], data: bytes) -> Any:
    """A record with the fields that a message holds; each takes the type of its default."""
    for number, value in _fields(data):
        if number in names:
            usual = getattr(record, names[number])
            if isinstance(usual, str):
                value = value.decode("utf-8")
            elif isinstance(usual, float):
                value = struct.unpack("<f", value)[0]
            elif isinstance(usual, bool):
                value = bool(value)
            elif isinstance(usual, int):
                value = value - (1 << 64) if value >> 63 else value  # a negative int32 is written in 64 bits
            setattr(record, names[number], value)
    return record


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """A message's fields in order: number, and an integer (wire type 0) or bytes (1, 2, 5)."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(data, place)
            yield key >> 3, value
            continue
        if kind not in (1, 2, 5):
            raise ValueError(f"wire type {kind}")
        size, place = _varint(data, place) if kind == 2 else ({1: 8, 5: 4}[kind], place)
        if place + size > len(data):
            raise ValueError("cut short")
        yield key >> 3, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if not byte & 128:
            return value, place
