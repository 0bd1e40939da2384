"""`export`: a model as an ONNX graph with its proof, a folder of vectors for LanceDB or FAISS."""

import tempfile
from dataclasses import replace
from pathlib import Path

from classtoken.destination import check_folder, entries, output_file, refuse_strangers
from classtoken.embedder import Embedder, load, name_of
from classtoken.errors import ClasstokenError, OptionError, OutputError
from classtoken.files import user_path, whole_folder
from classtoken.handover.onnx import noted, say_route, write_graph, write_onnx
from classtoken.handover.vectors import write_faiss, write_lance
from classtoken.options import ExportOptions
from classtoken.options.base import refuse_given
from classtoken.places import LocalPlace
from classtoken.results.base import write
from classtoken.results.export import ExportResult
from classtoken.sink import read
from classtoken.sink.manifest import has_manifest
from classtoken.tokens.text import TextPreprocessor

#: Says what an exported folder is, and that it is ours.
ABOUT = "classtoken-export.json"


def export(model: str | Path | Embedder, out: str | Path, options: ExportOptions) -> ExportResult:
    """Write a model or a folder of vectors for other software: see `classtoken.export`."""
    place = user_path(out)
    source = model.folder if isinstance(model, Embedder) else name_of(model)
    if place.suffix.lower() == ".onnx" and options.format == "onnx" and not (place / ABOUT).exists():
        return _file(model, place, source, options)
    check_folder(place, {"model": source})
    there = _there(place)
    if options.format == "onnx":
        return _model(model, place, there, options)
    return _vectors(model, place, there, options)


def _there(place: Path) -> ExportResult | None:
    """The export of ours that is at a place already. Raises `OutputError` for whatever else is there."""
    found = entries(place)
    if not found:
        return None
    try:
        ours = ExportResult.from_json((place / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError, ClasstokenError):
        ours = None
    refuse_strangers(place, found if ours is None else found - {*ours.files, ABOUT}, "an export of classtoken alone")
    return ours


def _check_room(place: Path, there: ExportResult | None, planned: ExportResult, *, overwrite: bool) -> None:
    """An export of the same work is replaced, of another one with `overwrite`; without, that is an `OutputError`."""
    if there is not None and not overwrite and _work(there) != _work(planned):
        raise OutputError(f"'{place}' holds an export of something else; set `overwrite` to replace it.")


def _work(result: ExportResult) -> tuple[str, ...]:
    """What two exports of the same work share."""
    return result.kind, result.fingerprint, result.contract


def _model(
    model: str | Path | Embedder, place: Path, there: ExportResult | None, options: ExportOptions
) -> ExportResult:
    embedder = _opened(model, options)
    planned = _planned(embedder, place)
    _check_room(place, there, planned, overwrite=options.overwrite)
    with whole_folder(place, replacing=there is not None) as folder:
        return _written(replace(planned, graphs=write_onnx(embedder, folder)), folder)


def _file(model: str | Path | Embedder, place: Path, source: str | Path, options: ExportOptions) -> ExportResult:
    """The graph alone, as one file."""
    embedder = _opened(model, options)
    planned = _planned(embedder, place)
    target = output_file(place, "export", _work(planned), inputs={"model": source}, overwrite=options.overwrite)
    with tempfile.TemporaryDirectory(prefix="classtoken-") as folder:
        graph = Path(folder) / place.name
        result = replace(planned, graphs=(write_graph(embedder, graph),), files=(place.name,))
        target.write(noted(graph, target.mark, result.to_json(indent=None)))
    return result


def _opened(model: str | Path | Embedder, options: ExportOptions) -> Embedder:
    if not isinstance(model, Embedder) and has_manifest(LocalPlace(user_path(model))):
        raise OptionError(
            f"'{model}' is a folder of vectors, and `format` is onnx, which is for models; give lance or faiss."
        )
    embedder = load(
        model,
        pooling=options.pooling,
        normalize=options.normalize,
        device=None if isinstance(model, Embedder) else "cpu",
        revision=options.revision,
        accept=options.accept,
    )
    say_route(embedder)
    return embedder


def _planned(embedder: Embedder, place: Path) -> ExportResult:
    prepare = embedder.towers["text"].prepare if "text" in embedder.towers else None
    text = prepare if isinstance(prepare, TextPreprocessor) else None
    return ExportResult(
        out=place.as_posix(),
        kind="onnx",
        model=embedder.name,
        fingerprint=embedder.fingerprint(modality=next(iter(embedder.towers))).hash(),
        contract=str(embedder.spec.pooling or embedder.contract),
        prompt="" if text is None else text.prompt_text(None),
        longest=None if text is None else text.recipe.max_length,
    )


def _vectors(
    model: str | Path | Embedder, place: Path, there: ExportResult | None, options: ExportOptions
) -> ExportResult:
    if isinstance(model, Embedder):
        raise OptionError(f"`format` is {options.format}, which is for a folder of vectors, and a model is given.")
    refuse_given(options, ("normalize", "revision", "accept"), "only with `format` onnx, which reads a model")
    if options.format == "lance":
        refuse_given(options, ("pooling",), "not with `format` lance, which holds every column of the folder")
    vectors = read(user_path(model))
    planned = ExportResult(
        out=place.as_posix(),
        kind=options.format,
        model=vectors.manifest.model,
        fingerprint=vectors.manifest.fingerprint.hash(),
        contract=options.pooling or "",
        rows=len(vectors),
    )
    _check_room(place, there, planned, overwrite=options.overwrite)
    with whole_folder(place, replacing=there is not None) as folder:
        if options.format == "lance":
            write_lance(vectors, folder)
        else:
            write_faiss(vectors, folder, options.pooling)
        return _written(planned, folder)


def _written(result: ExportResult, folder: Path) -> ExportResult:
    """The same with what lies in its folder, which is written there too."""
    result = replace(result, files=tuple(sorted(entries(folder))))
    write(result, folder / ABOUT)
    return result
