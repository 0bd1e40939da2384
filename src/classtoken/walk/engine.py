"""One loaded model and its inputs: builds the walkthrough for a page on disk, answers a server's questions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch

from classtoken.activity import activity, work
from classtoken.embedder import Embedder, ModelSpec, load
from classtoken.encoder.protocol import has_open_weights
from classtoken.errors import OptionError
from classtoken.options import ExplainPairOptions
from classtoken.page.document import Walkthrough
from classtoken.page.evidence import SurveyFindings
from classtoken.page.example import Example, Experiments
from classtoken.page.export import page
from classtoken.probe.accounting import native
from classtoken.probe.from_embedder import subject_of
from classtoken.probe.subject import Subject
from classtoken.report.pair import pair_page
from classtoken.study.experiments import SwapChange, WhatIf, offered, what_if, with_pooling
from classtoken.study.pair import explained_pair
from classtoken.tensors import Tokens
from classtoken.values import Role
from classtoken.version import __version__
from classtoken.walk.card import card_of, family_rows
from classtoken.walk.example import ExampleBuilder, WalkedExample
from classtoken.walk.items import SENTENCES, Item, distinct, example_pictures, is_image, items_of, short, side_of
from classtoken.walk.labels import answer_names
from classtoken.walk.rows import numbers, within_budget
from classtoken.walk.shown import WalkInput, walk_input
from classtoken.walk.toy import toy_of

LARGEST_TWICE = 200_000_000
"""parameters of a model up to which the same model with random weights is held beside it"""
COMPARED = 5
"""inputs that were given, with which a model without a classifier compares the others"""
KEPT = 8
"""a server's inputs held in memory; the oldest upload goes first"""


