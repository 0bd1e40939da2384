"""A folder of vectors as one page to look at."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from classtoken.destination import output_file
from classtoken.errors import OutputError
from classtoken.files import last_part, user_path
from classtoken.inputs import thumbnail
from classtoken.nearest.carried import values_at
from classtoken.nearest.clusters import Cluster, clusters, described
from classtoken.nearest.graph import neighbours
from classtoken.nearest.layout import layout, most_trusted
from classtoken.nearest.rows import column_of, unit_matrix, without_in_words
from classtoken.options import AtlasOptions
from classtoken.page.atlas import AtlasPage, AtlasPoint, atlas_html
from classtoken.page.export import check_page
from classtoken.results.atlas import AtlasCluster, AtlasResult, Trustworthiness
from classtoken.results.base import counted
from classtoken.sink import Vectors, read
from classtoken.values import Progress, written_path

NEIGHBOURS = 15
SIDE = 64
"""pixels of a thumbnail"""
LONG = 240
"""signs of a text"""


def atlas(
    folder: str | Path,
    out: str | Path,
    options: AtlasOptions,
    *,
    report: Callable[[Progress], object] | None = None,
) -> AtlasResult:
    """A folder as one page: see `classtoken.atlas`."""
    target = user_path(out)
    check_page(target)
    work = (folder, {**vars(options), "overwrite": None})
    place = output_file(target, "atlas", work, inputs={"folder": folder}, overwrite=options.overwrite)
    page, found = drawn(read(folder), options, report=report)
    return replace(found, out=place.path.as_posix(), bytes=place.write(atlas_html(page)))


def drawn(
    vectors: Vectors, options: AtlasOptions, *, report: Callable[[Progress], object] | None = None
) -> tuple[AtlasPage, AtlasResult]:
    """The page of a folder, and what `atlas` says of it; nothing is written."""
    start = time.monotonic()
    column = column_of(vectors, options.column)
    matrix, without = unit_matrix(vectors, column)
    rows = _chosen(~without.numpy(), options)
    matrix = matrix[torch.from_numpy(rows)]
    near = neighbours(matrix, NEIGHBOURS, report=report)
    laid = layout(matrix, near, seed=options.seed, report=report)
    flat, judged = most_trusted(matrix, laid, k=NEIGHBOURS, seed=options.seed)
    members = clusters(matrix, seed=options.seed)
    points = _points(vectors, rows, flat, members, options)
    found = described(matrix, members, [p.label for p in points], [p.text for p in points])
    trusted = None if judged is None else Trustworthiness(**vars(judged))
    missing = int(without.sum())
    notes = _notes(without_in_words(vectors, column, missing, "a place"), len(rows), len(vectors) - missing)
    if flat is not laid:
        notes += ("drawn along the two main directions, which keep these neighbours better than the layout of UMAP",)
    model = Path(vectors.manifest.model).name
    lead = f"{len(rows)} of {counted(len(vectors), 'row')}, vectors '{column}' of {model}. {_said(trusted)}"
    page = AtlasPage(
        f"Atlas of {last_part(vectors.manifest.source)}",
        lead,
        points,
        [(one.name, one.typical, one.odd) for one in found],
        notes,
    )
    return page, AtlasResult(
        out="",
        folder=vectors.place.name,
        column=column,
        rows=len(vectors),
        shown=len(rows),
        pictures=sum(bool(point.picture) for point in points),
        bytes=0,
        trustworthiness=trusted,
        clusters=tuple(_named(cluster, points) for cluster in found),
        seconds=time.monotonic() - start,
        notes=notes,
    )


def _chosen(good: np.ndarray, options: AtlasOptions) -> np.ndarray:
    """The rows that are shown, in order: at random where there are more than are wanted. Raises `OutputError`."""
    rows = np.flatnonzero(good)
    if not len(rows):
        raise OutputError("the folder holds no vector that is finite and not all zeros; there is nothing to show.")
    if len(rows) > options.most:
        rows = np.sort(np.random.default_rng(options.seed).permutation(rows)[: options.most])
    return rows


def _points(
    vectors: Vectors, rows: np.ndarray, flat: np.ndarray, members: np.ndarray, options: AtlasOptions
) -> list[AtlasPoint]:
    wanted = ["id", *vectors.manifest.beside, *(name for name in ("text", "path") if name in vectors.carried)]
    low, span = flat.min(0), float(np.ptp(flat, axis=0).max()) or 1.0
    places = (flat - low) / span
    points = []
    for at, (row, values) in enumerate(zip(places, values_at(vectors, rows, wanted), strict=True)):
        path = values.get("path")
        picture = written_path(path) if isinstance(path, str) and options.pictures else None
        points.append(
            AtlasPoint(
                float(row[0]),
                float(row[1]),
                values["id"],
                int(members[at]),
                " ".join(str(values.get("text", "")).split())[:LONG],
                (thumbnail(picture, SIDE) or "") if picture and at < options.most_pictures else "",
                values.get("label"),
                values.get("group"),
            )
        )
    return points


def _named(cluster: Cluster, points: Sequence[AtlasPoint]) -> AtlasCluster:
    typical, odd = (tuple(points[row].id for row in rows) for rows in (cluster.typical, cluster.odd))
    return AtlasCluster(cluster.name, cluster.size, typical, odd)


def _said(trusted: Trustworthiness | None) -> str:
    if trusted is None:
        return "There are too few rows to say how far the layout can be trusted."
    low, high = f"{trusted.low:.3f}", f"{trusted.high:.3f}"
    between = f" (interval of 95 %: {low} to {high})" if low != high else ""  # of few rows all are looked at
    return (
        f"Rows that are near on this page are near in truth, too: trustworthiness {trusted.value:.3f} of 1{between}. "
        "Distances between groups far apart mean nothing."
    )


def _notes(without: Sequence[str], shown: int, rows: int) -> tuple[str, ...]:
    notes = list(without)
    if shown < rows:
        notes.append(f"{shown} rows drawn at random are shown; `most` shows more")
    return tuple(notes)
