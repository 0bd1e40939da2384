"""`export`: a model as an ONNX graph with its proof, a folder of vectors for LanceDB or FAISS."""

import json
import shutil
from pathlib import Path

from classtoken.destination import check_folder
from classtoken.embedder import Embedder, load
from classtoken.errors import OptionError, OutputError
from classtoken.files import user_path, whole_folder
from classtoken.handover.onnx import write_onnx
from classtoken.handover.vectors import write_faiss, write_lance
from classtoken.options import ExportOptions
from classtoken.results.base import write
from classtoken.results.export import ExportResult
from classtoken.sink import read
from classtoken.tokens.text import TextPreprocessor

#: Says what an exported folder is, and that it is ours.
ABOUT = "classtoken-export.json"


def export(model: str | Path | Embedder, out: str | Path, options: ExportOptions) -> ExportResult:
    """Write a model or a folder of vectors for other software: see `classtoken.export`."""
    place = user_path(out)
    source = model.folder if isinstance(model, Embedder) else model
    check_folder(place, {"model": source})
    _make_room(place, options)
    return _model(model, place, options) if options.format == "onnx" else _vectors(model, place, options)


def _make_room(place: Path, options: ExportOptions) -> None:
    """Remove an export of ours that may be replaced. Raises `OutputError` for what is there and may not."""
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return
    try:
        ours = json.loads((place / ABOUT).read_text(encoding="utf-8")).get("format") in ("onnx", "lance", "faiss")
    except (OSError, ValueError, AttributeError):
        ours = False
    if not ours or not options.overwrite:
        what = "an export of ours; set `overwrite` to replace it" if ours else "something else; name a new folder"
        raise OutputError(f"'{place}' holds {what}.")
    shutil.rmtree(place)


def _model(model: str | Path | Embedder, place: Path, options: ExportOptions) -> ExportResult:
    embedder = (
        model
        if isinstance(model, Embedder)
        else load(
            model,
            pooling=options.pooling,
            normalize=options.normalize,
            device="cpu",
            revision=options.revision,
            accept=options.accept,
        )
    )
    with whole_folder(place) as folder:
        graphs = write_onnx(embedder, folder)
        prepare = embedder.towers["text"].prepare if "text" in embedder.towers else None
        text = prepare if isinstance(prepare, TextPreprocessor) else None
        first = graphs[0].modality
        result = ExportResult(
            out=place.as_posix(),
            format="onnx",
            model=embedder.name,
            fingerprint=embedder.fingerprint(modality=first).hash(),
            contract=str(embedder.spec.pooling or embedder.contract),
            prompt="" if text is None else text.prompt_text(None),
            longest=None if text is None else text.recipe.max_length,
            graphs=graphs,
        )
        write(result, folder / ABOUT)
    return result


def _vectors(model: str | Path | Embedder, place: Path, options: ExportOptions) -> ExportResult:
    if isinstance(model, Embedder):
        raise OptionError(f"`format` is {options.format}, which is for a folder of vectors, and a model is given.")
    vectors = read(user_path(model))
    with whole_folder(place) as folder:
        if options.format == "lance":
            write_lance(vectors, folder)
        else:
            write_faiss(vectors, folder, options.pooling)
        result = ExportResult(
            out=place.as_posix(),
            format=options.format,
            model=vectors.manifest.model,
            fingerprint=vectors.manifest.fingerprint.hash(),
            rows=len(vectors),
        )
        write(result, folder / ABOUT)
    return result
