"""The options of each verb: what `classtoken.VERB` takes by keyword and `classtoken VERB` by flag."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from classtoken.options.base import Option, Options
from classtoken.options.shared import (
    AS_USUAL,
    Accept,
    Column,
    Device,
    Limit,
    Normalize,
    Overwrite,
    Precision,
    Prompt,
    PromptText,
    Revision,
    Side,
    SourceOptions,
)
from classtoken.plain import AtLeastOne, Count, Limits, SeedNumber


@dataclass(frozen=True, kw_only=True)
class InspectOptions(Options):
    """How to look at a model: with experiments on it, or by its files alone."""

    verify: Annotated[bool, Option("Run experiments on the loaded model, or read files only.", off="no-verify")] = True
    against: Annotated[str | Path | None, Option("Another model: what differs.", metavar="MODEL2")] = None
    revision: Revision = None
    accept: Accept = ()


Seed = Annotated[SeedNumber, Option("Of every random control.", metavar="N")]
Task = Literal["classification", "multilabel", "similarity", "retrieval", "clustering", "dense"]


@dataclass(frozen=True, kw_only=True)
class CompareOptions(Options):
    """Which vectors are compared, on what task, and by which protocol.

    vectors: stored vectors as candidates: folders of `embed`, .npy files (rows in the source's order), Parquet files
    with a column `id`. pooling: names joined by commas, learned ones (map, queries(4), weighted ...) among them; if
    left out, the model's own and cls, mean, max, cls+mean and gem. test: a source to be judged on, everything being
    learned on the first; without one every record is judged once, in folds. cluster: items with one value there are
    drawn together (photographs of one product), which makes intervals honest. group: results for each value there.
    """

    task: Annotated[Task | None, Option("What is judged; left out: classification, or multilabel by the labels.")] = (
        None
    )
    vectors: Annotated[
        tuple[str, ...], Option("Stored vectors as candidates: a folder of embed, .npy, .parquet.", metavar="DIR")
    ] = ()
    pooling: Annotated[
        str | None, Option("Candidates joined by commas: cls, mean@-2, map, queries(4) ...", metavar="NAMES")
    ] = None
    by_layer: Annotated[bool, Option("Every pooling after every block too.")] = False
    dim: Annotated[
        tuple[AtLeastOne, ...], Option("Also shortened to so many numbers, joined by commas.", metavar="N", joined=True)
    ] = ()
    whiten: Annotated[bool, Option("Also whitened.")] = False
    test: Annotated[str | None, Option("A source that is judged; SOURCE is learned from.", metavar="SOURCE2")] = None
    queries: Annotated[Path | None, Option("Retrieval: the queries; SOURCE are documents.", metavar="FILE")] = None
    judgements: Annotated[
        Path | None, Option("Retrieval: query_id, doc_id, relevance.", metavar="FILE", flag="qrels")
    ] = None
    cluster: Annotated[str | None, Option("Items equal there are one unit of chance.", metavar="COLUMN")] = None
    group: Annotated[str | None, Option("Results for every value of a column, and gaps.", metavar="COLUMN")] = None
    folds: Annotated[int, Limits(ge=2, le=50), Option("Parts where there is no test source.", metavar="N")] = 5
    draws: Annotated[int, Limits(ge=2), Option("Draws of few examples, starts of k-means.", metavar="N")] = 10
    shots: Annotated[AtLeastOne, Option("Examples a class in a draw.", metavar="N")] = 8
    seeds: Annotated[AtLeastOne, Option("Trainings of a learned pooling.", metavar="N")] = 3
    seed: Seed = 0
    precision: Precision = "fp32"
    modality: Side = None
    prompt: Prompt = None
    prompt_text: PromptText = None
    limit: Limit = None
    source_options: SourceOptions = AS_USUAL
    overwrite: Overwrite = False
    device: Device = None
    revision: Revision = None
    accept: Accept = ()


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(Options):
    """How a source is turned into vectors: which ones, of which records, computed how."""

    pooling: Annotated[
        str | None,
        Option(
            "Vectors to write, joined by commas: cls, mean, cls+mean@-2 ...; the model's own if left out.",
            metavar="NAMES",
        ),
    ] = None
    normalize: Normalize = None
    precision: Precision = "fp32"
    modality: Side = None
    prompt: Prompt = None
    prompt_text: PromptText = None
    max_length: Annotated[AtLeastOne | None, Option("Most tokens of a text, for the model's own.", metavar="N")] = None
    dim: Annotated[AtLeastOne | None, Option("The first N numbers of each vector, made unit again.", metavar="N")] = (
        None
    )
    store: Annotated[Literal["fp32", "fp16", "int8"], Option("Numbers that vectors are stored in.")] = "fp32"
    format: Annotated[
        Literal["parquet", "npy", "safetensors", "lance"], Option("Write the vectors beside the parts in this, too.")
    ] = "parquet"
    chunks: Annotated[AtLeastOne | None, Option("Cut texts into chunks of at most N tokens.", metavar="N")] = None
    overlap: Annotated[Count, Option("Tokens of a chunk that the one before has, too.", metavar="N")] = 0
    chunked: Annotated[
        Literal["rows", "late", "mean"],
        Option("A row a chunk, read by itself or (late) within its text; or one row, their mean."),
    ] = "rows"
    tokens: Annotated[bool, Option("Keep the state of every token, with its role, beside the vectors.")] = False
    strict: Annotated[bool, Option("Stop at the first record that cannot be embedded, instead of listing it.")] = False
    update: Annotated[bool, Option("Bring vectors up to date with a source that has changed.")] = False
    gone: Annotated[Literal["drop", "keep"], Option("Rows that the source no longer has, with `update`.")] = "drop"
    workers: Annotated[AtLeastOne | None, Option("Processes that compute at once.", metavar="N")] = None
    engine: Annotated[Literal["local", "ray"], Option("Where workers are: here, or on a Ray cluster.")] = "local"
    address: Annotated[str | None, Option("Of a Ray cluster; one is started here if left out.", metavar="A")] = None
    tasks: Annotated[
        str | None, Option("These tasks only, from 0; `finish` closes when all are done.", metavar="A-B")
    ] = None
    finish: Annotated[bool, Option("Compute nothing: close a folder whose tasks were done in slices.")] = False
    limit: Limit = None
    carry: Annotated[
        tuple[str, ...] | None,
        Option(
            "Columns kept beside the vectors, joined by commas; the text or the path and all others if left out.",
            metavar="NAMES|none",
            joined=True,
        ),
    ] = None
    part_rows: Annotated[
        AtLeastOne | None,
        Option(
            "Records of one file, after which a stopped run goes on; 2048 if left out, 256 of a folder of images "
            "or with `tokens`.",
            metavar="N",
        ),
    ] = None
    source_options: SourceOptions = AS_USUAL
    overwrite: Overwrite = False
    device: Device = None
    revision: Revision = None
    accept: Accept = ()


@dataclass(frozen=True, kw_only=True)
class PredictOptions(Options):
    """How a source is labelled: by a trained classifier, or by a model of texts and images and classes in words."""

    classes: Annotated[tuple[str, ...], Option("A class in words.", metavar="TEXT", flag="class")] = ()
    classes_file: Annotated[Path | None, Option("Classes in words, a line each.", metavar="FILE", flag="classes")] = (
        None
    )
    templates: Annotated[
        tuple[str, ...], Option("What a class stands in: a photo of {}.", metavar="TEXT", flag="template")
    ] = ()
    calibrate: Annotated[
        str | None, Option("For classes in words: labelled records that fit a temperature.", metavar="SOURCE")
    ] = None
    every: Annotated[bool, Option("The probability of every label, not only of the best.", flag="all")] = False
    precision: Precision = "fp32"
    modality: Side = None
    prompt: Prompt = None
    prompt_text: PromptText = None
    limit: Limit = None
    part_rows: Annotated[AtLeastOne, Option("Records after which a stopped run goes on.", metavar="N")] = 256
    source_options: SourceOptions = AS_USUAL
    overwrite: Overwrite = False
    device: Device = None
    revision: Revision = None
    accept: Accept = ()


@dataclass(frozen=True, kw_only=True)
class TrainOptions(Options):
    """How a model is trained: a recipe, and single values that replace the recipe's."""

    recipe: Annotated[
        Path | Mapping[str, Any] | None,
        Option("A recipe (.toml, .json); needed from scratch.", metavar="FILE", flag="config"),
    ] = None
    objective: Annotated[
        Literal["supervised", "contrast", "masked", "pairs", "similarity", "clip"] | None,
        Option("What is learned from: labels, pairs ... as recipes have it."),
    ] = None
    head: Annotated[
        Literal["linear", "cosine", "mlp", "per_token", "distilled"] | None,
        Option("What turns the vector into logits; linear if left out."),
    ] = None
    pooling: Annotated[
        str | None,
        Option("cls, mean, map ...; several are compared; best:REPORT.json: what compare advises.", metavar="NAMES"),
    ] = None
    features: Annotated[
        Path | None, Option("Frozen vectors are kept here, for other runs too; DIR/features.", metavar="DIR")
    ] = None
    unfreeze: Annotated[str | None, Option("Train the encoder too: all of it, N blocks.", metavar="all|last-N")] = None
    epochs: Annotated[float | None, Option("Passes over the records.", metavar="N")] = None
    batch: Annotated[AtLeastOne | None, Option("Records of one step.", metavar="N")] = None
    learning_rate: Annotated[float | None, Option("Of fine-tuning and from scratch.", metavar="X")] = None
    layer_decay: Annotated[float | None, Option("Factor on the rate per block below the head.", metavar="X")] = None
    seed: Annotated[SeedNumber | None, Option("Of everything that is drawn.", metavar="N")] = None
    held_out: Annotated[
        Annotated[float, Limits(ge=0, le=0.9)] | None, Option("Part that chooses settings.", metavar="X")
    ] = None
    balanced: Annotated[bool | None, Option("Every class weighs the same, rare or not.", off="not-balanced")] = None
    augment: Annotated[bool, Option("Fine-tuning on images: crop, flip and RandAugment.", off="no-augment")] = True
    teacher: Annotated[
        tuple[str, ...], Option("Learn from its labels too (distillation); several: their mean.", metavar="MODEL")
    ] = ()
    unlabelled: Annotated[tuple[str, ...], Option("More records, for the teacher to label.", metavar="SOURCE")] = ()
    precision: Annotated[Literal["fp32", "bf16"] | None, Option("Numbers that are computed in.")] = None
    patience: Annotated[Count | None, Option("Stop after N evaluations without a better score.", metavar="N")] = None
    half: Annotated[bool, Option("Write the encoder as 16-bit numbers; its head stays as it is.")] = False
    modality: Side = None
    limit: Limit = None
    source_options: SourceOptions = AS_USUAL
    overwrite: Overwrite = False
    device: Device = None
    revision: Revision = None
    accept: Accept = ()


Methods = Annotated[
    tuple[str, ...] | None, Option("Maps, joined by commas; all that fit if left out.", metavar="NAMES", joined=True)
]
Explained = Annotated[str | None, Option("Explain this vector, not the classifier's answer.", metavar="NAME")]
Quick = Annotated[bool, Option("Leave out what takes many runs of the model.")]
Points = Annotated[int, Limits(ge=2), Option("Points of a deletion curve.", metavar="N")]


@dataclass(frozen=True, kw_only=True)
class ExplainOptions(Options):
    """What an explanation of one input holds.

    donors: other inputs, whose values stand in for the modes mean and resample; states of the first are swapped in
    before every layer. cuts: what to take away besides, as `study.cuts` reads it; mode: what stands in its place.
    """

    methods: Methods = None
    target: Annotated[
        int | str | None, Option("A class by index or name; the answer if left out.", metavar="CLASS", flag="class")
    ] = None
    pooling: Explained = None
    modality: Side = None
    prompt: Prompt = None
    prompt_text: PromptText = None
    quick: Quick = False
    points: Points = 20
    cuts: Annotated[
        tuple[str, ...],
        Option("Take away tokens:p3, edges:class>p3, heads:2.1, layers:3 ...", metavar="WHAT", flag="cut"),
    ] = ()
    mode: Annotated[str | None, Option("renormalise, zero, mean, resample or all.", metavar="MODE")] = None
    donors: Annotated[
        tuple[Any, ...], Option("Another input, whose values stand in.", metavar="INPUT", flag="donor")
    ] = ()
    seed: Seed = 0
    overwrite: Overwrite = False
    device: Device = None
    revision: Revision = None
    accept: Accept = ()


@dataclass(frozen=True, kw_only=True)
class ExplainPairOptions(Options):
    """How the cosine of two inputs is taken apart."""

    pooling: Annotated[str | None, Option("Of this vector, not the contract's.", metavar="NAME")] = None
    modality: Side = None
    prompt: Prompt = None
    prompt_text: PromptText = None
    seed: Seed = 0
    overwrite: Overwrite = False
    device: Device = None
    revision: Revision = None
    accept: Accept = ()


@dataclass(frozen=True, kw_only=True)
class ExplainDataOptions(Options):
    """What is found out over a data set: which maps, tested on how many inputs."""

    methods: Methods = None
    pooling: Explained = None
    modality: Side = None
    prompt: Prompt = None
    prompt_text: PromptText = None
    quick: Quick = False
    points: Points = 20
    faithful: Annotated[
        Count, Option("Over a data set: inputs on which maps are tested; 12 or more give intervals.", metavar="N")
    ] = 16
    slow_control: Annotated[bool, Option("Hold slow maps, too, against those of random weights.", shown=False)] = False
    seed: Seed = 0
    limit: Annotated[int, Limits(ge=2), Option("Over a data set: the first N records.", metavar="N")] = 64
    source_options: SourceOptions = AS_USUAL
    overwrite: Overwrite = False
    device: Device = None
    revision: Revision = None
    accept: Accept = ()


@dataclass(frozen=True, kw_only=True)
class SearchOptions(Options):
    """What is searched for in a folder of vectors, in which of its rows, and how much is wanted."""

    text: Annotated[str | None, Option("Search for a text, whatever it looks like.", metavar="TEXT")] = None
    image: Annotated[str | None, Option("Search for a picture.", metavar="FILE")] = None
    id: Annotated[str | None, Option("Search for what is like this row of the folder.", metavar="ID")] = None
    queries: Annotated[
        Path | None, Option("Many at once: a file of texts or images, or another folder of vectors.", metavar="SOURCE")
    ] = None
    k: Annotated[AtLeastOne, Option("Rows that are wanted of each query.", metavar="N", flag="-k")] = 10
    above: Annotated[float | None, Option("Only rows with this score or more.", metavar="S")] = None
    where: Annotated[
        str | None, Option("Only rows for which this holds: \"price < 20 and label = 'shirt'\".", metavar="CONDITION")
    ] = None
    column: Column = None
    similarity: Annotated[Literal["cosine", "dot"], Option("What a score is.")] = "cosine"
    exact: Annotated[bool, Option("Look at every row, also where there is an index.")] = False
    explain: Annotated[
        Path | None, Option("Why the best row is like the query: write .html or .json.", metavar="FILE")
    ] = None
    model: Annotated[str | None, Option("The model for queries; the folder's own if left out.", metavar="MODEL")] = None
    modality: Side = None
    prompt: Prompt = None
    prompt_text: PromptText = None
    source_options: SourceOptions = AS_USUAL
    overwrite: Overwrite = False
    device: Device = None
    revision: Revision = None
    accept: Accept = ()


@dataclass(frozen=True, kw_only=True)
class DuplicatesOptions(Options):
    """From which similarity on rows of a folder are duplicates, and which of them stays."""

    above: Annotated[float, Limits(gt=0, le=1), Option("Pairs as alike as this and more.", metavar="S")] = 0.95
    against: Annotated[str | None, Option("Rows that are in this folder too, or nearly (leakage).", metavar="DIR2")] = (
        None
    )
    keep: Annotated[
        Literal["first", "largest", "longest", "labelled"],
        Option("Which row stays: the first, the largest picture, the longest text, one with a label."),
    ] = "first"
    column: Column = None
    overwrite: Overwrite = False


@dataclass(frozen=True, kw_only=True)
class OutliersOptions(Options):
    """Against how many neighbours rows are held, and how many of the oddest are named."""

    k: Annotated[AtLeastOne, Option("Nearest other rows that a row is held against.", metavar="N", flag="-k")] = 15
    most: Annotated[Count, Option("Rows that are named of each kind.", metavar="N")] = 50
    column: Column = None
    overwrite: Overwrite = False


@dataclass(frozen=True, kw_only=True)
class AtlasOptions(Options):
    """What is drawn of a folder of vectors: how many rows, with or without their pictures."""

    most: Annotated[AtLeastOne, Option("Rows that are shown; of more, so many at random.", metavar="N")] = 20_000
    pictures: Annotated[bool, Option("Thumbnails of image files.", off="no-pictures")] = True
    most_pictures: Annotated[Count, Option("Thumbnails of the first so many.", shown=False)] = 10_000
    seed: Annotated[SeedNumber, Option("Of everything that is drawn.", metavar="N")] = 0
    column: Column = None
    overwrite: Overwrite = False


@dataclass(frozen=True, kw_only=True)
class IndexOptions(Options):
    """Which share of the best rows an index must find."""

    recall: Annotated[float, Limits(gt=0, le=1), Option("Share of the best rows that must be found.", metavar="X")] = (
        0.98
    )
    k: Annotated[AtLeastOne, Option("Rows that the share is of.", metavar="N", flag="-k")] = 10
    column: Column = None


@dataclass(frozen=True, kw_only=True)
class WalkthroughOptions(Options):
    """What the walkthrough's page is made of: the data of its statistics, and where it is computed."""

    data: Annotated[Any, Option("Take the page's statistics over this source.", metavar="SOURCE")] = None
    limit: Annotated[int, Limits(ge=12), Option("Records that the statistics are taken over.", metavar="N")] = 40
    modality: Side = None
    overwrite: Overwrite = False
    device: Device = None
    revision: Revision = None
    accept: Accept = ()


@dataclass(frozen=True, kw_only=True)
class ServeOptions(Options):
    """What a service gives for an input, and how much requests may ask for."""

    folder: Annotated[
        tuple[str, ...], Option("Vectors that requests may search; several as NAME=DIR.", metavar="DIR")
    ] = ()
    column: Column = None
    pooling: Annotated[
        str | None, Option("The vector to give: cls, mean, cls+mean@-2 ...; the model's own.", metavar="NAME")
    ] = None
    normalize: Normalize = None
    precision: Precision = "fp32"
    max_inputs: Annotated[AtLeastOne, Option("Inputs of a request.", metavar="N")] = 2048
    max_body: Annotated[AtLeastOne, Option("Bytes of a request.", metavar="N")] = 16_000_000
    max_pixels: Annotated[AtLeastOne, Option("Pixels of an image.", metavar="N")] = 20_000_000
    max_waiting: Annotated[AtLeastOne, Option("Tokens that may wait; beyond it, 429.", metavar="N")] = 262_144
    timeout: Annotated[float, Limits(ge=0.1), Option("Seconds that a request may take.", metavar="S")] = 60.0
    device: Device = None
    revision: Revision = None
    accept: Accept = ()


@dataclass(frozen=True, kw_only=True)
class VerifyOptions(Options):
    """Whose vectors are looked at: a service's, or stored ones, beside a model's; how the service is asked."""

    clean: Annotated[bool, Option("Remove files of ours that the folder's manifest does not list.")] = False
    endpoint: Annotated[str | None, Option("A service of vectors, to be asked.", metavar="URL")] = None
    against: Annotated[
        Path | None, Option("Somebody's texts with their vectors: .parquet, .jsonl.", metavar="FILE")
    ] = None
    service_model: Annotated[str | None, Option("What the service calls its model.", metavar="NAME")] = None
    api_key_file: Annotated[Path | None, Option("A key that the service wants.", metavar="FILE")] = None
    text_column: Annotated[str | None, Option("Column of texts.", metavar="NAME")] = None
    vector_column: Annotated[str | None, Option("Column of vectors.", metavar="NAME")] = None
    prompt: Prompt = None
    prompt_text: PromptText = None
    device: Device = None
    revision: Revision = None
    accept: Accept = ()


@dataclass(frozen=True, kw_only=True)
class ExportOptions(Options):
    """For what a model or a folder of vectors is written, and which vector of it."""

    format: Annotated[
        Literal["onnx", "lance", "faiss"], Option("onnx of a model; lance or faiss of a folder of vectors.")
    ] = "onnx"
    pooling: Annotated[str | None, Option("Which vector; the model's own, or the only one.", metavar="NAME")] = None
    normalize: Normalize = None
    overwrite: Overwrite = False
    revision: Revision = None
    accept: Accept = ()
