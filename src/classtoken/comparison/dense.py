"""Patches instead of one vector: a linear segmentation of frozen patch tokens against true masks."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from classtoken.comparison.columns import clusters_of, units_of
from classtoken.comparison.probes import GRID, MOST_CHOOSING, logistic
from classtoken.comparison.splitting import cluster_numbers, in_folds
from classtoken.comparison.task import Choices, Judged, JudgedTask
from classtoken.comparison.transform import whitened
from classtoken.errors import OptionError
from classtoken.fingerprint import hash_file
from classtoken.learning.ways.logistic import FitTask
from classtoken.measure.scores import mean_iou, of_counts
from classtoken.tensors import States
from classtoken.tokens.image import ImagePreprocessor
from classtoken.tokens.masks import read_mask
from classtoken.values import Record, Rejected, Role

THINGS = 90
"""in panoptic masks of COCO: 1 to 90 are things, above is stuff"""
FEWEST_IMAGES, LEARNED_PATCHES = 5, 3000
SPEC = re.compile(r"patches(?:@(?P<layer>[0-9]+))?(?P<cls>\+cls)?")


class PatchReadout(nn.Module):
    """A readout of every patch: their states one after another, (B, P * D); with `cls` each beside the class token's.

    layer: after so many blocks, without the final norm; None: the last states after it.
    """

    def __init__(self, layer: int | None = None, *, cls: bool = False):
        super().__init__()
        self.layer, self.cls = layer, cls

    @property
    def layers(self) -> tuple[int | str, ...]:
        """What to ask of the encoder."""
        return () if self.layer is None else ("embeddings" if self.layer == 0 else self.layer - 1,)

    @property
    def rows(self) -> None:
        """All tokens."""
        return

    def forward(self, states: States, *, over: frozenset[Role] | None = None) -> Tensor:
        """The patches of a batch."""
        found = states.last_BLD if self.layer is None else states.layers[self.layers[0]]
        patches = states.roles_BL == Role.CONTENT
        rows = found[patches].reshape(len(found), -1, found.shape[-1]).float()
        if self.cls:
            token = found[states.roles_BL == Role.CLASS].reshape(len(found), -1, found.shape[-1]).float().mean(1)
            rows = torch.cat([rows, token[:, None].expand(-1, rows.shape[1], -1)], dim=-1)
        return rows.flatten(1)


def patch_readouts(names: str | None, depth: int, *, by_layer: bool, has_cls: bool) -> dict[str, PatchReadout]:
    """Readouts by name: `patches`, `patches@6`, `patches+cls`. Raises `OptionError` for other names."""
    asked = names.split(",") if names else ["patches", *(["patches+cls"] if has_cls else [])]
    asked += [f"patches@{layer}" for layer in range(depth + 1)] if by_layer else []
    found = {}
    for name in (part.strip() for part in asked):
        read = SPEC.fullmatch(name)
        if read is None or int(read["layer"] or 0) > depth or (read["cls"] and not has_cls):
            raise OptionError(
                f"'{name}' is no readout of patches; for dense write patches, patches@0 to patches@{depth}"
                + (", or patches+cls." if has_cls else ".")
            )
        found[name] = PatchReadout(None if read["layer"] is None else int(read["layer"]), cls=bool(read["cls"]))
    return found


class Segmentation(JudgedTask):
    """Mean IoU (which ranks) and pixel accuracy of a linear classifier of patches, learned on other images."""

    name, metric = "dense", "miou"
    deviation, assumed = 0.6, "an image's contributions to two candidates differ with a standard deviation of 0.6"

    def __init__(self, records: Sequence[Record], choices: Choices, refused: tuple[Rejected, ...] = ()):
        self.choices = choices
        self.records = tuple(record for record in records if record.meta.get("mask"))
        lost = tuple(Rejected(record.id, "has no mask") for record in records if not record.meta.get("mask"))
        self.refused = (*refused, *lost)
        if len(self.records) < 2 * FEWEST_IMAGES:
            raise OptionError(
                f"{len(self.records)} images with masks are too few to segment; give {2 * FEWEST_IMAGES} or more, and "
                "the folder of masks as `masks`."
            )
        names, self.clusters = clusters_of(self.records, choices.cluster, choices.called, choices.group)
        numbers = cluster_numbers(names)
        self.split = in_folds(np.zeros((len(self.records), 1)), numbers, choices.folds, choices.seed)
        self.units = units_of([names[row] for row in self.split.judged])
        self.masks: NDArray | None = None
        self.grid = (1, 1)

    @property
    def items(self) -> tuple[str, ...]:
        return tuple(self.records[row].id for row in self.split.judged)

    def prepared(self, prepare: object, grid: tuple[int, int] | None) -> "Segmentation":
        """The same with the masks as the model sees them: through its own resize and crop."""
        if not isinstance(prepare, ImagePreprocessor) or grid is None:
            raise OptionError("dense needs a model of images with a patch grid.")
        self.masks = np.stack([_seen(record, prepare) for record in self.records])
        self.grid = grid
        return self

    def settings(self) -> dict[str, str]:
        return {
            "split": f"{len(self.split.parts)} folds of {len(self.records)} images; each is judged once",
            "miou": "over pixels of the mask as the model sees it; pixels without an id, and ids on fewer than "
            f"{FEWEST_IMAGES} images, do not count",
            "probe": f"logistic regression of a patch's commonest id, on at most {LEARNED_PATCHES} learned patches, C "
            f"from {GRID[0]:g} to {GRID[-1]:g} chosen on a held-out fifth of them (at most {MOST_CHOOSING})",
            "seed": str(self.choices.seed),
        }

    def judge(self, vectors: NDArray, *, whiten: bool = False, only: str | None = None) -> Judged:
        assert self.masks is not None
        patches = self.grid[0] * self.grid[1]
        x = np.asarray(vectors, dtype=np.float64).reshape(len(vectors), patches, -1)
        ids, classes = self._classes()
        labels = np.stack([_commonest(mask, self.grid) for mask in ids])
        counted: list[NDArray] = []
        inner: list[float] = []
        for learned, judged in self.split.parts:
            flat, target = x[learned].reshape(-1, x.shape[-1]), labels[learned].ravel()
            usable = np.flatnonzero(target >= 0)
            drawing = np.random.default_rng([self.choices.seed, len(inner)])
            some = drawing.permutation(usable)[:LEARNED_PATCHES]
            every = x[judged].reshape(-1, x.shape[-1])
            if whiten:
                both = whitened(np.concatenate([flat[some], every]), np.arange(len(some)))
                known, every = both[: len(some)], both[len(some) :]
            else:
                known = flat[some]
            task = FitTask(False, False, self.choices.seed, len(classes))
            fitted = logistic(known, target[some], every, task)
            inner.append(fitted.inner)
            given = fitted.logits.argmax(1).reshape(len(judged), *self.grid)
            counted += [
                _counts(_spread(one, ids.shape[1:]), ids[row], len(classes))
                for one, row in zip(given, judged, strict=True)
            ]
        table = np.stack(counted)
        values = {"miou": of_counts(table, mean_iou)[1]}
        if only is None:
            values |= self._more(table, classes)
        return Judged(values, inner=tuple(inner))

    def _more(self, table: NDArray, classes: NDArray) -> dict[str, NDArray]:
        found = {"pixel_accuracy": of_counts(table, _right_share(len(classes)))[1]}
        for name, chosen in (("miou_things", classes <= THINGS), ("miou_stuff", classes > THINGS)):
            if chosen.any() and not chosen.all():
                found[name] = of_counts(table[:, np.tile(chosen, 3)], mean_iou)[1]
        return found

    def _classes(self) -> tuple[NDArray, NDArray]:
        """Masks with classes numbered from 0 (-1: does not count), and the ids of those classes."""
        assert self.masks is not None
        there = [np.unique(mask) for mask in self.masks]
        ids, images = np.unique(np.concatenate(there), return_counts=True)
        kept = ids[(images >= FEWEST_IMAGES) & (ids > 0)]
        if len(kept) < 2:
            raise OptionError(
                f"fewer than two ids are on {FEWEST_IMAGES} masks or more; there is nothing to tell apart."
            )
        place = np.searchsorted(kept, self.masks).clip(max=len(kept) - 1)
        return np.where(kept[place] == self.masks, place, -1), kept

    def answers(self) -> object:
        return [hash_file(Path(str(record.meta["mask"]))) for record in self.records]

    def without(self, bad: Mapping[int, Rejected]) -> "Segmentation":
        kept = [row for row in range(len(self.records)) if row not in bad]
        left = Segmentation([self.records[row] for row in kept], self.choices, (*self.refused, *bad.values()))
        left.masks, left.grid = None if self.masks is None else self.masks[kept], self.grid
        return left


def _right_share(classes: int):  # type: ignore[no-untyped-def]
    def share(sums: NDArray) -> NDArray:
        right, missed = sums[..., :classes].sum(-1), sums[..., 2 * classes :].sum(-1)
        return right / np.maximum(right + missed, 1)

    return share


def _seen(record: Record, prepare: ImagePreprocessor) -> NDArray:
    """The mask's ids at every pixel that the model sees. Where each of them comes from is found by preparing a picture
    whose colours say where they stand."""
    ids = read_mask(record)
    ids = ids if ids.ndim == 2 else ids[..., 0]
    height, width = ids.shape
    down, across = np.mgrid[0:height, 0:width]
    places = np.stack([255 * across / max(1, width - 1), 255 * down / max(1, height - 1), 0 * down], axis=-1)
    pictures = [
        Image.fromarray(places.round().astype(np.uint8)),
        *(Image.new("RGB", (width, height), (v,) * 3) for v in (0, 255)),
    ]
    found, black, white = (prepare([picture]).pixels for picture in pictures)
    if found is None or black is None or white is None:
        raise OptionError("dense needs images as pixels.")
    shares = ((found - black) / (white - black))[0, :2].clamp(0, 1).numpy()
    return ids[(shares[1] * (height - 1)).round().astype(int), (shares[0] * (width - 1)).round().astype(int)].astype(
        np.int64
    )


def _commonest(mask: NDArray, grid: tuple[int, int]) -> NDArray:
    """The commonest class of every patch, -1 where most of it does not count."""
    high, wide = mask.shape[0] // grid[0], mask.shape[1] // grid[1]
    cut = mask[: high * grid[0], : wide * grid[1]].reshape(grid[0], high, grid[1], wide).transpose(0, 2, 1, 3)
    rows = cut.reshape(grid[0] * grid[1], -1)
    found = np.empty(len(rows), dtype=np.int64)
    for n, row in enumerate(rows):
        values, counts = np.unique(row, return_counts=True)
        found[n] = values[counts.argmax()]
    return found


def _spread(given: NDArray, size: tuple[int, ...]) -> NDArray:
    """A class a patch -> a class a pixel."""
    down = np.minimum(np.arange(size[0]) * given.shape[0] // size[0], given.shape[0] - 1)
    across = np.minimum(np.arange(size[1]) * given.shape[1] // size[1], given.shape[1] - 1)
    return given[np.ix_(down, across)]


def _counts(given: NDArray, truth: NDArray, classes: int) -> NDArray:
    """True positives, false positives, false negatives of every class, in pixels that count, (3 C,)."""
    there = truth >= 0
    g, t = given[there], truth[there]
    right = np.bincount(t[g == t], minlength=classes)
    return np.concatenate(
        [right, np.bincount(g, minlength=classes) - right, np.bincount(t, minlength=classes) - right]
    ).astype(float)
