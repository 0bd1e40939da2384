"""The verbs in Python: keywords in, one frozen options value, the job's frozen result out.

One rule for the order of arguments: `verb(model, source or item, out, *, options)`; a verb without a model takes the
folder first. A SOURCE is a path, or what a program holds: a list of texts, paths or images, a table or a column of one
(pandas, polars, Arrow, `datasets`), a dictionary of columns. The keywords are the fields of the verb's options value in
`classtoken.options`, with the same defaults, and of its command; what each of them means stands there, and in
docs/api.md.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from classtoken.errors import OptionError
from classtoken.files import user_path
from classtoken.options import (
    AtlasOptions,
    CompareOptions,
    DuplicatesOptions,
    EmbedOptions,
    ExplainDataOptions,
    ExplainOptions,
    ExplainPairOptions,
    ExportOptions,
    IndexOptions,
    InspectOptions,
    OutliersOptions,
    PredictOptions,
    SearchOptions,
    ServeOptions,
    SourceOptions,
    TrainOptions,
    VerifyOptions,
    WalkthroughOptions,
)
from classtoken.options.keywords import with_hints
from classtoken.values import Modality, Precision, Progress

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from classtoken.embedder import Embedder
    from classtoken.learning.recipe import Recipe
    from classtoken.page.export import NotebookPage
    from classtoken.results.atlas import AtlasResult
    from classtoken.results.compare import CompareResult
    from classtoken.results.duplicates import DuplicatesResult
    from classtoken.results.embed import EmbedResult
    from classtoken.results.explain import Explanation
    from classtoken.results.explain_data import Findings
    from classtoken.results.explain_pair import PairExplanation
    from classtoken.results.export import ExportResult
    from classtoken.results.index import IndexResult
    from classtoken.results.inspect import Inspection
    from classtoken.results.outliers import OutliersResult
    from classtoken.results.predict import PredictedItem, PredictResult
    from classtoken.results.search import SearchResult
    from classtoken.results.train import TrainResult
    from classtoken.results.verify import Diagnosis, VerifyResult
    from classtoken.results.walkthrough import WalkthroughResult


@with_hints
def inspect(
    model: str | Path,
    *,
    verify: bool = True,
    against: str | Path | None = None,
    revision: str | None = None,
    accept: Sequence[str] = (),
) -> "Inspection":
    """Which vectors a MODEL can give, which one its authors meant, and the evidence.

    verify: run the experiments on the loaded model (a few seconds); without it only files speak. against: another
    model; `.against` then says what differs between the two. Raises what `load` raises.
    """
    from classtoken.jobs.inspect import inspect as job

    return job(
        model, InspectOptions(verify=verify, against=against, revision=revision, accept=_names("accept", accept))
    )


@with_hints
def embed(
    model: "str | Path | Embedder",
    source: Any,
    out: str | Path,
    *,
    pooling: str | None = None,
    normalize: bool | None = None,
    precision: Precision = "fp32",
    modality: Modality | None = None,
    prompt: str | None = None,
    prompt_text: str | None = None,
    max_length: int | None = None,
    dim: int | None = None,
    store: Literal["fp32", "fp16", "int8"] = "fp32",
    format: Literal["parquet", "npy", "safetensors", "lance"] = "parquet",
    chunks: int | None = None,
    overlap: int = 0,
    chunked: Literal["rows", "late", "mean"] = "rows",
    tokens: bool = False,
    strict: bool = False,
    update: bool = False,
    gone: Literal["drop", "keep"] = "drop",
    workers: int | None = None,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    tasks: str | None = None,
    finish: bool = False,
    limit: int | None = None,
    carry: Sequence[str] | None = None,
    part_rows: int | None = None,
    source_options: SourceOptions = SourceOptions(),
    overwrite: bool = False,
    device: str | None = None,
    revision: str | None = None,
    accept: Sequence[str] = (),
    report: Callable[[Progress], None] | None = None,
) -> "EmbedResult":
    """Turn every record of a SOURCE into vectors in the folder `out`; a run that was stopped goes on where it was.

    pooling: names joined by commas, all from one pass; None for the contract's own vector. modality: needed only for a
        model of two towers on a source with both texts and images. limit: the first records only. part_rows: records of
        one output file, which is also what is lost at most when a run is stopped. max_length: most tokens of a text, in
        the place of the model's own limit. carry: columns kept beside the
        vectors, () for none; the text or the path and every other column if left out. report: is called with how far it
        is. update: where the source has changed since, compute what is new and changed and take the rest from what is
        there; gone: what becomes of rows that the source no longer has.
        workers: processes that compute at once, here or (engine `ray`) as actors of the cluster at address. tasks: a
        slice of the work, as `0-99`, for one of many jobs; finish: close the folder when all slices are done.

    chunks: texts are cut into chunks of at most so many tokens, of which `overlap` are the last of the chunk before.
        chunked: each is a row `id#k` with its place in the text, read by itself (rows) or within the longest text
        around it (late); or each text is a row, the mean of its chunks weighted by their tokens (mean).
    tokens: the state of every token is kept beside the vectors, with its role: `read(out).states()`.

    dim: the first numbers of each vector, made unit again; store: numbers that vectors are stored in. What either keeps
        of the nearest neighbours is measured on some of the records first (`result.sampled`). format: another one that
        the vectors are written in, beside the parts.

    Raises `SourceError` for what cannot be read or when no record could be embedded, `ManifestMismatch` when `out`
    holds vectors made in another way or of an earlier state of the source, and what `load` raises. With an `Embedder`
    as the model, its own pooling, precision, device and normalize stand, and must not be given here.
    """
    from classtoken.jobs.embed import embed as job

    options = EmbedOptions(
        pooling=pooling,
        normalize=normalize,
        precision=precision,
        modality=modality,
        prompt=prompt,
        prompt_text=prompt_text,
        max_length=max_length,
        dim=dim,
        store=store,
        format=format,
        chunks=chunks,
        overlap=overlap,
        chunked=chunked,
        tokens=tokens,
        strict=strict,
        update=update,
        gone=gone,
        workers=workers,
        engine=engine,
        address=address,
        tasks=tasks,
        finish=finish,
        limit=limit,
        carry=None if carry is None else _names("carry", carry),
        part_rows=part_rows,
        source_options=source_options,
        overwrite=overwrite,
        device=device,
        revision=revision,
        accept=_names("accept", accept),
    )
    return job(model, source, out, options, report=report)


@with_hints
def compare(
    model: "str | Path | Embedder | Sequence[str | Path | Embedder] | None",
    source: Any,
    out: str | Path | None = None,
    *,
    task: Literal["classification", "multilabel", "similarity", "retrieval", "clustering", "dense"] | None = None,
    vectors: Sequence[str] = (),
    pooling: str | None = None,
    by_layer: bool = False,
    dim: Sequence[int] = (),
    whiten: bool = False,
    test: str | None = None,
    queries: Path | None = None,
    judgements: Path | None = None,
    cluster: str | None = None,
    group: str | None = None,
    folds: int = 5,
    draws: int = 10,
    shots: int = 8,
    seeds: int = 3,
    seed: int = 0,
    precision: Precision = "fp32",
    modality: Modality | None = None,
    prompt: str | None = None,
    prompt_text: str | None = None,
    limit: int | None = None,
    source_options: SourceOptions = SourceOptions(),
    overwrite: bool = False,
    device: str | None = None,
    revision: str | None = None,
    accept: Sequence[str] = (),
    report: Callable[[Progress], object] | None = None,
) -> "CompareResult":
    """Which vector is best for the task of a SOURCE: candidates in groups that cannot be told apart, best first.

    model: one, several, or None where stored `vectors` alone are compared. out: a report, .html, .json or .csv. The
        other keywords are described in `CompareOptions`. report: is called with how far it is.

    Every candidate of a model comes out of one pass. Raises `OptionError` for items that cannot be compared on, and
    what sources and `load` raise.
    """
    from classtoken.jobs.compare import compare as job

    options = CompareOptions(
        task=task,
        vectors=_names("vectors", vectors),
        pooling=pooling,
        by_layer=by_layer,
        dim=(dim,) if isinstance(dim, int) else _each("dim", dim),
        whiten=whiten,
        test=test,
        queries=queries,
        judgements=judgements,
        cluster=cluster,
        group=group,
        folds=folds,
        draws=draws,
        shots=shots,
        seeds=seeds,
        seed=seed,
        precision=precision,
        modality=modality,
        prompt=prompt,
        prompt_text=prompt_text,
        limit=limit,
        source_options=source_options,
        overwrite=overwrite,
        device=device,
        revision=revision,
        accept=_names("accept", accept),
    )
    return job(model, source, out, options, report=report)


@overload
def predict(
    model: "str | Path | Embedder",
    source: Any,
    out: None = None,
    *,
    classes: Sequence[str] = (),
    classes_file: Path | None = None,
    templates: Sequence[str] = (),
    calibrate: str | None = None,
    every: bool = False,
    precision: Precision = "fp32",
    modality: Modality | None = None,
    prompt: str | None = None,
    prompt_text: str | None = None,
    source_options: SourceOptions = SourceOptions(),
    device: str | None = None,
    revision: str | None = None,
    accept: Sequence[str] = (),
) -> "PredictedItem": ...


@overload
def predict(
    model: "str | Path | Embedder",
    source: Any,
    out: str | Path,
    *,
    classes: Sequence[str] = (),
    classes_file: Path | None = None,
    templates: Sequence[str] = (),
    calibrate: str | None = None,
    every: bool = False,
    precision: Precision = "fp32",
    modality: Modality | None = None,
    prompt: str | None = None,
    prompt_text: str | None = None,
    limit: int | None = None,
    part_rows: int = 256,
    source_options: SourceOptions = SourceOptions(),
    overwrite: bool = False,
    device: str | None = None,
    revision: str | None = None,
    accept: Sequence[str] = (),
    report: Callable[[Progress], None] | None = None,
) -> "PredictResult": ...


@with_hints
def predict(
    model: "str | Path | Embedder",
    source: Any,
    out: str | Path | None = None,
    *,
    classes: Sequence[str] = (),
    classes_file: Path | None = None,
    templates: Sequence[str] = (),
    calibrate: str | None = None,
    every: bool = False,
    precision: Precision = "fp32",
    modality: Modality | None = None,
    prompt: str | None = None,
    prompt_text: str | None = None,
    limit: int | None = None,
    part_rows: int = 256,
    source_options: SourceOptions = SourceOptions(),
    overwrite: bool = False,
    device: str | None = None,
    revision: str | None = None,
    accept: Sequence[str] = (),
    report: Callable[[Progress], None] | None = None,
) -> "PredictResult | PredictedItem":
    """Label every record of a SOURCE with a trained classifier: `out/predictions.csv` with id, label, prediction,
    probability, and the text or path.

    `label` is the record's own, empty where it has none. With several labels a row, `prediction` holds those above one
    half joined by `|`, and `probability` that of the most probable one. every: a column `p:LABEL` per class too.
    Probabilities are at the model's fitted temperature. Where the records have labels, under the model's names or those
    of the data that it learned from, the result says how many were right, label by label, and what was taken for what;
    `out/report.html` shows it, and the errors that the model was surest of. The probabilities of all labels are in
    `out/part-*.parquet`, which `read` opens; a run that was stopped goes on where it was. part_rows: records of one
    such file. report: is called with how far it is.

    classes: labels in words, for a model that reads texts (CLIP, SigLIP, or texts alone): each class's vector is that
        of its words in every template (`a photo of {}`), averaged. classes_file: one a line, the label or, after a tab,
        words for it joined by `|`. calibrate: a labelled SOURCE that fits a temperature; without one the scale is the
        model's own.

    Without `out`, the source is one picture or one text, and its labels with their probabilities are given back.

    Raises `ContractError` for a model without classifier, `SourceError` for what cannot be read or when no record could
    be labelled, `ManifestMismatch` when `out` holds probabilities made in another way.
    """
    options = PredictOptions(
        classes=_names("classes", classes),
        classes_file=classes_file,
        templates=_names("templates", templates),
        calibrate=calibrate,
        every=every,
        precision=precision,
        modality=modality,
        prompt=prompt,
        prompt_text=prompt_text,
        limit=limit,
        part_rows=part_rows,
        source_options=source_options,
        overwrite=overwrite,
        device=device,
        revision=revision,
        accept=_names("accept", accept),
    )
    if out is None:
        from classtoken.jobs.predict_item import predict_item

        return predict_item(model, source, options)
    from classtoken.jobs.predict import predict as job

    return job(model, source, out, options, report=report)


@with_hints
def train(
    model: str | Path | None,
    source: Any,
    out: str | Path,
    *,
    recipe: "Recipe | Mapping[str, Any] | str | Path | None" = None,
    objective: Literal["supervised", "contrast", "masked", "pairs", "similarity", "clip"] | None = None,
    head: Literal["linear", "cosine", "mlp", "per_token", "distilled"] | None = None,
    pooling: str | None = None,
    features: str | Path | None = None,
    unfreeze: str | None = None,
    epochs: float | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    layer_decay: float | None = None,
    seed: int | None = None,
    held_out: float | None = None,
    balanced: bool | None = None,
    augment: bool = True,
    teacher: Sequence[str] = (),
    unlabelled: Sequence[str] = (),
    precision: Literal["fp32", "bf16"] | None = None,
    patience: int | None = None,
    half: bool = False,
    modality: Modality | None = None,
    limit: int | None = None,
    source_options: SourceOptions = SourceOptions(),
    overwrite: bool = False,
    device: str | None = None,
    revision: str | None = None,
    accept: Sequence[str] = (),
    report: Callable[[Progress], None] | None = None,
) -> "TrainResult":
    """Train on the labelled records of a SOURCE and write a model folder to `out`.

    model: None for an encoder from scratch, by the recipe's [model] table. source: None for the recipe's. recipe: a
        `Recipe`, its plain values, or the file of one; the other keywords replace single values of it. With `unfreeze`
        all or last-N the encoder is fine-tuned; otherwise a head is fitted to frozen vectors.
    pooling: of several, joined by commas, each gets its own head from one pass over the records; the best is kept, and
        the result has the figures of all. features: a folder in which frozen vectors are kept and found by other runs
        on the same records, whatever their head, pooling or output.
    half: write the encoder as 16-bit numbers. report: is called with how far it is.

    A run that was killed goes on where it was when it is given again. Raises `TrainingError` (one class only, a loss
    that is not finite), `ManifestMismatch` when `out` holds another run, and what `load` and sources raise.
    """
    options = TrainOptions(
        recipe=_plain(recipe),
        objective=objective,
        head=head,
        pooling=pooling,
        features=None if features is None else user_path(features),
        unfreeze=unfreeze,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        layer_decay=layer_decay,
        seed=seed,
        held_out=held_out,
        balanced=balanced,
        augment=augment,
        teacher=_names("teacher", teacher),
        unlabelled=_names("unlabelled", unlabelled),
        precision=precision,
        patience=patience,
        half=half,
        modality=modality,
        limit=limit,
        source_options=source_options,
        overwrite=overwrite,
        device=device,
        revision=revision,
        accept=_names("accept", accept),
    )
    from classtoken.jobs.train import train as job

    return job(model, source, out, options, report=report)


@with_hints
def explain(
    model: "str | Path | Embedder",
    item: Any,
    out: str | Path | None = None,
    *,
    methods: Sequence[str] | None = None,
    target: int | str | None = None,
    pooling: str | None = None,
    modality: Modality | None = None,
    prompt: str | None = None,
    prompt_text: str | None = None,
    quick: bool = False,
    points: int = 20,
    cuts: Sequence[str] = (),
    mode: str | None = None,
    donors: Sequence[Any] = (),
    seed: int = 0,
    overwrite: bool = False,
    device: str | None = None,
    revision: str | None = None,
    accept: Sequence[str] = (),
) -> "Explanation":
    """How the class token came to its vector on one input, and whether any of it matters.

    item: an image (path, PIL image, array) or a text, as the model reads. out: a file, .html, .json or .png.
    methods: names of maps; None for all that fit (without the slow ones where `quick`). target: class to explain, an
        index or a label; None for the answer. points: of the deletion and insertion curves. pooling: explain this
        vector instead of the classifier's answer. prompt: one of the model's, by name; prompt_text: one in words.
    cuts: what to take away besides, as in docs/explain.md; mode: what stands in its place, or `all`. donors: other
        inputs, whose values stand in for modes mean and resample; states of the first are swapped in before every
        layer.

    Raises `TraceError` for a model whose attention cannot be captured, `OptionError` for a class that does not exist or
    an input with nothing to attend to.
    """
    options = ExplainOptions(
        methods=None if methods is None else _names("methods", methods),
        target=target,
        pooling=pooling,
        modality=modality,
        prompt=prompt,
        prompt_text=prompt_text,
        quick=quick,
        points=points,
        cuts=_names("cuts", cuts),
        mode=mode,
        donors=_each("donors", donors),
        seed=seed,
        overwrite=overwrite,
        device=device,
        revision=revision,
        accept=_names("accept", accept),
    )
    from classtoken.jobs.explain import explain as job

    return job(model, item, out, options)


@with_hints
def explain_data(
    model: "str | Path | Embedder",
    source: Any,
    out: str | Path | None = None,
    *,
    methods: Sequence[str] | None = None,
    pooling: str | None = None,
    modality: Modality | None = None,
    prompt: str | None = None,
    prompt_text: str | None = None,
    quick: bool = False,
    points: int = 20,
    faithful: int = 16,
    slow_control: bool = False,
    seed: int = 0,
    limit: int = 64,
    source_options: SourceOptions = SourceOptions(),
    overwrite: bool = False,
    device: str | None = None,
    revision: str | None = None,
    accept: Sequence[str] = (),
    report: Callable[[Progress], object] | None = None,
) -> "Findings":
    """Findings over a SOURCE: means with intervals, beside those of the same weights in random order.

    out: a file, .html or .json. limit: inputs; faithful: inputs on which maps are tested one by one. slow_control: hold
        slow maps, too, against those of random weights. report: is called with a line now and then.

    Raises what `load` and sources raise, and `OptionError` for fewer than two inputs.
    """
    options = ExplainDataOptions(
        methods=None if methods is None else _names("methods", methods),
        pooling=pooling,
        modality=modality,
        prompt=prompt,
        prompt_text=prompt_text,
        quick=quick,
        points=points,
        faithful=faithful,
        slow_control=slow_control,
        seed=seed,
        limit=limit,
        source_options=source_options,
        overwrite=overwrite,
        device=device,
        revision=revision,
        accept=_names("accept", accept),
    )
    from classtoken.jobs.explain_data import explain_data as job

    return job(model, source, out, options, report=report)


@with_hints
def explain_pair(
    model: "str | Path | Embedder",
    items: Sequence[Any],
    out: str | Path | None = None,
    *,
    pooling: str | None = None,
    modality: Modality | None = None,
    prompt: str | None = None,
    prompt_text: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
    device: str | None = None,
    revision: str | None = None,
    accept: Sequence[str] = (),
) -> "PairExplanation":
    """Why the vectors of two inputs are like each other: their cosine, taken apart by pairs of parts.

    items: two images (paths, PIL images, arrays) or texts, as the model reads; of a model with two sides one may be a
        text and one an image. out: a file, .html or .json. pooling: of this vector instead of the contract's. modality:
        what both are; "text" takes for a text what is also the name of a file. prompt, prompt_text: before every text.

    similarity = sum over pairs of g_i . h_j, and what hangs on no pair; g_i is what part i of the one adds to its unit
    vector, averaged over every order in which its parts can come in (`maps.pairs`). Raises `TraceError` for a model
    whose attention cannot be captured, `OptionError` for inputs whose vectors cannot be compared.
    """
    options = ExplainPairOptions(
        pooling=pooling,
        modality=modality,
        prompt=prompt,
        prompt_text=prompt_text,
        seed=seed,
        overwrite=overwrite,
        device=device,
        revision=revision,
        accept=_names("accept", accept),
    )
    from classtoken.jobs.explain_pair import explain_pair as job

    return job(model, items, out, options)


@with_hints
def walkthrough(
    model: str | Path,
    items: Sequence[str] = (),
    out: str | Path = "walkthrough.html",
    *,
    data: Any = None,
    limit: int = 40,
    modality: Modality | None = None,
    overwrite: bool = False,
    device: str | None = None,
    revision: str | None = None,
    accept: Sequence[str] = (),
) -> "WalkthroughResult":
    """Write a walkthrough of `items` (image files, or texts; none: examples) through a MODEL as one HTML file.

    data: a SOURCE over which the page's statistics are taken (its first `limit` records); without one, pictures that
    the package draws, or sentences that it puts together. modality: which side of a model that has both, where the
    items do not say it.
    Raises the errors of `load`, `OptionError`, `BadRecord`, `OutputError`.
    """
    from classtoken.jobs.walkthrough import walkthrough as job

    options = WalkthroughOptions(
        data=data,
        limit=limit,
        modality=modality,
        overwrite=overwrite,
        device=device,
        revision=revision,
        accept=_names("accept", accept),
    )
    return job(model, items, out, options)


@with_hints
def notebook(
    model: str | Path,
    items: Sequence[str] = (),
    *,
    height: int = 760,
    data: Any = None,
    limit: int = 40,
    modality: Modality | None = None,
    device: str | None = None,
    revision: str | None = None,
    accept: Sequence[str] = (),
) -> "NotebookPage":
    """The page of `walkthrough` as the value of a notebook's cell, `height` pixels high, in a sandboxed frame.

    The other arguments and the errors are those of `walkthrough`.
    """
    from classtoken.jobs.walkthrough import notebook as job

    options = WalkthroughOptions(
        data=data, limit=limit, modality=modality, device=device, revision=revision, accept=_names("accept", accept)
    )
    return job(model, items, height, options)


@with_hints
def export(
    model: "str | Path | Embedder",
    out: str | Path,
    *,
    format: Literal["onnx", "lance", "faiss"] = "onnx",
    pooling: str | None = None,
    normalize: bool | None = None,
    overwrite: bool = False,
    revision: str | None = None,
    accept: Sequence[str] = (),
) -> "ExportResult":
    """Write a MODEL or a folder of vectors for other software.

    format: `onnx` writes a model's whole contract as a graph: ids or pixels in, the right vector out, padded on either
        side; that ONNX Runtime alone gives the same vectors is proved first, and written beside it. `lance` and `faiss`
        write a folder that `embed` made as a table of LanceDB, or as an exact index with its rows.

    Raises `MissingExtra`, `OutputError` for a folder that holds something else, `ContractError` and `ModelError` for a
    model that cannot be exported, and what `load` and `read` raise.
    """
    from classtoken.jobs.export import export as job

    options = ExportOptions(
        format=format,
        pooling=pooling,
        normalize=normalize,
        overwrite=overwrite,
        revision=revision,
        accept=_names("accept", accept),
    )
    return job(model, out, options)


@with_hints
def service(
    model: "str | Path | Embedder | Mapping[str, str | Path | Embedder] | None" = None,
    *,
    folder: str | Path | Sequence[str] | Mapping[str, str | Path] = (),
    column: str | None = None,
    pooling: str | None = None,
    normalize: bool | None = None,
    precision: Precision = "fp32",
    max_inputs: int = 2048,
    max_body: int = 16_000_000,
    max_pixels: int = 20_000_000,
    max_waiting: int = 262_144,
    timeout: float = 60.0,
    device: str | None = None,
    revision: str | None = None,
    accept: Sequence[str] = (),
    keys: Sequence[str] = (),
) -> "Starlette":
    """The application that `classtoken serve` runs: vectors over HTTP, to mount in an application of one's own.

    model: one, or several by the names that requests call them; the one that made the folder, where there is one.
    folder: vectors to be searched (`POST /v1/search`), one or several by name; they stay in memory. column: which
        of their vectors, where they hold several. keys: who must send
        one of them as `Authorization: Bearer KEY`; none: everybody who can connect is answered. Models are loaded now.
        `docs/serve.md` has the requests.

    Raises `MissingExtra` without the extra `serve`, `OptionError` for two models of one name, several poolings and a
    folder in whose space no model's vectors lie, and what `load` raises. With an `Embedder`, its own pooling,
    precision, device and normalize stand.
    """
    from classtoken.jobs.serve import service as job

    if isinstance(folder, Mapping):
        folder = [f"{name}={place}" for name, place in folder.items()]
    options = ServeOptions(
        folder=_names("folder", folder),
        column=column,
        pooling=pooling,
        normalize=normalize,
        precision=precision,
        max_inputs=max_inputs,
        max_body=max_body,
        max_pixels=max_pixels,
        max_waiting=max_waiting,
        timeout=timeout,
        device=device,
        revision=revision,
        accept=_names("accept", accept),
    )
    models: Any = dict(model) if isinstance(model, Mapping) else [] if model is None else [model]
    return job(models, options, keys=keys)


@overload
def verify(
    folder: str | Path,
    *,
    model: "str | Path | Embedder | None" = None,
    clean: bool = False,
    device: str | None = None,
    revision: str | None = None,
    accept: Sequence[str] = (),
) -> "VerifyResult": ...


@overload
def verify(
    folder: None = None,
    *,
    model: "str | Path | Embedder | None" = None,
    endpoint: str | None = None,
    against: Path | None = None,
    service_model: str | None = None,
    api_key_file: Path | None = None,
    text_column: str | None = None,
    vector_column: str | None = None,
    prompt: str | None = None,
    prompt_text: str | None = None,
    device: str | None = None,
    revision: str | None = None,
    accept: Sequence[str] = (),
) -> "Diagnosis": ...


@with_hints
def verify(
    folder: str | Path | None = None,
    *,
    model: "str | Path | Embedder | None" = None,
    clean: bool = False,
    endpoint: str | None = None,
    against: Path | None = None,
    service_model: str | None = None,
    api_key_file: Path | None = None,
    text_column: str | None = None,
    vector_column: str | None = None,
    prompt: str | None = None,
    prompt_text: str | None = None,
    device: str | None = None,
    revision: str | None = None,
    accept: Sequence[str] = (),
) -> "VerifyResult | Diagnosis":
    """Whether vectors are what they should be: a folder's of ours, a service's, or somebody's stored ones.

    folder: one that `embed` wrote is whole (files, checksums, counts, unique ids, finite vectors), and with `model`
        that this model makes its vectors; clean: first remove files of ours that its manifest does not list.
    endpoint: a service, in OpenAI's, TEI's or Ollama's way, is asked for a few
        dozen texts; against: a file of texts with vectors, or a folder. Both need `model`, and give a `Diagnosis`: what
        the vectors are, beside what the model was meant to give.
    service_model: what the service calls its model; the first that it lists if left out. prompt: the one that the
        vectors should have been made with.

    Raises `OutputError` where there is no such folder, `SourceError` for a service or a file that gives no vectors,
    `OptionError` for a combination that means nothing.
    """
    from classtoken.jobs.verify import verify as job

    options = VerifyOptions(
        clean=clean,
        endpoint=endpoint,
        against=against,
        service_model=service_model,
        api_key_file=api_key_file,
        text_column=text_column,
        vector_column=vector_column,
        prompt=prompt,
        prompt_text=prompt_text,
        device=device,
        revision=revision,
        accept=_names("accept", accept),
    )
    return job(folder, model, options)


@with_hints
def search(
    folder: str | Path,
    query: Any = None,
    out: str | Path | None = None,
    *,
    text: str | None = None,
    image: str | None = None,
    id: str | None = None,
    queries: Path | None = None,
    k: int = 10,
    above: float | None = None,
    where: str | None = None,
    column: str | None = None,
    similarity: Literal["cosine", "dot"] = "cosine",
    exact: bool = False,
    explain: Path | None = None,
    model: "str | Embedder | None" = None,
    modality: Modality | None = None,
    prompt: str | None = None,
    prompt_text: str | None = None,
    source_options: SourceOptions = SourceOptions(),
    overwrite: bool = False,
    device: str | None = None,
    revision: str | None = None,
    accept: Sequence[str] = (),
) -> "SearchResult":
    """The rows of a folder of vectors that are most like a query, exactly, or by the folder's `index` where it has one.

    query: a text, a picture (path, PIL image, array, bytes), or a list of either; or one of `text`, `image`, `id` (a
        row of the folder, which is left out of the hits) and `queries` (a SOURCE, or another folder of vectors).
    out: a page (.html) or a file (.json). where: a condition on the columns beside the vectors; k rows are found
        wherever so many fulfil it. similarity: of unit vectors both are the same. model: in place of the folder's own;
        an `Embedder` saves loading it again. exact: also where there is an index, which answers cosines without a
        condition.
    explain: a file, .html or .json, which says why the best row is like the one query (`explain_pair`).
    prompt: the model's prompt called "query" where it has one and none is named.

    Raises `OptionError` for a query of another space than the folder's and for a condition that cannot be read,
    `OutputError` where there are no vectors, and what `load` raises.
    """
    from classtoken.jobs.search import search as job

    options = SearchOptions(
        text=text,
        image=image,
        id=id,
        queries=queries,
        k=k,
        above=above,
        where=where,
        column=column,
        similarity=similarity,
        exact=exact,
        explain=explain,
        model=None if not isinstance(model, str | Path) else str(model),
        modality=modality,
        prompt=prompt,
        prompt_text=prompt_text,
        source_options=source_options,
        overwrite=overwrite,
        device=device,
        revision=revision,
        accept=_names("accept", accept),
    )
    return job(folder, query, out, options, embedder=model if not isinstance(model, str | Path) else None)


@with_hints
def index(
    folder: str | Path,
    *,
    recall: float = 0.98,
    k: int = 10,
    column: str | None = None,
    report: Callable[[Progress], object] | None = None,
) -> "IndexResult":
    """Make an approximate index of a folder of vectors that finds a share `recall` of the k best rows.

    Settings are found by measuring against exact search on rows of the folder, and the recall is measured on others;
    the low end of its interval is `recall` or more. A cache in `DIR/_meta/index`: where it is gone, damaged or older
    than the vectors, exact search answers.

    Raises `OptionError` for few vectors, which need no index, and where no settings reach the recall; `MissingExtra`
    without the extra `lance`.
    """
    from classtoken.jobs.index import index as job

    return job(folder, IndexOptions(recall=recall, k=k, column=column), report=report)


@with_hints
def duplicates(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    above: float = 0.95,
    against: str | None = None,
    keep: Literal["first", "largest", "longest", "labelled"] = "first",
    column: str | None = None,
    overwrite: bool = False,
    report: Callable[[Progress], object] | None = None,
) -> "DuplicatesResult":
    """Rows of a folder of vectors that are alike, and which of them would go; nothing is deleted.

    Rows that are equal byte by byte come first, then every pair whose cosine is `above` or more. Every row that would
    go is within the threshold of one that stays. out: all pairs (.parquet), a page with pairs on both sides of the
    threshold (.html), or .json. above: another threshold needs no new run. against: a second folder of the same space;
        what would go then are rows of the first that are in the second too. keep: which row of several stays.

    Raises `OutputError` where there are no vectors, and `OptionError` for folders of two spaces.
    """
    from classtoken.jobs.duplicates import duplicates as job

    options = DuplicatesOptions(above=above, against=against, keep=keep, column=column, overwrite=overwrite)
    return job(folder, out, options, report=report)


@with_hints
def outliers(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    k: int = 15,
    most: int = 50,
    column: str | None = None,
    overwrite: bool = False,
    report: Callable[[Progress], object] | None = None,
) -> "OutliersResult":
    """Odd rows of a folder of vectors, and labels that their nearest neighbours contradict; nothing is changed.

    out: a page (.html) or .json. k: neighbours that a row is held against. most: rows that are named of each kind.

    Raises `OutputError` where there are no vectors.
    """
    from classtoken.jobs.outliers import outliers as job

    return job(folder, out, OutliersOptions(k=k, most=most, column=column, overwrite=overwrite), report=report)


@with_hints
def atlas(
    folder: str | Path,
    out: str | Path = "atlas.html",
    *,
    most: int = 20_000,
    pictures: bool = True,
    most_pictures: int = 10_000,
    seed: int = 0,
    column: str | None = None,
    overwrite: bool = False,
    report: Callable[[Progress], object] | None = None,
) -> "AtlasResult":
    """Draw a folder of vectors as one HTML page: neighbours near each other, with their pictures or texts.

    The layout's trustworthiness is measured on rows drawn at random. most: rows that are shown; of more, so many at
    random. pictures: thumbnails of image files that are still there, of the first `most_pictures`. seed: the same seed
    gives the same page.

    Raises `OutputError` where there are no vectors to show.
    """
    from classtoken.jobs.atlas import atlas as job

    options = AtlasOptions(
        most=most, pictures=pictures, most_pictures=most_pictures, seed=seed, column=column, overwrite=overwrite
    )
    return job(folder, out, options, report=report)


def _each(option: str, values: Any) -> tuple[Any, ...]:
    """The values of an option that takes several, where a single text or path is one of them. Raises `OptionError`."""
    if values is None:
        return ()
    if isinstance(values, str | PathLike):
        return (values,)
    if isinstance(values, bytes | bytearray) or not isinstance(values, Iterable):
        raise OptionError(f"`{option}` is of type {type(values).__name__}; give a list, or leave it out.")
    return tuple(values)


def _names(option: str, values: Any) -> tuple[str, ...]:
    """As `_each`, of what is a text: paths among them as texts."""
    return tuple(os.fspath(value) if isinstance(value, PathLike) else value for value in _each(option, values))


def _plain(recipe: Any) -> Any:
    return recipe.to_dict() if hasattr(recipe, "to_dict") else recipe
