"""What a user names (SOURCE, a test part, queries, judgements) -> the task."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from classtoken.comparison.classification import Classification
from classtoken.comparison.clustering import Clustering
from classtoken.comparison.dense import Segmentation
from classtoken.comparison.multilabel import MultiLabel
from classtoken.comparison.retrieval import RetrievalByClass, RetrievalByJudgements
from classtoken.comparison.similarity import Similarity
from classtoken.comparison.task import Choices, JudgedTask
from classtoken.errors import OptionError
from classtoken.model_folder import columns_learned_from
from classtoken.options import CompareOptions
from classtoken.places import place_of
from classtoken.sink.manifest import has_manifest, read_manifest
from classtoken.source import PairColumns, Source, open_source, read_judgements, read_pairs
from classtoken.values import Record, Rejected


def open_task(source: Any, options: CompareOptions, remembered: Mapping[str, str] = MappingProxyType({})) -> JudgedTask:
    """The task of a source; `remembered` are columns as `open_source` takes them.

    Raises `OptionError` for what does not fit the task, and what sources raise.
    """
    _refuse_unused(options)
    if options.task == "similarity":
        return _similarity(source, options, remembered)
    refused, told = list[Rejected](), list[str]()

    def read(given: Any) -> list[Record]:
        return _read(open_source(given, options.source_options, remembered), options, refused, told)

    opened = open_source(source, options.source_options, remembered)
    records = _read(opened, options, refused, told)
    choices = _choices(options, opened.called())
    made: JudgedTask
    if options.task in (None, "classification", "multilabel"):
        test = None if options.test is None else read(options.test)
        several = any(isinstance(record.label, tuple) for record in (*records, *(test or ())))
        kind = MultiLabel if (several if options.task is None else options.task == "multilabel") else Classification
        made = kind(records, test, choices)
        made.refused, made.read = (*refused, *made.refused), (*records, *(test or ()))
    elif options.task == "retrieval" and options.queries is not None and options.judgements is not None:
        queries, judged = read(options.queries), read_judgements(options.judgements)
        made = RetrievalByJudgements(records, queries, judged, choices, tuple(refused))
    elif options.task == "retrieval":
        made = RetrievalByClass(records, choices, tuple(refused))
        made.read = tuple(records)
    else:
        made = (Segmentation if options.task == "dense" else Clustering)(records, choices, tuple(refused))
        made.read = tuple(records)
    made.told = tuple(told)
    return made


def _choices(options: CompareOptions, called: Mapping[str, str]) -> Choices:
    return Choices(
        cluster=options.cluster,
        group=options.group,
        called=called,
        folds=options.folds,
        draws=options.draws,
        shots=options.shots,
        seeds=options.seeds,
        seed=options.seed,
    )


def columns_of_candidates(models: Sequence[Any], vectors: Sequence[str]) -> dict[str, str]:
    """Which columns the candidates come from: models that were trained here, folders of vectors (their own word)."""
    places = [place_of(name) for name in vectors if not Path(name).is_file()]
    stored = [read_manifest(place).called for place in places if has_manifest(place)]
    found: dict[str, str] = {}
    for one in (*map(columns_learned_from, models), *stored):
        found |= one
    return found


def _similarity(source: Any, options: CompareOptions, remembered: Mapping[str, str]) -> JudgedTask:
    if not isinstance(source, str | Path):
        raise OptionError("pairs are read from a table; give the path of a .csv, .tsv, .jsonl or .parquet file.")
    refused: list[Rejected] = []
    columns = options.source_options
    named = PairColumns.named(columns.text_column, columns.label_column, columns.id_column)
    learned = PairColumns(remembered.get("text"), remembered.get("partner"), remembered.get("score"))
    pairs = read_pairs(Path(source), columns=named, remembered=learned, refused=refused)
    return Similarity(pairs[: options.limit], _choices(options, {}), tuple(refused))


def _read(opened: Source, options: CompareOptions, refused: list[Rejected], told: list[str]) -> list[Record]:
    """The records that can be read; the others go into `refused`, and what the source says into `told`."""
    records = list(opened.records(refused, limit=options.limit))
    told += opened.notes
    if not records:
        first = f" The first: {refused[0].id}: {refused[0].reason}." if refused else ""
        raise OptionError(f"no record of '{opened.name}' can be read.{first}")
    return records


def _refuse_unused(options: CompareOptions) -> None:
    """Refuse what would change nothing."""
    learning = options.task in (None, "classification", "multilabel")
    if options.test is not None and not learning:
        raise OptionError(f"nothing is learned for {options.task}, so `test` would change nothing; leave it out.")
    if (options.queries is None) != (options.judgements is None):
        raise OptionError("`queries` and `judgements` belong together; give both, or neither (retrieval by class).")
    if options.queries is not None and options.task != "retrieval":
        raise OptionError("`queries` and `judgements` are for the task retrieval.")
