"""Inputs -> vectors, as the checkpoint's authors meant it: preprocessing + encoder + readout under one contract."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor

from classtoken.contract.model import read_model
from classtoken.contract.reading import Reading
from classtoken.contract.saving import save_model
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.locate import locate
from classtoken.encoder.shape import ImageStem, TextStem
from classtoken.errors import ClasstokenError, ContractError, OptionError, TraceError
from classtoken.pooling.spec import Spec, parse, parse_many
from classtoken.readout.readout import Readout, one_pass
from classtoken.results.inspect import Contract
from classtoken.tensors import Recorder, States, Tokens, Trace, names_of_trace
from classtoken.tokens.batching import batches_by_length
from classtoken.tokens.image import ImagePreprocessor
from classtoken.tokens.recipe_files import hugging_face_recipe
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Layout, Role

Precision = Literal["fp32", "bf16"]
PRECISIONS: Mapping[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
TOKEN_BUDGET = 2048
"""tokens of a text batch on the CPU; larger batches were not faster (benchmarks/embed.py)"""
IMAGE_ROWS = 16


@dataclass
class Tower:
    """One side of a model: how its inputs are prepared, encoded and read out."""

    reading: Reading
    prepare: TextPreprocessor | ImagePreprocessor

    @property
    def modality(self) -> str:
        """`text` or `image`."""
        return self.reading.modality

    @property
    def layout(self) -> Layout:
        """Roles in order, as inputs come out of the preprocessing."""
        if isinstance(self.prepare, ImagePreprocessor):
            return self.prepare.layout
        runs: list[tuple[Role, int | None]] = []
        for role in self.prepare.leading:
            runs.append((role, 1))
        behind = self.prepare.tokenizer.ends[1]
        return Layout((*runs, (Role.CONTENT, None), *(((Role.END, behind),) if behind else ())))


class Embedder:
    """A loaded model. `embed` gives vectors, `logits` the classifier's answer, `states` and `trace` what is inside."""

    def __init__(
        self,
        folder: Path,
        towers: Mapping[str, Tower],
        *,
        name: str,
        pooling: str | None = None,
        precision: Precision = "fp32",
        device: str | torch.device | None = None,
        normalize: bool | None = None,
    ):
        if precision not in PRECISIONS:
            raise OptionError(f"precision '{precision}' is not known; known are {', '.join(PRECISIONS)}.")
        self.folder, self.towers, self.name = folder, dict(towers), name
        self.pooling, self.precision, self.normalize = pooling, precision, normalize
        self.device = _device(device)
        self.dtype = PRECISIONS[precision]
        for tower in self.towers.values():
            tower.reading.encoder.to(self.device, self.dtype)
            for module in (tower.reading.pooler, tower.reading.classifier, *tower.reading.after):
                if module is not None:
                    module.to(self.device)
            for module in tower.reading.learned.values():
                module.to(self.device)
        if pooling is not None:
            self._readouts(next(iter(self.towers.values())), pooling)  # refused now rather than after the first batch

    # -- what it is ----------------------------------------------------------------------------------------------------

    @property
    def modalities(self) -> tuple[str, ...]:
        """`("image",)`, `("text",)` or both."""
        return tuple(self.towers)

    def tower(self, modality: str | None = None) -> Tower:
        """The tower of a modality; a two-tower model must be told which."""
        if modality is None:
            if len(self.towers) > 1:
                raise OptionError(
                    f'\'{self.name}\' has a text and an image side; say which with modality="text" or modality="image".'
                )
            return next(iter(self.towers.values()))
        if modality not in self.towers:
            raise OptionError(f"'{self.name}' reads {' and '.join(self.towers)}, not {modality}.")
        return self.towers[modality]

    @property
    def encoder(self) -> Any:
        """The encoder of the only (or the first) tower."""
        return next(iter(self.towers.values())).reading.encoder

    @property
    def contract(self) -> Contract:
        """The readout that the authors meant, of the only (or the first) tower."""
        return next(iter(self.towers.values())).reading.contract

    @property
    def layout(self) -> Layout:
        """Roles in order, of the only (or the first) tower."""
        return next(iter(self.towers.values())).layout

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes. Raises `ContractError` where the checkpoint has no classifier."""
        return self._classifying().reading.classifier.labels  # type: ignore[union-attr]

    # -- what it does --------------------------------------------------------------------------------------------------

    def embed(
        self,
        items: Sequence[Any] | Any,
        *,
        pooling: str | None = None,
        modality: str | None = None,
        prompt: str | None = None,
        batch: int | None = None,
    ) -> np.ndarray | dict[str, np.ndarray]:
        """One vector per item: (n, d) float32, or a dict of such arrays when several poolings are asked for.

        pooling: `cls`, `mean@-2`, `cls+mean`, or several joined by commas, all from one pass. None: what `load` was
            given, else the whole contract.
        prompt: a named prompt of the checkpoint or a literal one (texts).
        batch: rows of a batch; by default what fits the machine.
        """
        tower = self.tower(modality)
        readouts = self._readouts(tower, pooling if pooling is not None else self.pooling)
        found = self._vectors(tower, _listed(items), list(readouts.values()), prompt, batch)
        arrays = dict(zip(readouts, found, strict=True))
        return arrays if len(arrays) > 1 else next(iter(arrays.values()))

    def columns(self, pooling: str | None = None, *, modality: str | None = None) -> dict[str, int]:
        """Name and size of the vectors that `embed` would give: the columns of an output table."""
        tower = self.tower(modality)
        asked = pooling if pooling is not None else self.pooling
        return {name: self._size(tower, readout) for name, readout in self._readouts(tower, asked).items()}

    def logits(self, items: Sequence[Any] | Any, *, batch: int | None = None) -> np.ndarray:
        """The classifier's logits, (n, classes) float32. Raises `ContractError` where the checkpoint has none."""
        tower = self._classifying()
        classifier = tower.reading.classifier
        assert classifier is not None
        layers, rows = classifier.readout.layers, classifier.readout.rows

        def run(tokens: Tokens) -> list[Tensor]:
            return [classifier(self._encode(tower, tokens, layers=layers, rows=rows))]

        return self._run(tower, _listed(items), run, 1, None, batch)[0]

    def probabilities(self, items: Sequence[Any] | Any, *, batch: int | None = None) -> np.ndarray:
        """Calibrated probabilities, (n, classes): softmax, or a sigmoid per label for a multi-label model."""
        classifier = self._classifying().reading.classifier
        assert classifier is not None
        logits = self.logits(items, batch=batch) / classifier.temperature
        if classifier.multilabel:
            return 1 / (1 + np.exp(-logits))
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return cast(np.ndarray, raised / raised.sum(axis=1, keepdims=True))

    def tokens(self, items: Sequence[Any] | Any, *, modality: str | None = None, prompt: str | None = None) -> Tokens:
        """Items prepared as one batch, on the model's device."""
        tower = self.tower(modality)
        return self._to_device(self._prepare(tower, _listed(items), prompt))

    def states(
        self, items: Sequence[Any] | Any, *, layers: Sequence[int | str] = (), modality: str | None = None
    ) -> States:
        """States of every token, one batch (`tensors.States`)."""
        with self.inference():
            return self._encode(self.tower(modality), self.tokens(items, modality=modality), layers=layers)

    def trace(self, items: Sequence[Any] | Any, names: Sequence[str], *, modality: str | None = None) -> Recorder:
        """Internal values by name (`tensors.names_of_trace`) of one batch; `.kept[name]`.

        Raises `TraceError` for names that this model does not have or cannot give.
        """
        tower = self.tower(modality)
        recorder = Recorder(check_names(tower.reading.encoder, names))
        with self.inference():
            self._encode(tower, self.tokens(items, modality=modality), trace=recorder)
        return recorder

    def run(self, tokens: Tokens, trace: Trace | None = None, *, modality: str | None = None) -> States:
        """States of prepared tokens, with a trace that may change what flows; gradients as the caller has set them."""
        return self._encode(self.tower(modality), tokens, trace=trace)

    @contextmanager
    def inference(self) -> Iterator[None]:
        """No gradients."""
        with torch.inference_mode():
            yield

    def save(self, folder: str | Path) -> Path:
        """Write the model as a folder: its files, the weights as they are now, and the readout that `load` was given.

        `load(folder)` gives the same vectors; libraries that opened the original folder open this one. Raises
        `OutputError` for a folder that holds something.
        """
        readings = [tower.reading for tower in self.towers.values()]
        save_model(self.folder, Path(folder), readings, self.pooling, self.normalize)
        return Path(folder)

    # -- seams for runs over whole data sets ---------------------------------------------------------------------------

    def vectors_of(
        self, tokens: Tokens, pooling: str | None = None, *, modality: str | None = None, prompt: str | None = None
    ) -> dict[str, np.ndarray]:
        """Vectors of prepared tokens by name."""
        tower = self.tower(modality)
        readouts = self._readouts(tower, pooling if pooling is not None else self.pooling)
        with self.inference():
            found = self._read(tower, self._to_device(tokens), list(readouts.values()), prompt)
        return {name: v.cpu().numpy() for name, v in zip(readouts, found, strict=True)}

    # -- inside --------------------------------------------------------------------------------------------------------

    def _readouts(self, tower: Tower, pooling: str | None) -> dict[str, Readout]:
        """Readouts by the name of their column: the canonical spec."""
        reading = tower.reading
        if pooling is None:
            return {reading.contract.pooling: self._placed(reading.readout(None, unit_length=self.normalize or None))}
        specs: tuple[Spec, ...] = parse_many(pooling)
        return {str(spec): self._placed(reading.readout(spec, unit_length=self.normalize)) for spec in specs}

    def _placed(self, readout: Readout) -> Readout:
        return readout.to(self.device).eval()

    def _size(self, tower: Tower, readout: Readout) -> int:
        if readout.after:
            return tower.reading.contract.size
        widths = [getattr(p, "width", None) or getattr(p, "size", None) for p in readout.poolings]
        return sum(int(width or tower.reading.encoder.hidden_size) for width in widths)

    def _vectors(
        self, tower: Tower, items: list[Any], readouts: list[Readout], prompt: str | None, batch: int | None
    ) -> list[np.ndarray]:
        def run(tokens: Tokens) -> list[Tensor]:
            return self._read(tower, tokens, readouts, prompt)

        return self._run(tower, items, run, len(readouts), prompt, batch)

    def _read(self, tower: Tower, tokens: Tokens, readouts: list[Readout], prompt: str | None) -> list[Tensor]:
        layers, rows = one_pass(readouts)
        over = None
        if isinstance(tower.prepare, TextPreprocessor):
            over = tower.prepare.pooled_roles(prompt)
        states = self._encode(tower, tokens, layers=layers, rows=rows, packed=True)
        return [readout(states, over=over) for readout in readouts]

    def _run(
        self, tower: Tower, items: list[Any], run: Any, outputs: int, prompt: str | None, batch: int | None
    ) -> list[np.ndarray]:
        """All items in batches of like length, results in the order of the items."""
        results: list[list[np.ndarray | None]] = [[None] * len(items) for _ in range(outputs)]
        with self.inference():
            for places, tokens in self._batches(tower, items, prompt, batch):
                for column, values in zip(results, run(self._to_device(tokens)), strict=True):
                    for place, value in zip(places, values.float().cpu().numpy(), strict=True):
                        column[place] = value
        if not items:
            return [np.empty((0, 0), np.float32) for _ in range(outputs)]
        return [np.stack(cast(list[np.ndarray], column)).astype(np.float32, copy=False) for column in results]

    def _batches(
        self, tower: Tower, items: list[Any], prompt: str | None, batch: int | None
    ) -> Iterable[tuple[list[int], Tokens]]:
        if isinstance(tower.prepare, TextPreprocessor):
            rows = tower.prepare.encode(items, prompt=prompt)
            lengths = [tower.prepare.recipe.pad_to or len(row) for row in rows]
            for places in batches_by_length(lengths, TOKEN_BUDGET, most_rows=batch, padded=False):
                yield places, tower.prepare.collate([rows[place] for place in places])
            return
        size = batch or IMAGE_ROWS
        for start in range(0, len(items), size):
            chunk = items[start : start + size]
            yield list(range(start, start + len(chunk))), tower.prepare(chunk)

    def _prepare(self, tower: Tower, items: list[Any], prompt: str | None) -> Tokens:
        if isinstance(tower.prepare, TextPreprocessor):
            return tower.prepare(items, prompt=prompt)
        return tower.prepare(items)

    def _to_device(self, tokens: Tokens) -> Tokens:
        return tokens.to(self.device, self.dtype)

    def _encode(
        self,
        tower: Tower,
        tokens: Tokens,
        *,
        layers: Sequence[int | str] = (),
        rows: Iterable[Role] | None = None,
        trace: Trace | None = None,
        packed: bool = False,
    ) -> States:
        wanted = None if rows is None else frozenset(rows)
        packed = packed and isinstance(tower.reading.encoder, Encoder)
        states: States = tower.reading.encoder(tokens, layers=layers, rows=wanted, trace=trace, packed=packed)
        if self.dtype == torch.float32 or trace is not None:
            return states
        layers_float = {name: value.float() for name, value in states.layers.items()}
        return States(states.last_BLD.float(), states.roles_BL, states.grid, layers_float, states.final_norm)

    def _classifying(self) -> Tower:
        for tower in self.towers.values():
            if tower.reading.classifier is not None:
                return tower
        raise ContractError(
            f"'{self.name}' has no classifier, so it gives no labels and no logits. Train one: "
            f"classtoken train SOURCE --model {self.name} --out DIR."
        )


