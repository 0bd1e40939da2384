"""One input, traced and experimented on, as the page shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from classtoken.activity import activity, work
from classtoken.embedder import Embedder
from classtoken.head import PerTokenHead
from classtoken.page.example import (
    AnswerLabel,
    Answers,
    CausalMaskEffect,
    ContrastInput,
    CutEffect,
    Example,
    Experiments,
    LensAnswers,
    OtherClassToken,
    PoolingAnswers,
    PoolingLane,
    RemovalEffects,
    SecondClassToken,
    SwapEffects,
    UntrainedModel,
)
from classtoken.probe.lens import lens
from classtoken.probe.removal import masks
from classtoken.probe.subject import Subject
from classtoken.probe.traced import Traced, trace
from classtoken.study.experiments import causal_mask, own_pooling, pooling_race, poolings, second_class_token
from classtoken.study.inputs import typical_of
from classtoken.study.knockouts import LayerKnockOut, by_layer, single_removals
from classtoken.study.swaps import swap_states
from classtoken.tensors import Tokens
from classtoken.values import Role
from classtoken.walk.card import readout_in_words
from classtoken.walk.items import Item
from classtoken.walk.labels import apart
from classtoken.walk.pooled import followed, pooled_of
from classtoken.walk.rows import PARTS, embeddings_of, final_of, layers_of, matrices_of, numbers, states_of
from classtoken.walk.shown import WalkInput, walk_input
from classtoken.walk.toy import is_toy

ANSWERS = 8
"""answers shown of each input"""
LAYERS_CUT, ONE_AWAY = 0.7, 0.2
"""about how much of an input's work its knock-outs by layer are, and taking each token away"""
SETS = 100_000
"""places in a sequence that a page holds of the sets that one token's knock-outs are compared with"""


@dataclass(frozen=True)
class WalkedExample:
    """An input, its one forward, the classes that are shown, best first, and what the page shows of it."""

    prepared: WalkInput
    traced: Traced
    shown: tuple[int, ...]
    example: Example


@dataclass(frozen=True)
class Contrast:
    """Another input, its forward, and which of its tokens stand against those of the first."""

    prepared: WalkInput
    traced: Traced
    tokens: Mapping[int, int]
    untrained: Traced | None = None
    """the first input's forward with random weights"""
    untrained_beside: Traced | None = None
    """and this one's"""


