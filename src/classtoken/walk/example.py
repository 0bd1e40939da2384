"""One input, traced and experimented on, as the page shows it."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from classtoken.embedder import Embedder
from classtoken.head import PerTokenHead
from classtoken.page.example import (
    AnswerLabel,
    Answers,
    ContrastInput,
    Example,
    Experiments,
    OtherClassToken,
    SwapEffects,
)
from classtoken.tensors import Tokens
from classtoken.values import Role
from classtoken.walk import laboratory as lab
from classtoken.walk.answering import Answering
from classtoken.walk.card import numbers
from classtoken.walk.items import Item
from classtoken.walk.numbers import Traced, seen_from, trace_of
from classtoken.walk.shown import WalkInput, walk_input
from classtoken.walk.toy import is_toy

ANSWERS = 8
"""answers shown of each input"""


@dataclass(frozen=True)
class WalkedExample:
    """An input, its trace and what the page shows of it."""

    prepared: WalkInput
    traced: Traced
    shown: tuple[int, ...]
    example: Example


@dataclass(frozen=True)
class ExampleBuilder:
    """A model and what its vectors are compared with (`compared`, and the same prepared: `references`)."""

    embedder: Embedder
    answering: Answering
    compared: tuple[Item, ...]
    references: tuple[Tokens, ...]

    def build(self, item: Item, partner: Item, *, full: bool) -> WalkedExample:
        answering = self.answering
        prepared = walk_input(self.embedder, item)
        traced = trace_of(answering.subject, prepared)
        values = answering.values(traced.outcome_BC)[0]
        shown = tuple(values.argsort(descending=True)[:ANSWERS].tolist())
        class_tokens = self.class_tokens(prepared, shown[0])
        prepared = replace(prepared, watched=class_tokens[0])
        other = walk_input(self.embedder, partner)
        other_trace = trace_of(answering.subject, other)
        views = [self._view(prepared, traced, shown, other, other_trace, watched) for watched in class_tokens]
        example = self._example(prepared, traced, values, shown, other, other_trace.embeddings.before, views)
        walked = WalkedExample(prepared, traced, shown, example)
        if not full:
            return walked
        found = self.experiments(walked)
        others = tuple(replace(view, knockouts=cuts) for view, cuts in zip(example.others, found.others, strict=True))
        changed = replace(example, knockouts=found.knockouts, removals=found.removals, others=others)
        return replace(walked, example=changed)

    def experiments(self, walked: WalkedExample) -> Experiments:
        """Knock-outs for every class token, and single removals: what takes many forwards."""
        answering, prepared, shown = self.answering, walked.prepared, walked.shown
        found = []
        for watched in [prepared.watched, *(view.position for view in walked.example.others)]:
            traced = seen_from(answering.subject, walked.traced, watched)
            effort = lab.effort_for(traced)
            found.append(lab.knockouts(answering, replace(prepared, watched=watched), traced, shown, effort))
        removals = lab.removals(answering, prepared, walked.traced, shown)
        return Experiments(found[0], removals, tuple(found[1:]))

    def class_tokens(self, prepared: WalkInput, best: int) -> list[int]:
        """Places of all class tokens; first the one that answers for the best class, where each answers for one."""
        places = [t for t, role in enumerate(prepared.tokens.roles_BL[0].tolist()) if role == Role.CLASS]
        if len(places) > 1 and isinstance(self.answering.subject.head, PerTokenHead):
            places.insert(0, places.pop(best))
        return places

    def _view(
        self, prepared: WalkInput, traced: Traced, shown: tuple[int, ...], other: WalkInput, other_trace: Traced,
        watched: int,
    ) -> OtherClassToken:  # fmt: skip
        """What a page shows of one class token: its rows, and the experiments on it."""
        answering, rows = self.answering, list(shown)
        prepared, other = replace(prepared, watched=watched), replace(other, watched=watched)
        traced = seen_from(answering.subject, traced, watched)
        other_trace = seen_from(answering.subject, other_trace, watched)
        donor_values = answering.values(other_trace.outcome_BC)[0, rows]
        swaps = lab.swapped(answering, prepared, other_trace.states_ND)[:, rows]
        return OtherClassToken(
            position=watched,
            layers=traced.layers,
            final=traced.final_D,
            class_token=other_trace.embeddings.before[watched],
            states=other_trace.states_ND,
            knockouts=(),
            swaps=(SwapEffects(other.item.title, numbers(donor_values), numbers(swaps)),),
            causal=lab.causal(answering, prepared, other, shown, traced, other_trace.final_D),
        )

    def _example(
        self, prepared: WalkInput, traced: Traced, values: torch.Tensor, shown: tuple[int, ...], other: WalkInput,
        other_before: np.ndarray, views: list[OtherClassToken],
    ) -> Example:  # fmt: skip
        answering, item, first = self.answering, prepared.item, views[0]
        rows = list(shown)
        logits = answering.logits(traced.outcome_BC)
        pixels = prepared.tokens.pixels
        toy = is_toy(answering) and pixels is not None
        vector = answering.subject.readout(traced.captured.states)[0]
        return Example(
            id=item.id,
            title=item.title,
            origin="example",
            input=prepared.input if pixels is None or not toy else replace(prepared.input, pixels=numbers(pixels[0])),
            tokens=prepared.shown,
            watched=first.position,
            truth=prepared.truth,
            embeddings=traced.embeddings,
            layers=first.layers,
            final=first.final,
            vector=numbers(vector),
            answers=Answers(
                tuple(AnswerLabel(i, self._answer_name(i, item)) for i in rows),
                None if logits is None else numbers(logits[0, rows]),
                numbers(values[rows]),
                None if logits is None else numbers(logits[0]),
            ),
            contrast=ContrastInput(
                other.item.title,
                other.input.image,
                other.input.text,
                other.shown,
                other_before.astype(np.float16),
                first.class_token,
                first.states,
            ),
            lens=lab.lens_of(answering, prepared, shown),
            knockouts=first.knockouts,
            swaps=first.swaps,
            causal=first.causal,
            poolings=lab.poolings(self.embedder, answering, traced, prepared.tokens, self.references, shown),
            two=lab.two(answering, prepared, shown),
            others=tuple(
                replace(view, layers=replace(view.layers, keys=None, values=None, norms=None)) for view in views[1:]
            ),
        )

    def _answer_name(self, index: int, item: Item) -> str:
        """A label; of a comparison with itself, that."""
        if self.answering.kind == "cosine" and self.compared[index].content == item.content:
            return f"itself, unchanged ({item.title})"
        return self.answering.labels[index]
