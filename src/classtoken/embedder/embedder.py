"""Inputs -> vectors, as the checkpoint's authors meant it: preprocessing + encoder + readout under one contract."""

import copy
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from classtoken.contract.saving import ReadOut, save_model
from classtoken.embedder.identity import encoder_hash, joint_space, space_of, weights_hash
from classtoken.embedder.prompting import PromptWords, told_prompt
from classtoken.embedder.spec import PRECISIONS, ModelSpec, device_of
from classtoken.embedder.tower import Tower
from classtoken.encoder.foreign.classifying import published_classifiers
from classtoken.encoder.kernels import Int8
from classtoken.encoder.products import Products, products_of
from classtoken.encoder.protocol import check_trace_names, has_open_weights
from classtoken.errors import BadRecord, ClasstokenError, ContractError, OptionError
from classtoken.files import user_path
from classtoken.fingerprint import Fingerprint, hash_value
from classtoken.inputs import PreparedBatch, choose_modality, computed, item_batches, listed
from classtoken.readout.classifier import Classifier
from classtoken.readout.readout import Readout, StatesReader, one_pass
from classtoken.results.inspect import Contract
from classtoken.tensors import Recorder, States, Tokens, Trace, multiplies_bf16, say_no_bf16
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Layout, Modality, Record, Role

LOG = logging.getLogger("classtoken")