class Engine:
    """Thread-safe: one analysis at a time, and beside it one of those that take long. They share the model, which a
    forward does not change, and traces, which nothing does."""

    def __init__(self, model: str | Path | ModelSpec, items: Sequence[str] = (), modality: str | None = None):
        self.embedder = side_of(load(model), items, modality)
        self.lock, self.long = Lock(), Lock()
        check_followed(self.embedder)
        given = distinct(items_of(self.embedder, items, modality))
        self._compared = self._references(given)
        subject = subject_of(self.embedder)
        references = tuple(walk_input(self.embedder, subject, item).tokens for item in self._compared)
        self.subject = self._subject_with_answers(subject, references)
        untrained = self._untrained(references)
        ids = tuple(next((one.id for one in given if one.content == item.content), None) for item in self._compared)
        self.builder = ExampleBuilder(self.embedder, self.subject, tuple(self._compared), references, ids, untrained)
        self.walked: dict[str, WalkedExample] = {}
        self.uploads = 0
        self.uploaded: list[str] = []
        self.dropped: set[str] = set()  # ids of those that were held before
        self.given = given
        self._partner = self._partners(self.given)

    @property
    def modality(self) -> str:
        """`image` or `text`."""
        return "image" if is_image(self.embedder) else "text"

    # -- a page on disk ------------------------------------------------------------------------------------------------

    def document(self, findings: SurveyFindings | None = None, *, full: bool = True) -> Walkthrough:
        """The whole walkthrough; `full` precomputes the experiments. Keys and values go along where they fit."""
        with self.lock:
            for number, item in enumerate(self.given, start=1):
                if item.id not in self.walked:
                    with activity(f"input {number} of {len(self.given)}, {item.title}"), work(1):
                        self.walked[item.id] = self._walk(item, full=full)
        examples = tuple(self.walked[item.id].example for item in self.given)
        findings = findings or SurveyFindings()
        first = self.walked[self.given[0].id]
        whole = Walkthrough(
            made_by=f"classtoken {__version__}",
            model=card_of(self.embedder, self.subject, first.shown),
            examples=examples,
            families=family_rows(),
            toy=toy_of(self.subject),
            bands=findings.bands,
            claims=findings.claims,
            calibration=findings.calibration,
        )
        bare = (replace(e, layers=replace(e.layers, keys=None, values=None)) for e in examples)
        others = len(page(replace(whole, examples=tuple(bare))).encode())
        return replace(whole, examples=within_budget(examples, others))

    # -- a server ------------------------------------------------------------------------------------------------------

    def add(self, content: bytes | str) -> Example:
        """A new input: the bytes of a picture, or a text. Without what takes long; experiments are asked for live."""
        with self.lock:
            self.uploads += 1
            title = f"your picture {self.uploads}" if isinstance(content, bytes) else short(content)
            known = [*self.given, *(self.walked[key].prepared.item for key in self.uploaded)]
            item = distinct([*known, Item(f"yours-{self.uploads}", title, content, given=True)])[-1]
            walked = self._walk(item, full=False)
            self.walked[item.id] = walked
            self.uploaded.append(item.id)
            for key in self.uploaded[:-KEPT]:
                del self.walked[key]
                self.dropped.add(key)
            self.uploaded = self.uploaded[-KEPT:]
            return walked.example

    def attention(self, example: str, layer: int, head: int) -> np.ndarray:
        """A whole attention matrix (L, L). Raises `OptionError` for what does not exist."""
        traced = self._find(example).traced
        if not (0 <= layer < traced.depth and 0 <= head < self.subject.heads):
            raise OptionError(
                f"there is no layer {layer}, head {head}: layers 0 to {traced.depth - 1}, heads 0 to "
                f"{self.subject.heads - 1}."
            )
        return numbers(traced.part("weights")[layer][0, head])

    def what_if(self, example: str, change: Mapping[str, Any]) -> np.ndarray:
        """Answers (A) after changes: `removed` tokens, `causal`, `swap` {donor, layer, token}, `pooling`."""
        walked = self._find(example)
        removed = checked_tokens(change.get("removed", ()), walked.prepared)
        name = change.get("pooling")
        names = offered(walked.traced)
        if name is not None and name not in names:
            raise OptionError(f"pooling '{name}' is not offered here; {', '.join(names)} are.")
        swap = self._swap(walked.prepared, change["swap"]) if change.get("swap") else None
        with self.lock:
            subject = self.subject
            if name is not None:
                subject = with_pooling(self.embedder, subject, name, self.builder.references)
            what = WhatIf(tuple(removed), bool(change.get("causal")), swap)
            return numbers(what_if(walked.traced, subject, what)[list(walked.shown)])

    def _swap(self, prepared: WalkInput, swap: Mapping[str, Any]) -> SwapChange:
        if not isinstance(swap, Mapping):
            raise OptionError("'swap' must be an object with 'donor' and 'layer'.")
        donor, layer = self._find(str(swap.get("donor"))), swap.get("layer")
        position = swap.get("token", prepared.watched)
        if not isinstance(layer, int) or not 0 <= layer <= self.subject.depth:
            raise OptionError(f"swap layer {layer!r} does not exist: 0 to {self.subject.depth}.")
        class_tokens = self.builder.class_tokens(prepared, 0)
        if position not in class_tokens:
            where = f"the class tokens are at {sorted(class_tokens)}" if class_tokens else "this model has none"
            raise OptionError(f"token {position!r} is no class token; {where}.")
        return SwapChange(donor.traced, layer, position)

    def experiments(self, example: str) -> Experiments:
        """What takes long, of an input that was added: knock-outs of each class token, and single removals."""
        walked = self._find(example)
        with self.long:
            return self.builder.experiments(walked)

    def pair(self, one: str, other: str) -> str:
        """The page of why two inputs are like each other: which part of the one met which part of the other."""
        first, second = (self._find(name).prepared.item.content for name in (one, other))
        options = ExplainPairOptions(modality="image" if self.modality == "image" else "text")
        with self.long:
            return pair_page(explained_pair(self.embedder, first, second, options))

    # -- inside --------------------------------------------------------------------------------------------------------

    def _find(self, example: str) -> WalkedExample:
        found = self.walked.get(example)
        if found is None:
            if example in self.dropped:
                raise OptionError(f"this input is not held any more: of your own the last {KEPT} are. Send it again.")
            raise OptionError(f"there is no input '{example[:60]}'. Send it again.")
        return found

    def _walk(self, item: Item, *, full: bool) -> WalkedExample:
        partner = self._partner.get(item.id, next(s for s in self._spare if s.content != item.content))
        return self.builder.build(item, partner, full=full)

    def _untrained(self, references: Sequence[Tokens]) -> Subject | None:
        """The same architecture before training; None for what is too large to be held twice."""
        subject = subject_of(self.embedder)
        if sum(parameter.numel() for parameter in native(subject).parameters()) > LARGEST_TWICE:
            return None
        return self._subject_with_answers(subject.randomised(how="fresh"), references)

    def _subject_with_answers(self, subject: Subject, references: Sequence[Tokens]) -> Subject:
        """The classifier's answers; for a model without one, the cosine to what it is compared with."""
        if subject.head is not None:
            return replace(subject, labels=answer_names(self.embedder, subject.labels))
        with torch.no_grad():
            vectors = torch.cat([subject(tokens) for tokens in references])
        return subject.comparing([item.title for item in self._compared], vectors)

    def _references(self, given: Sequence[Item]) -> list[Item]:
        """What vectors are compared with: the first inputs that were given, then the package's own pictures or
        sentences."""
        if is_image(self.embedder):
            own = example_pictures(self.embedder)
        else:
            own = [Item(f"reference-{i}", _title(text), text) for i, text in enumerate(SENTENCES)]
        theirs = [
            replace(item, title=_title(item.content)) if isinstance(item.content, str) else item for item in given
        ]
        theirs = [item for item in theirs if item.given][:COMPARED]
        return theirs + [item for item in own if all(item.content != each.content for each in theirs)]

    def _partners(self, given: list[Item]) -> dict[str, Item]:
        """For each input another one: the next that is not the same again, or one of the package's own."""
        spare = example_pictures(self.embedder) if is_image(self.embedder) else [Item("other", s, s) for s in SENTENCES]
        partners = {}
        for i, item in enumerate(given):
            others = [*given[i + 1 :], *given[:i], *spare]
            partners[item.id] = next(other for other in others if other.content != item.content)
        self._spare = spare
        return partners