@dataclass(frozen=True)
class ExampleBuilder:
    """A model and what its vectors are compared with (`compared`, the same prepared: `references`, and as which of the
    inputs that are walked through: `ids`); `untrained` is the same with random weights."""

    embedder: Embedder
    subject: Subject
    compared: tuple[Item, ...]
    references: tuple[Tokens, ...]
    ids: tuple[str | None, ...]
    untrained: Subject | None = None

    def build(self, item: Item, partner: Item, *, full: bool) -> WalkedExample:
        """The example of an item beside a partner; `full`: with what takes many forwards."""
        prepared, other = (walk_input(self.embedder, self.subject, one) for one in (item, partner))
        traced = trace(self.subject, prepared.tokens, PARTS)
        beside = trace(self.subject, other.tokens, PARTS)
        shown = self._shown(traced, item)
        pooled = pooled_of(traced)
        positions = self.class_tokens(prepared, shown[0])
        theirs = positions
        if not positions:
            positions, theirs = followed(traced, pooled), followed(beside, pooled_of(beside))
        random = (self._untrained(one) for one in (prepared, other))
        contrast = Contrast(other, beside, dict(zip(positions, theirs, strict=False)), *random)
        walked = WalkedExample(
            replace(prepared, watched=positions[0]),
            traced,
            shown,
            replace(
                self._example(prepared, traced, shown, contrast, positions),
                pooled=pooled,
                matrices=None if is_toy(self.subject) else matrices_of(traced),
            ),
        )
        if not full:
            return walked
        example, found = walked.example, self.experiments(walked)
        others = tuple(replace(view, knockouts=cuts) for view, cuts in zip(example.others, found.others, strict=True))
        changed = replace(example, knockouts=found.knockouts, removals=found.removals, others=others)
        return replace(walked, example=changed)

    def experiments(self, walked: WalkedExample) -> Experiments:
        """Knock-outs for every class token, and single removals: what takes many forwards."""
        traced, rows = walked.traced, list(walked.shown)
        positions = [walked.prepared.watched, *(view.position for view in walked.example.others)]
        with activity("cut off from what is read most, layer by layer"), work(len(positions), worth=LAYERS_CUT):
            first, *others = (
                _effects(by_layer(traced, position, rows[0], heads=is_small(traced))) for position in positions
            )
        with activity("each token taken away"), work(1, worth=ONE_AWAY):
            content, answers = single_removals(traced)
        removals = RemovalEffects(content, numbers(answers[:, rows])) if content else None
        return Experiments(first, removals, tuple(others))

    def class_tokens(self, prepared: WalkInput, best: int) -> list[int]:
        """Places of all class tokens, if any; first the one that answers for the best class, where each answers for
        one."""
        places = [t for t, role in enumerate(prepared.tokens.roles_BL[0].tolist()) if role == Role.CLASS]
        if len(places) > 1 and isinstance(self.subject.head, PerTokenHead):
            places.insert(0, places.pop(best))
        return places

    def _view(self, traced: Traced, shown: Sequence[int], contrast: Contrast, position: int) -> OtherClassToken:
        """What a page shows of one token that is watched: its rows, and the experiments on it."""
        other, own = contrast.traced, traced.roles_BL[0, position] == Role.CLASS
        theirs = contrast.tokens.get(position, contrast.prepared.watched)
        return OtherClassToken(
            position=position,
            layers=layers_of(traced, position),
            final=final_of(traced, position),
            class_token=embeddings_of(other).before[theirs],
            states=states_of(other, theirs),
            knockouts=(),
            swaps=(self._swap(traced, shown, contrast, (position, theirs)),) if own or traced.one_reader else (),
            causal=self._causal(traced, shown, other, position) if own and not self.subject.causal else None,
            two=self._twice(traced, shown, position) if own else None,
            untrained=self._before_training(contrast, shown, position),
        )

    def _untrained(self, prepared: WalkInput) -> Traced | None:
        return None if self.untrained is None else trace(self.untrained, prepared.tokens, PARTS)

    def _before_training(self, contrast: Contrast, shown: Sequence[int], position: int) -> UntrainedModel | None:
        """What the same architecture makes of an input with random weights."""
        traced, beside = contrast.untrained, contrast.untrained_beside
        if traced is None or beside is None:
            return None
        alike = None
        if traced.roles_BL[0, position] == Role.CLASS and position < beside.roles_BL.shape[1]:  # both begin equal
            mine, theirs = (torch.from_numpy(final_of(one, position)) for one in (traced, beside))
            alike = float(torch.cosine_similarity(mine, theirs, dim=0))
        weights = [weights_BHLL[0, :, position].mean(0) for weights_BHLL in traced.part("weights")]
        answers = traced.subject.answers(lens(traced)[0])[:, list(shown)]
        says = "the same architecture with random weights (seed 0), as before training"
        return UntrainedModel(numbers(torch.stack(weights)).astype(np.float16), numbers(answers), alike, says)

    def _twice(self, traced: Traced, shown: Sequence[int], position: int) -> SecondClassToken:
        return SecondClassToken(
            numbers(second_class_token(traced, position)[list(shown)]),
            np.ones(traced.depth + 1, dtype=np.float32),
            "a second class token with the same vector and position",
        )

    def _swap(self, traced: Traced, shown: Sequence[int], contrast: Contrast, places: tuple[int, int]) -> SwapEffects:
        """The other input's state in the place of one's own, before every layer. `places`: one's own, the other's."""
        rows, other = list(shown), contrast.traced
        states = [other.entering(layer)[:, places[1]] for layer in range(traced.depth + 1)]
        found = swap_states(traced, masks([[places[0]]], traced.roles_BL), states)
        swaps = traced.subject.answers(found[0])[:, rows]
        return SwapEffects(contrast.prepared.item.title, numbers(other.answers_BC[0, rows]), numbers(swaps))

    def _causal(self, traced: Traced, shown: Sequence[int], other: Traced, position: int) -> CausalMaskEffect:
        found = causal_mask(traced, position, other)
        says = "each token reads only itself and those before it"
        return CausalMaskEffect(numbers(found.answers_C[list(shown)]), found.change, found.reference, says)

    def _example(
        self,
        prepared: WalkInput,
        traced: Traced,
        shown: Sequence[int],
        contrast: Contrast,
        positions: Sequence[int],
    ) -> Example:
        item, rows = prepared.item, list(shown)
        first, *others = (self._view(traced, shown, contrast, position) for position in positions)
        pixels = prepared.tokens.pixels
        toy = pixels is not None and is_toy(self.subject)
        known = poolings(self.embedder, traced, self.references)
        return Example(
            id=item.id,
            title=item.title,
            origin="yours" if item.given else "example",
            input=replace(prepared.input, pixels=numbers(pixels[0])) if toy and pixels is not None else prepared.input,
            tokens=prepared.shown,
            watched=first.position,
            truth=prepared.truth,
            embeddings=embeddings_of(traced),
            layers=first.layers,
            final=first.final,
            vector=numbers(self.subject.readout(traced.states)[0]),
            answers=self._answers(traced, rows),
            contrast=_shown_contrast(contrast, first),
            lens=LensAnswers(
                numbers(traced.subject.answers(lens(traced)[0])[:, rows]),
                "the final norm and the model's own read-out, put on the states of each layer",
            ),
            swaps=first.swaps,
            causal=first.causal,
            poolings=self._poolings(known, rows),
            race=self._race(traced, first.position, known, rows),
            two=first.two,
            untrained=first.untrained,
            others=tuple(
                replace(view, layers=replace(view.layers, keys=None, values=None, norms=None)) for view in others
            ),
        )

    def _answers(self, traced: Traced, rows: list[int]) -> Answers:
        logits: Tensor | None = None
        compares = self.subject.kind == "cosine"
        if not compares:
            logits = traced.outcome_BC[0].float() / self.subject.temperature
        names = apart(self.subject.labels)
        return Answers(
            tuple(AnswerLabel(i, names[i], self.ids[i] if compares else None) for i in rows),
            None if logits is None else numbers(logits[rows]),
            numbers(traced.answers_BC[0, rows]),
            None if logits is None else numbers(logits),
            typical_of(self.embedder, self.subject, traced.tokens),
        )

    def _race(
        self, traced: Traced, position: int, known: Mapping[str, Tensor], rows: list[int]
    ) -> tuple[PoolingLane, ...]:
        own = own_pooling(self.embedder)
        return tuple(
            PoolingLane(
                lane.name,
                None if lane.weights_L is None else numbers(lane.weights_L),
                None if lane.answers_C is None else numbers(lane.answers_C[rows]),
                lane.cosine,
                lane.learned,
                lane.name == own,
            )
            for lane in pooling_race(self.embedder, traced, position, known)
        )

    def _poolings(self, known: Mapping[str, Tensor], rows: list[int]) -> tuple[PoolingAnswers, ...]:
        own, learned = own_pooling(self.embedder), readout_in_words(self.embedder, self.subject)
        return tuple(
            PoolingAnswers(
                name,
                numbers(answers[rows]),
                "the model's own read-out" if name == own else f"the model was trained for {learned}, not for this",
            )
            for name, answers in known.items()
        )

    def _shown(self, traced: Traced, item: Item) -> tuple[int, ...]:
        """Answers, best first. Of what vectors are compared with, the reader's own inputs come first, and an input is
        not compared with itself."""
        best = traced.answers_BC[0].argsort(descending=True).tolist()
        if self.subject.kind == "cosine":
            best = [i for i in best if self.compared[i].content != item.content]
            best.sort(key=lambda i: not self.compared[i].given)
        return tuple(best[:ANSWERS])


