"""One loaded model and its inputs: builds the walkthrough for a page on disk, answers a server's questions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch

import classtoken
from classtoken.embedder import load
from classtoken.errors import OptionError
from classtoken.page.document import Walkthrough
from classtoken.page.evidence import SurveyFindings
from classtoken.page.example import Example, Experiments
from classtoken.pooling.spec import parse
from classtoken.probe.capture import Chain, capture
from classtoken.probe.interventions import PatchStates, before_layer, hide_later
from classtoken.values import Role
from classtoken.walk import laboratory as lab
from classtoken.walk.answering import Answering, answering_of
from classtoken.walk.card import card_of, family_rows, numbers
from classtoken.walk.example import ExampleBuilder, WalkedExample
from classtoken.walk.items import SENTENCES, Item, distinct, example_pictures, is_image, items_of, short
from classtoken.walk.numbers import seen_from, within_budget
from classtoken.walk.shown import WalkInput, walk_input
from classtoken.walk.toy import toy_of

KEPT = 8
"""a server's inputs held in memory; the oldest upload goes first"""


class Engine:
    """Thread-safe: one analysis at a time."""

    def __init__(
        self, model: str | Path, items: Sequence[str] = (), *, device: str | None = None, revision: str | None = None
    ):
        self.embedder = load(model, device=device, revision=revision)
        self.lock = Lock()
        given = items_of(self.embedder, items)
        self._compared = self._references()
        references = [(item.title, walk_input(self.embedder, item).tokens) for item in self._compared]
        self.answering: Answering = answering_of(self.embedder, references)
        self.builder = ExampleBuilder(
            self.embedder, self.answering, tuple(self._compared), tuple(t for _, t in references)
        )
        self.walked: dict[str, WalkedExample] = {}
        self.uploads = 0
        self.given = distinct(given)
        self._partner = self._partners(self.given)

    @property
    def modality(self) -> str:
        """`image` or `text`."""
        return "image" if is_image(self.embedder) else "text"

    # -- a page on disk ------------------------------------------------------------------------------------------------

    def document(self, findings: SurveyFindings | None = None, *, full: bool = True) -> Walkthrough:
        """The whole walkthrough; `full` precomputes the laboratory. Keys and values go along where they fit."""
        with self.lock:
            for item in self.given:
                if item.id not in self.walked:
                    self.walked[item.id] = self._walk(item, full=full)
        examples = [self.walked[item.id].example for item in self.given]
        share = max(1, len(examples))
        findings = findings or SurveyFindings()
        first = self.walked[self.given[0].id]
        return Walkthrough(
            made_by=f"classtoken {classtoken.__version__}",
            model=card_of(self.embedder, self.answering, first.shown),
            examples=tuple(within_budget(e, 2_600_000 // share, 1_300_000 // share) for e in examples),
            families=family_rows(),
            toy=toy_of(self.answering),
            bands=findings.bands,
            claims=findings.claims,
            calibration=findings.calibration,
        )

    # -- a server ------------------------------------------------------------------------------------------------------

    def add(self, content: bytes | str) -> Example:
        """A new input: the bytes of a picture, or a text. Without what takes long; the laboratory is asked live."""
        with self.lock:
            self.uploads += 1
            title = f"your picture {self.uploads}" if isinstance(content, bytes) else short(content)
            item = Item(f"yours-{self.uploads}", title, content)
            walked = self._walk(item, full=False)
            walked = replace(walked, example=replace(walked.example, origin="yours"))
            self.walked[item.id] = walked
            yours = [key for key in self.walked if key.startswith("yours-")]
            for key in yours[:-KEPT]:
                del self.walked[key]
            return walked.example

    def attention(self, example: str, layer: int, head: int) -> np.ndarray:
        """A whole attention matrix (L, L). Raises `OptionError` for what does not exist."""
        walked = self._find(example)
        depth, heads = walked.traced.layers.weights.shape[:2]
        if not (0 <= layer < depth and 0 <= head < heads):
            raise OptionError(
                f"there is no layer {layer}, head {head}: layers 0 to {depth - 1}, heads 0 to {heads - 1}."
            )
        with self.lock, torch.no_grad():
            captured = capture(
                self.answering.subject, walked.prepared.tokens, ("weights",), layers=[layer], heads=[head]
            )
        return numbers(captured.parts["weights"][0][0, 0])

    def what_if(self, example: str, change: Mapping[str, Any]) -> np.ndarray:
        """Answers (A) after changes: `removed` tokens, `causal`, `swap` {donor, layer, token}, `pooling`."""
        walked = self._find(example)
        with self.lock, torch.no_grad():
            return self._changed(walked, change)

    def _changed(self, walked: WalkedExample, change: Mapping[str, Any]) -> np.ndarray:
        subject, prepared = self.answering.subject, walked.prepared
        tokens, length = prepared.tokens, prepared.tokens.roles_BL.shape[1]
        removed = checked_tokens(change.get("removed", ()), prepared)
        edits: list[Any] = [lab.cut_edit(removed, length)] if removed else []
        if change.get("causal"):
            edits.append(hide_later(subject, tokens))
        if change.get("swap"):
            edits.append(self._swap(prepared, change["swap"]))
        states = subject.states(tokens, Chain(*edits) if edits else None)
        roles = states.roles_BL.clone()
        roles[0, removed] = int(Role.PAD)
        states = replace(states, roles_BL=roles)
        name = change.get("pooling")
        if name is not None:
            if name not in ("cls", "mean", "max"):
                raise OptionError(f"pooling '{name}' is not offered here; cls, mean and max are.")
            reading = self.embedder.tower(self.embedder.modalities[0]).reading
            readout = reading.readout(parse(name), unit_length=False).to(self.embedder.device).eval()
            subject = replace(subject, readout=readout, modules=(readout,))
        return numbers(self.answering.values(subject.outcome(states))[0, list(walked.shown)])

    def _swap(self, prepared: WalkInput, swap: Mapping[str, Any]) -> PatchStates:
        if not isinstance(swap, Mapping):
            raise OptionError("'swap' must be an object with 'donor' and 'layer'.")
        donor, layer = self._find(str(swap.get("donor"))), swap.get("layer")
        watched = swap.get("token", prepared.watched)
        depth = self.answering.subject.depth
        if not isinstance(layer, int) or not 0 <= layer <= depth:
            raise OptionError(f"swap layer {layer!r} does not exist: 0 to {depth}.")
        class_tokens = self.builder.class_tokens(prepared, 0)
        if watched not in class_tokens:
            raise OptionError(f"token {watched!r} is no class token; the class tokens are at {sorted(class_tokens)}.")
        states_ND = seen_from(self.answering.subject, donor.traced, watched).states_ND
        length = prepared.tokens.roles_BL.shape[1]
        places = torch.zeros(1, length, dtype=torch.bool)
        places[0, watched] = True
        value = torch.zeros(1, length, states_ND.shape[1])
        value[0, watched] = torch.from_numpy(states_ND[layer])
        return PatchStates(name=before_layer(layer, depth), value_BLD=value, places_BL=places)

    def experiments(self, example: str) -> Experiments:
        """What takes long, of an input that was added: knock-outs of each class token, and single removals."""
        walked = self._find(example)
        with self.lock:
            return self.builder.experiments(walked)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _find(self, example: str) -> WalkedExample:
        found = self.walked.get(example)
        if found is None:
            raise OptionError(f"there is no input '{example[:60]}'; it may have been dropped. Send it again.")
        return found

    def _walk(self, item: Item, *, full: bool) -> WalkedExample:
        partner = self._partner.get(item.id, next(s for s in self._spare if s.content != item.content))
        return self.builder.build(item, partner, full=full)

    def _references(self) -> list[Item]:
        """What vectors are compared with: fixed sentences, or the package's own pictures."""
        if is_image(self.embedder):
            return example_pictures(self.embedder)
        return [
            Item(f"reference-{i}", text if len(text) < 40 else text[:38] + "…", text)
            for i, text in enumerate(SENTENCES)
        ]

    def _partners(self, given: list[Item]) -> dict[str, Item]:
        """For each input another one: the next, or one of the package's own."""
        spare = example_pictures(self.embedder) if is_image(self.embedder) else [Item("other", s, s) for s in SENTENCES]
        partners = {}
        for i, item in enumerate(given):
            nearby = given[(i + 1) % len(given)]
            partners[item.id] = nearby if nearby is not item else next(s for s in spare if s.content != item.content)
        self._spare = spare
        return partners


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