def check_followed(embedder: Embedder) -> None:
    """Raise `OptionError` for a model of which the page's numbers could not be followed to where they come from."""
    encoder = subject_of(embedder).encoder
    if not has_open_weights(encoder):
        lost = ", ".join(encoder.gaps) or "weights that can be read as numbers"
        raise OptionError(
            f"'{embedder.name}' is run by another library's code, which does not give {lost}; the walkthrough follows "
            "every number to what it was computed from. `classtoken explain` takes this model: where it looks, and "
            "what its answer needs. docs/families.md lists the families that are read here."
        )


def _title(text: str) -> str:
    return text if len(text) < 40 else text[:38] + "…"


def checked_tokens(removed: Any, prepared: WalkInput) -> list[int]:
    """Places to take away: whole numbers of content tokens, not all of them. Raises `OptionError`."""
    if not isinstance(removed, list | tuple) or not all(
        isinstance(t, int) and not isinstance(t, bool) for t in removed
    ):
        raise OptionError("'removed' must be a list of token positions.")
    roles = prepared.tokens.roles_BL[0].tolist()
    wrong = [t for t in removed if not 0 <= t < len(roles) or roles[t] != Role.CONTENT]
    if wrong:
        raise OptionError(f"token {wrong[0]} cannot be taken away: only patches and word pieces can.")
    if len(set(removed)) >= len(roles):
        raise OptionError("every token was taken away; leave at least one.")
    return sorted(set(removed))