def load(
    model: str | Path,
    *,
    pooling: str | None = None,
    precision: Precision = "fp32",
    device: str | None = None,
    revision: str | None = None,
    normalize: bool | None = None,
) -> Embedder:
    """Load a MODEL (folder, hub id, `builtin:NAME`) under its contract.

    pooling: read out something else than the contract's vector. normalize: unit length or not, whatever the contract
    says. Raises `ModelError` and its kin, `VectorRefused`, `ContractError`.
    """
    folder = locate(model, revision)
    towers = {reading.modality: Tower(reading, preprocessor(folder, reading)) for reading in read_model(folder)}
    return Embedder(
        folder, towers, name=str(model), pooling=pooling, precision=precision, device=device, normalize=normalize
    )


def preprocessor(folder: Path, reading: Reading) -> TextPreprocessor | ImagePreprocessor:
    """The authors' preprocessing of one tower."""
    stem = getattr(getattr(reading.encoder, "shape", None), "stem", None)
    if reading.modality == "image":
        family = reading.family
        default = None
        if family is not None and family.image_defaults is not None:
            default = hugging_face_recipe(family.image_defaults, None, f"the usual one of {family.name}")
        patch = stem.patch if isinstance(stem, ImageStem) else _merged_patch(reading)
        return ImagePreprocessor.from_folder(folder, reading.encoder.layout, patch=patch, default=default)
    positions = None
    if isinstance(stem, TextStem) and stem.positions:
        positions = stem.positions - stem.position_offset
    return TextPreprocessor.from_folder(folder, positions=positions)