def is_small(traced: Traced) -> bool:
    """Whether single heads are knocked out too: tokens x layers x hidden size below 100,000."""
    tokens, width = traced.entering(0).shape[1:]
    return bool(traced.depth * tokens * width < 100_000)


def _effects(found: Sequence[LayerKnockOut]) -> tuple[CutEffect, ...]:
    """Knock-outs as the page shows them; with the sets that they are compared with where a page can hold these."""
    few = sum(len(k.others) * len(k.found.tokens) for k in found) <= SETS
    return tuple(_effect(k, few) for k in found)


def _effect(k: LayerKnockOut, sets: bool) -> CutEffect:
    places = np.array(k.others, dtype=np.int32)
    return CutEffect(
        k.layer,
        k.head,
        k.found.tokens,
        "renormalise",
        0,
        k.found.before,
        k.found.after,
        k.found.null,
        k.found.possible,
        k.found.p,
        k.found.together,
        k.found.p_together,
        k.found.verdict,
        (places.astype(np.uint8) if places.max() < 256 else places) if sets and places.size else None,
    )


def _shown_contrast(contrast: Contrast, first: OtherClassToken) -> ContrastInput:
    other = contrast.prepared
    return ContrastInput(
        other.item.title,
        other.input.image,
        other.input.text,
        other.shown,
        embeddings_of(contrast.traced).before.astype(np.float16),
        first.class_token,
        first.states,
    )
