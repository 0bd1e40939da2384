"""Vectors of a few inputs, kept beside a folder of vectors: whoever has the model can prove the folder years later."""

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from classtoken.audit.diagnosis import DRIFTS
from classtoken.audit.probes import NATURAL, vocabulary_words
from classtoken.embedder import Embedder, PromptWords
from classtoken.errors import OutputError, StoreError
from classtoken.measure.geometry import cosines
from classtoken.places import Place
from classtoken.results.verify import Proof
from classtoken.sink.manifest import META, Manifest
from classtoken.sink.parquet import PROBES as NAME
from classtoken.sink.rows import CONTENTS, FINGERPRINT, contents_of, table_in
from classtoken.tokens.text import TextPreprocessor

#: Below this cosine a vector is another one, whatever the precision.
SAME = 0.995
PICTURES = 6


def keep_golden(place: Place, embedder: Embedder, modality: str, prompt: str | None) -> None:
    """Write `_meta/probes.parquet` where it is not yet: a few texts or pictures and their vectors, by the embedder that
    made the folder."""
    made = {FINGERPRINT: embedder.fingerprint(modality=modality, prompt=prompt).hash()}
    if _kept(place) == made[FINGERPRINT]:
        return
    items = _items(embedder, modality)
    found = embedder.embed(items, modality=modality, prompt=None if prompt is None else PromptWords(prompt))
    arrays = found if isinstance(found, dict) else {next(iter(embedder.columns(modality=modality))): found}
    kind = pa.string() if modality == "text" else pa.binary()
    columns: dict[str, Any] = {modality: pa.array(items, kind)}
    for name, block in arrays.items():
        flat = pa.array(np.ascontiguousarray(block, np.float32).reshape(-1))
        columns[name] = pa.FixedSizeListArray.from_arrays(flat, block.shape[1])
    buffer = pa.BufferOutputStream()
    table = pa.table(columns)
    pq.write_table(table.replace_schema_metadata(made | {CONTENTS: contents_of(table)}), buffer)
    place.put(f"{META}/{NAME}", buffer.getvalue().to_pybytes())


def prove(place: Place, manifest: Manifest, embedder: Embedder, *, model: str) -> Proof:
    """Whether this model gives the golden vectors of a folder, as the manifest says that they were made.

    `embedder` reads out what the manifest names. Raises `OutputError` for a folder without golden vectors.
    """
    modality = manifest.fingerprint.modality
    try:
        table = table_in(place.read(f"{META}/{NAME}"))
        items = table.column(modality).to_pylist()
        golden = {name: np.array(table.column(name).to_pylist(), np.float32) for name in manifest.columns}
    except StoreError:
        raise
    except (OSError, KeyError, ValueError, pa.ArrowException):
        raise OutputError(
            f"{place.name} has no golden vectors ({META}/{NAME}), or they cannot be read; with texts beside the "
            "vectors, give the folder as `against` instead."
        ) from None
    prompt = None if manifest.prompt is None else PromptWords(manifest.prompt)  # a name, or words: as it was told
    found = embedder.embed(items, modality=modality, prompt=prompt)
    arrays = found if isinstance(found, dict) else {next(iter(embedder.columns(modality=modality))): found}
    lowest = {
        name: float(cosines(golden[name], arrays[name]).min())
        if name in arrays and arrays[name].shape == golden[name].shape
        else 0.0
        for name in golden
    }
    there = embedder.fingerprint(modality=modality, prompt=prompt)
    worst = min(lowest.values())
    return Proof(
        model=model,
        ok=worst >= SAME,
        lowest=lowest,
        drift=next(words for most, words in DRIFTS if 1 - worst <= most or words == DRIFTS[-1][1]),
        differences=manifest.fingerprint.differences(there),
    )


def _kept(place: Place) -> str:
    """The fingerprint of the golden vectors that are there; nothing where there are none."""
    try:
        schema = pq.read_schema(pa.BufferReader(place.read(f"{META}/{NAME}")))
        return ((schema.metadata or {}).get(FINGERPRINT.encode()) or b"").decode()
    except (OSError, pa.ArrowException, UnicodeDecodeError):
        return ""


def _items(embedder: Embedder, modality: str) -> list[Any]:
    if modality == "image":
        return [_picture(number) for number in range(PICTURES)]
    prepare = embedder.tower(modality).prepare
    assert isinstance(prepare, TextPreprocessor)
    words = vocabulary_words(prepare, 60)
    made = [*(" ".join(words[at : at + 6]) for at in range(0, len(words), 6)), " ".join(words)]
    return [*NATURAL, *(made if words else ())]  # a vocabulary of letters or bytes has no words


def _picture(number: int) -> bytes:
    """A picture with flat parts, edges and noise, as the bytes of a PNG: it is kept, so nobody draws it again."""
    from PIL import Image

    rng = np.random.default_rng(number)
    pixels = np.zeros((96, 128, 3), np.uint8)
    pixels[:] = rng.integers(0, 256, 3)
    for _ in range(4):
        top, left = rng.integers(0, 64), rng.integers(0, 96)
        pixels[top : top + 32, left : left + 32] = rng.integers(0, 256, 3)
    pixels[:32, :32] = rng.integers(0, 256, (32, 32, 3))
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