def _merged_patch(reading: Reading) -> int | None:
    """Pixels under one token of a foreign model, which may merge patches on its way (Swin); None where unknown."""
    side, grid = reading.config.get("image_size"), reading.encoder.layout.grid
    return side // grid[0] if isinstance(side, int) and grid and side >= grid[0] else None


def check_names(encoder: Any, names: Sequence[str]) -> tuple[str, ...]:
    """Trace names that this encoder has and can give. Raises `TraceError` for others."""
    known = set(names_of_trace(encoder.depth))
    strange = [name for name in names if name not in known]
    if strange:
        raise TraceError(
            f"there is no internal value {strange[0]!r}; a model of {encoder.depth} blocks has embeddings, "
            f"blocks.0.scores to blocks.{encoder.depth - 1}.states (scores, weights, values, heads, attention, "
            "feedforward, states), and final."
        )
    lost = [name for name in names if name.rsplit(".", 1)[-1] in encoder.gaps or name in encoder.gaps]
    if lost:
        raise TraceError(f"{lost[0]!r} cannot be given by this model, which is not native; it lacks {encoder.gaps}.")
    return tuple(names)


def _device(name: str | torch.device | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ClasstokenError) as error:
        raise OptionError(f"device '{name}' cannot be used here ({str(error).splitlines()[0]}). Try cpu.") from error
    return device


def _listed(items: Sequence[Any] | Any) -> list[Any]:
    """One item or many, as a list."""
    if isinstance(items, str | bytes | Path) or not isinstance(items, Iterable) or hasattr(items, "convert"):
        return [items]
    return list(items)


__all__ = ["PRECISIONS", "Embedder", "Precision", "Tower", "load", "parse"]