class Embedder:
    """A loaded model. `embed` gives vectors, `logits` the classifier's answer, `states` and `trace` what is inside."""

    def __init__(self, spec: ModelSpec, folder: Path, towers: Mapping[str, Tower]):
        self.spec, self.folder, self.towers = spec, folder, dict(towers)
        self.device = device_of(spec.device)
        rounded = PRECISIONS[spec.precision]
        exact = rounded == torch.float32
        self.dtype = rounded if multiplies_bf16(self.device.type) else torch.float32
        if self.dtype != rounded and spec.precision == "bf16":  # int8 has products of its own
            say_no_bf16()
        self.routes: Mapping[str, Embedder] = {}
        self.usual_route: str | None = None
        self._fast: dict[str, Products | None] = {}
        # Hashed from the file's own numbers; in fp32 the encoders' weights are these, and are hashed when needed.
        self._encoders: dict[str, str] = {}
        self._encoders = {} if exact else self._hashes()
        for modality, tower in self.towers.items():
            whole = self._whole_numbers(tower.reading.encoder) if spec.precision == "int8" else None
            if whole is not None:
                self._fast[modality] = whole
                LOG.info("%s, %s, int8: products of whole numbers, by oneDNN", self.name, modality)
            tower.reading.encoder.to(self.device, rounded)
            if self.dtype != rounded:  # the weights are what they are in bf16
                tower.reading.encoder.to(self.device, self.dtype)
            for module in (tower.reading.pooler, tower.reading.classifier, *tower.reading.before, *tower.reading.after):
                if module is not None:
                    module.to(self.device)
            for module in tower.reading.learned.values():
                module.to(self.device)
        if spec.pooling is not None:
            self._readouts(next(iter(self.towers.values())), None)  # refused now rather than after the first batch

    def __repr__(self) -> str:
        sides = ", ".join(
            f"{name}: {tower.reading.contract.pooling} ({tower.reading.contract.size})"
            for name, tower in self.towers.items()
        )
        return f"Embedder({self.name!r}, {sides}, {self.spec.precision} on {self.device})"

    def __copy__(self) -> "Embedder":
        """The same weights under another name."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled, it is its spec: whoever unpickles it loads the model again, which must then be the same one."""
        from classtoken.embedder.loading import load_again

        return load_again, (self.spec.from_anywhere(), self._identity())

    # -- what it is ----------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The model as it was asked for."""
        return self.spec.model

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

    def side(self, modality: str | None = None) -> "Embedder":
        """The same model with the tower of one modality alone; a two-tower model must be told which."""
        tower, other = self.tower(modality), copy.copy(self)
        other.towers = {tower.modality: tower}
        return other

    def modality_of(self, record: Record, asked: str | None = None, *, source: str = "the source") -> Modality:
        """`text` or `image`: which side of this model a source is for whose first record this is. See `inputs`."""
        return choose_modality(self.modalities, record, asked, model=self.name, source=source)

    def on_route(self, name: str | None) -> "Embedder":
        """The same model as texts of one route see it; with None as they do whose prompt names none."""
        other = copy.copy(self if name is None else self.routes[name])
        other.spec = replace(self.spec, route=name)
        return other

    def route(self, prompt: str | None) -> "Embedder":
        """The model that a prompt asks for: itself, or the route of that name where queries and documents go through
        modules of their own.

        Raises `OptionError` for another route than that which was chosen, and for none where none is the usual one.
        """
        if not self.routes or self.spec.route is not None:
            if prompt in self.routes and prompt != self.spec.route:
                raise OptionError(f"the route '{self.spec.route}' of '{self.name}' is loaded, not its '{prompt}'.")
            return self
        if prompt in self.routes:
            return self.on_route(prompt)
        if self.usual_route is None:
            raise OptionError(
                f"'{self.name}' sends texts through modules of their own and names none that is the usual one; give "
                f"a `prompt`: {' or '.join(map(repr, self.routes))}."
            )
        return self

    def prompts(self, modality: str | None = None) -> tuple[str, ...]:
        """Names that `prompt` takes: of prompts, and of routes."""
        prepare = self.tower(modality).prepare
        known = prepare.recipe.prompts if isinstance(prepare, TextPreprocessor) else {}
        return tuple(dict.fromkeys([*known, *(self.routes if self.spec.route is None else ())]))

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
        return self.classifying().reading.classifier.labels  # type: ignore[union-attr]

    # -- what it does --------------------------------------------------------------------------------------------------

    def embed(
        self,
        items: Sequence[Any] | Any,
        *,
        pooling: str | None = None,
        modality: str | None = None,
        prompt: str | None = None,
        prompt_text: str | None = None,
        batch: int | None = None,
    ) -> np.ndarray | dict[str, np.ndarray]:
        """One vector per item: (n, d) float32, or a dict of such arrays when several poolings are asked for.

        pooling: `cls`, `mean@-2`, `cls+mean`, or several joined by commas, all from one pass. None: what `load` was
            given, else the whole contract.
        prompt: one of the checkpoint's prompts by name, or one of its routes; prompt_text: one in words, put before
            every text. A name that it does not have, and words that are one, are refused.
        batch: rows of a batch; by default what fits the machine.

        Raises `BadRecord` at the first item that cannot be read, an empty text among them.
        """
        routed = self.route(prompt)
        if routed is not self:
            return routed.embed(items, pooling=pooling, modality=modality, prompt=prompt, batch=batch)
        tower = self.tower(modality)
        readouts, told = self._readouts(tower, pooling), self._told(tower, prompt, prompt_text)
        given = listed(items)
        if not given:
            empty = {
                name: np.empty((0, size), np.float32) for name, size in self.columns(pooling, modality=modality).items()
            }
            return empty if len(empty) > 1 else next(iter(empty.values()))

        def run(tokens: Tokens) -> list[Tensor]:
            return self._read(tower, tokens, list(readouts.values()), told)

        found = self._run(tower, given, run, len(readouts), told, batch)
        arrays = dict(zip(readouts, found, strict=True))
        return arrays if len(arrays) > 1 else next(iter(arrays.values()))

    def columns(self, pooling: str | None = None, *, modality: str | None = None) -> dict[str, int]:
        """Name and size of the vectors that `embed` would give: the columns of an output table."""
        tower = self.tower(modality)
        return {name: tower.size_of(readout) for name, readout in self._readouts(tower, pooling).items()}

    def fingerprint(
        self, pooling: str | None = None, *, modality: str | None = None, prompt: str | None = None
    ) -> Fingerprint:
        """What decides the numbers of the vectors that `embed` would give, and the space that each of them lies in."""
        routed = self.route(prompt)
        if routed is not self:
            return routed.fingerprint(pooling, modality=modality, prompt=prompt)
        tower = self.tower(modality)
        readouts = self._readouts(tower, pooling)
        encoder = self._hashes()[tower.modality]
        joint = self._joint() if pooling is None and self.spec.pooling is None else None
        return Fingerprint(
            weights=weights_hash(encoder, list(readouts.values())),
            contract=str(tower.reading.contract),
            preprocessing=hash_value(tower.prepare.identity()),
            modality=tower.modality,
            poolings=tuple(readouts),
            normalize=self.spec.normalize,
            precision=self.spec.precision,
            prompt=tower.prepare.prompt_text(prompt),
            accepted=tower.reading.accepted,
            spaces={name: joint or space_of(tower, encoder, readout) for name, readout in readouts.items()},
        )

    def _identity(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """The fingerprint and the labels of each side, or of each route: what it is, wherever it was loaded."""
        ways = dict(self.routes) if self.routes and self.spec.route is None else {s: self.side(s) for s in self.towers}
        found = {}
        for name, one in ways.items():
            classifier = one.tower().reading.classifier
            found[name] = (one.fingerprint().hash(), () if classifier is None else classifier.labels)
        return found

    def reading_out(self, pooling: str) -> "Embedder":
        """The same model, not loaded again, that gives another vector."""
        other = copy.copy(self)
        other.spec = replace(self.spec, pooling=pooling)
        return other

    def _hashes(self) -> dict[str, str]:
        found = {name: encoder_hash(tower.reading.encoder) for name, tower in self.towers.items()}
        return self._encoders or found

    def _joint(self) -> str | None:
        """The space in which the sides or the routes of this model meet; None where there is one way through it, and
        where they give vectors of several sizes."""
        if len(self.towers) > 1:
            sides = {name: (tower, self._hashes()[name]) for name, tower in self.towers.items()}
            return joint_space(sides, self.spec.normalize)
        sides = {name: (one.tower(), one._hashes()[one.tower().modality]) for name, one in self.routes.items()}
        sizes = {tower.reading.contract.size for tower, _ in sides.values()}
        return joint_space(sides, self.spec.normalize) if len(sides) > 1 and len(sizes) == 1 else None

    def logits(
        self,
        items: Sequence[Any] | Any,
        *,
        prompt: str | None = None,
        prompt_text: str | None = None,
        batch: int | None = None,
    ) -> np.ndarray:
        """The classifier's logits, (n, classes) float32. Raises `ContractError` where the checkpoint has none."""
        tower = self.classifying()
        told, given = self._told(tower, prompt, prompt_text), listed(items)
        if not given:
            return np.empty((0, len(self.labels)), np.float32)

        def run(tokens: Tokens) -> list[Tensor]:
            return [self._logits(tower, tokens, told)]

        return self._run(tower, given, run, 1, told, batch)[0]

    def probabilities(
        self,
        items: Sequence[Any] | Any,
        *,
        prompt: str | None = None,
        prompt_text: str | None = None,
        batch: int | None = None,
    ) -> np.ndarray:
        """Calibrated probabilities, (n, classes): softmax, or a sigmoid per label for a multi-label model."""
        classifier = self.classifying().reading.classifier
        assert classifier is not None
        logits_BC = torch.from_numpy(self.logits(items, prompt=prompt, prompt_text=prompt_text, batch=batch))
        return classifier.probabilities(logits_BC).float().numpy()

    def typical(
        self,
        items: Sequence[Any] | Any,
        *,
        prompt: str | None = None,
        prompt_text: str | None = None,
        batch: int | None = None,
    ) -> np.ndarray:
        """How typical items are of the labels, (n,) float32 above 0 and up to 1: a low one looks like none of them.

        (1 + held-out records at least as far from the nearest label) / (1 + held-out records), far in units of the
        spread within labels (Mahalanobis; Lee et al. 2018): a conformal p value, so that of new records of the labels a
        share a comes out at a or below. Raises `ContractError` for a model that does not know it: one that
        `classtoken train` has not made, or with several labels a record, or from fewer than 40 held-out
        records that differ, belong to no common group, and chose nothing.
        """
        tower = self.classifying()
        assert tower.reading.classifier is not None
        if tower.reading.classifier.typical is None:
            raise ContractError(
                f"'{self.name}' does not know how typical a record is of its labels: only models that `train` made do, "
                "with one label a record and 40 or more different records held out (80 where half of them choose)."
            )
        told, given = self._told(tower, prompt, prompt_text), listed(items)
        if not given:
            return np.empty(0, np.float32)

        def run(tokens: Tokens) -> list[Tensor]:
            typical_B = self._answers(tower, tokens, told)[1]
            assert typical_B is not None
            return [typical_B]

        return self._run(tower, given, run, 1, told, batch)[0]

    def tokens(
        self,
        items: Sequence[Any] | Any,
        *,
        modality: str | None = None,
        prompt: str | None = None,
        prompt_text: str | None = None,
    ) -> Tokens:
        """Items prepared as one batch, on the model's device."""
        routed = self.route(prompt)
        if routed is not self:
            return routed.tokens(items, modality=modality, prompt=prompt)
        tower = self.tower(modality)
        told = self._told(tower, prompt, prompt_text)
        return self._to_device(tower.tokens(listed(items), told))

    def states(
        self, items: Sequence[Any] | Any, *, layers: Sequence[int | str] = (), modality: str | None = None
    ) -> States:
        """States of every token, one batch (`tensors.States`)."""
        with self.inference():
            return self._encode(self.tower(modality), self._some(items, modality), layers=layers)

    def trace(self, items: Sequence[Any] | Any, names: Sequence[str], *, modality: str | None = None) -> Recorder:
        """Internal values by name (`tensors.names_of_trace`) of one batch; `.kept[name]`.

        Raises `TraceError` for names that this model does not have or cannot give.
        """
        tower = self.tower(modality)
        wanted = (names,) if isinstance(names, str) else names  # else every letter would be a name
        recorder = Recorder(check_trace_names(tower.reading.encoder, wanted))
        with self.inference():
            self._encode(tower, self._some(items, modality), trace=recorder)
        return recorder

    def _some(self, items: Sequence[Any] | Any, modality: str | None) -> Tokens:
        """Items prepared as one batch. Raises `OptionError` where there are none, which have no states."""
        tokens = self.tokens(items, modality=modality)
        if not len(tokens.roles_BL):
            raise OptionError("there is no item in the list; give at least one.")
        return tokens

    def run(
        self,
        tokens: Tokens,
        trace: Trace | None = None,
        *,
        layers: Sequence[int | str] = (),
        modality: str | None = None,
    ) -> States:
        """States of prepared tokens, with a trace that may change what flows; gradients as the caller has set them."""
        return self._encode(self.tower(modality), tokens, layers=layers, trace=trace)

    @contextmanager
    def inference(self) -> Iterator[None]:
        """No gradients; and in the model's own precision, whatever the caller's autocast is."""
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
            yield

    def save(self, folder: str | Path) -> Path:
        """Write the model as a folder: its files, the weights as they are now, and the pooling, the length of vectors
        and of texts that `load` was given.

        `load(folder)` gives the same vectors, in the same precision; weights that only a lower precision has rounded
        are written whole. Libraries that opened the original folder open this one; sentence-transformers gives these
        vectors, or a warning says that it does not. Raises `OutputError` for a folder that holds something,
        `OptionError` for what `load` was given and a folder cannot say, and for a model with several routes, of which
        a folder holds one (`on_route`).
        """
        if self.routes and self.spec.route is None:
            names = " or ".join(f"on_route({name!r})" for name in self.routes)
            raise OptionError(
                f"'{self.name}' sends texts through modules of their own, by routes, and a folder that is saved holds "
                f"one of them. Save each by itself: {names}, then save."
            )
        readings, spec = [tower.reading for tower in self.towers.values()], self.spec
        asked = ReadOut(spec.pooling, spec.normalize, spec.max_length, PRECISIONS[spec.precision])
        save_model(self.folder, user_path(folder), readings, asked)
        return user_path(folder)

    # -- seams for runs over whole data sets ---------------------------------------------------------------------------

    def vectors_of(
        self, tokens: Tokens, pooling: str | None = None, *, modality: str | None = None, prompt: str | None = None
    ) -> dict[str, np.ndarray]:
        """Vectors of prepared tokens by name."""
        tower = self.tower(modality)
        readouts = self._readouts(tower, pooling)
        with self.inference():
            found = self._read(tower, self._to_device(tokens), list(readouts.values()), prompt)
        return {name: v.cpu().numpy() for name, v in zip(readouts, found, strict=True)}

    def read(
        self,
        tokens: Tokens,
        readouts: Mapping[str, StatesReader],
        *,
        modality: str | None = None,
        prompt: str | None = None,
        every: bool = False,
    ) -> tuple[dict[str, np.ndarray], States]:
        """Vectors of prepared tokens by any readouts of this tower, and the states that they were read from: one
        forward. With `every`, all tokens have their last states, also where no readout asks for them."""
        tower = self.tower(modality)
        layers, rows = one_pass(list(readouts.values()))
        over = tower.prepare.pooled_roles(prompt)
        with self.inference():
            moved = self._to_device(tokens)
            states = self._encode(tower, moved, layers=layers, rows=None if every else rows, packed=not every)
            for readout in readouts.values():
                if isinstance(readout, torch.nn.Module):
                    readout.to(self.device).eval()
            found = {name: readout(states, over=over) for name, readout in readouts.items()}
        return {name: vectors.float().cpu().numpy() for name, vectors in found.items()}, states

    def answers_of(
        self, tokens: Tokens, *, modality: str | None = None, prompt: str | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Of prepared tokens, calibrated probabilities (rows, classes) float32, and how typical each row is of the
        labels (rows,); None where the model does not know."""
        tower = self.classifying(modality)
        with self.inference():
            probabilities_BC, typical_B = self._answers(tower, self._to_device(tokens), prompt)
        return probabilities_BC.float().cpu().numpy(), None if typical_B is None else typical_B.float().cpu().numpy()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _told(self, tower: Tower, prompt: str | None, words: str | None) -> str | None:
        """The prompt that is put before texts: one of the checkpoint's by name, or in words."""
        known = words is None and isinstance(prompt, PromptWords)
        return prompt if known else told_prompt(tower.prepare, self.name, prompt, words, self.prompts(tower.modality))

    def _readouts(self, tower: Tower, pooling: str | None) -> dict[str, Readout]:
        """Readouts of the poolings asked for, else of those that `load` was given."""
        found = tower.readouts(self.spec.pooling if pooling is None else pooling, self.spec.normalize)
        return {name: readout.to(self.device).eval() for name, readout in found.items()}

    def _read(self, tower: Tower, tokens: Tokens, readouts: list[Readout], prompt: str | None) -> list[Tensor]:
        layers, rows = one_pass(readouts)
        over = tower.prepare.pooled_roles(prompt)
        states = self._encode(tower, tokens, layers=layers, rows=rows, packed=True)
        return [readout(states, over=over) for readout in readouts]

    def _logits(self, tower: Tower, tokens: Tokens, prompt: str | None) -> Tensor:
        classifier, states, over = self._classified(tower, tokens, prompt)
        return classifier(states, over=over)

    def _answers(self, tower: Tower, tokens: Tokens, prompt: str | None) -> tuple[Tensor, Tensor | None]:
        classifier, states, over = self._classified(tower, tokens, prompt)
        return classifier.answers(states, over=over)

    def _classified(
        self, tower: Tower, tokens: Tokens, prompt: str | None
    ) -> tuple[Classifier, States, frozenset[Role] | None]:
        """A side's classifier, and the states that it reads."""
        classifier = tower.reading.classifier
        assert classifier is not None
        states = self._encode(tower, tokens, layers=classifier.readout.layers, rows=classifier.readout.rows)
        return classifier, states, tower.prepare.pooled_roles(prompt)

    def _run(
        self, tower: Tower, items: list[Any], run: Any, outputs: int, prompt: str | None, batch: int | None
    ) -> list[np.ndarray]:
        """All items in batches of like length, results in the order of the items."""
        for place, item in enumerate(items):
            if isinstance(item, str) and not item.strip():  # the vector of nothing is like that of anything
                raise BadRecord("is empty; leave it out", tower.prepare.name_of(item, place))
        results: list[list[np.ndarray | None]] = [[None] * len(items) for _ in range(outputs)]
        prepared = item_batches(tower.prepare, items, prompt=prompt, most_rows=batch)

        def compute(some: PreparedBatch) -> list[Tensor]:
            return run(self._to_device(some.tokens))

        with self.inference():
            for ready, found in (pair for some in prepared for pair in computed(compute, some)):
                if isinstance(found, BadRecord):
                    place = ready.places[0]
                    if isinstance(found.__cause__, ClasstokenError):
                        raise found.__cause__
                    raise BadRecord(found.reason, tower.prepare.name_of(items[place], place)) from found.__cause__
                for column, values in zip(results, found, strict=True):
                    for place, value in zip(ready.places, values.float().cpu().numpy(), strict=True):
                        column[place] = value
        return [np.stack(cast(list[np.ndarray], column)).astype(np.float32, copy=False) for column in results]

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
        encoder = tower.reading.encoder
        more: dict[str, Any] = {}
        known = tower.modality in self._fast
        if trace is None and torch.is_inference_mode_enabled() and (known or has_open_weights(encoder)):
            more["fast"] = self._products(tower.modality, encoder)
        packed = packed and encoder.packable
        states: States = encoder(tokens, layers=layers, rows=wanted, trace=trace, packed=packed, **more)
        if self.dtype == torch.float32 or trace is not None:
            return states
        layers_float = {name: value.float() for name, value in states.layers.items()}
        return replace(states, last_BLD=states.last_BLD.float(), layers=layers_float)

    def products(self, modality: str | None = None) -> str:
        """By which means the matrix products of a tower's blocks are computed: `plain` (`F.linear`), `oneDNN` (weights
        laid out for this processor), `int8`; `foreign` where another library computes them."""
        tower = self.tower(modality)
        if not has_open_weights(tower.reading.encoder):
            return "foreign"
        found = self._products(tower.modality, tower.reading.encoder)
        return "plain" if found is None else found.name

    def _products(self, modality: str, encoder: Any) -> Products | None:
        """Fast products of a tower's encoder, made when they are first needed."""
        if modality not in self._fast:
            with torch.inference_mode(False), torch.no_grad():
                self._fast[modality] = products_of(encoder)
            found = self._fast[modality]
            LOG.info(
                "%s, %s: products by %s", self.name, self.spec.precision, "F.linear" if found is None else found.name
            )
        return self._fast[modality]

    def _whole_numbers(self, encoder: Any) -> Products | None:
        """Products of whole numbers, made of the weights as they are in the file."""
        if not has_open_weights(encoder):
            raise OptionError(
                f"precision int8 needs an encoder that is native here; that of '{self.name}' is not. Use bf16."
            )
        if self.device.type != "cpu":
            raise OptionError(f"precision int8 is for processors, not for device '{self.device}'. Use bf16.")
        with torch.no_grad():
            return products_of(encoder, Int8)

    def classifying(self, modality: str | None = None) -> Tower:
        """The tower that has a classifier, or that of a modality. Raises `ContractError` where there is none."""
        for tower in self.towers.values() if modality is None else [self.tower(modality)]:
            if tower.reading.classifier is not None:
                return tower
        unread = [name for tower in self.towers.values() for name in published_classifiers(tower.reading.config)]
        if unread:
            raise ContractError(
                f"'{self.name}' is a {unread[0]}, and a classifier of this kind is not read here. Compute its labels "
                "with transformers, or let the verb train fit one to labelled records on the vectors of this model."
            )
        raise ContractError(
            f"'{self.name}' has no classifier, so it gives no labels and no logits. The verb train fits one to "
            "labelled records, and leaves a model that has it."
        )


def classifying_sides(embedder: Embedder, asked: str | None) -> tuple[str, ...]:
    """The sides of a model that have a classifier. Raises `ContractError` where none has, `OptionError` where the side
    that is asked for has none."""
    embedder.classifying()
    sides = tuple(name for name, tower in embedder.towers.items() if tower.reading.classifier is not None)
    if asked in embedder.modalities and asked not in sides:
        raise OptionError(
            f"the {asked} side of '{embedder.name}' has no classifier; `modality` may be {' or '.join(sides)}."
        )
    return sides


def with_prompt(
    embedder: Embedder, modality: str | None, name: str | None, words: str | None
) -> tuple[Embedder, str | None]:
    """The model that a prompt asks for (`Embedder.route`), and what its side is given (`prompting.told_prompt`)."""
    asked = embedder.route(name)
    if name is None and words is None:
        return asked, None
    return asked, told_prompt(asked.tower(modality).prepare, asked.name, name, words, asked.prompts(modality))
