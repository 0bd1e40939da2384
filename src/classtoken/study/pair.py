"""Two inputs explained together: the cosine of their vectors by pairs of parts, and whether those parts matter."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from classtoken.activity import activity, work
from classtoken.embedder import Embedder, with_prompt
from classtoken.errors import OptionError
from classtoken.inputs import InputView, PreparedInput, rest_in_words
from classtoken.maps.pairs import Parts, error_of, pairs_of, parts_of
from classtoken.options import ExplainPairOptions
from classtoken.probe.from_embedder import giving_vectors
from classtoken.probe.interventions import Mode
from classtoken.probe.subject import Subject
from classtoken.probe.traced import content_of, trace
from classtoken.results.explain import KnockOut
from classtoken.results.explain_pair import PairExplanation, PairInput
from classtoken.study.control import judged_together
from classtoken.study.cuts import Cut
from classtoken.study.inputs import (
    given_as,
    modality_of,
    name_of,
    name_of_item,
    original_of,
    picture_uri,
    prepare_item,
    readable,
    token_views,
)
from classtoken.study.knockouts import Bench
from classtoken.tensors import Tokens

MOST = {"text": 49, "image": 25}
"""regions of an input; with ten or fewer every set of them is computed"""
TAKEN = 0.2
"""part of the regions that a knock-out takes away"""


@dataclass(frozen=True)
class _Side:
    """One of the two inputs, with everything that is needed of it."""

    subject: Subject
    given: PreparedInput
    regions: tuple[tuple[int, ...], ...]
    parts: Parts
    name: str
    original: str | None

    @property
    def tokens(self) -> Tokens:
        return self.given.tokens

    def plain(self) -> PairInput:
        view = self.given.view
        return PairInput(
            name=self.name,
            modality=view.modality,
            tokens=token_views(view),
            regions=self.regions,
            exact=self.parts.exact,
            grid=self.tokens.grid,
            image=picture_uri(view),
            original=self.original,
            names=names_of(view, self.regions) if view.text is not None else (),
        )


def explained_pair(embedder: Embedder, item: Any, other: Any, options: ExplainPairOptions) -> PairExplanation:
    """Why the vectors of two inputs are like each other, or are not."""
    with work(2.5):
        one = _side(embedder, item, options)
        two = _side(embedder, other, options)
        pairs = pairs_of(one.parts, two.parts)
        knockouts = _knockouts(one, two, pairs, options.seed)
    f, b, g, c = (v.double() for v in (one.parts.vector_D, one.parts.empty_D, two.parts.vector_D, two.parts.empty_D))
    if f.shape != g.shape:
        raise OptionError(f"the two inputs have vectors of {len(f)} and {len(g)} numbers, which cannot be compared.")
    met, errors = float((f - b) @ (g - c)), error_of(one.parts, two.parts)
    reading = embedder.tower(one.given.view.modality).reading
    return PairExplanation(
        model=name_of(embedder),
        readout=options.pooling or str(reading.contract),
        item=one.plain(),
        other=two.plain(),
        similarity=float(f @ g),
        met=met,
        background=float(f @ g) - met,
        error=float(f"{errors.max():.3g}"),
        pairs=tuple(tuple(float(f"{value:.6g}") for value in row) for row in pairs.tolist()),
        knockouts=knockouts,
        empty=(float(f @ c), float(b @ g), float(b @ c)),
        notes=(*_unread(embedder, one, two), *_notes(one, two)),
        given=_given(embedder, one, two, (item, other), options),
    )


def _given(
    embedder: Embedder, one: _Side, two: _Side, items: tuple[Any, Any], options: ExplainPairOptions
) -> tuple[str, ...] | None:
    """For the walkthrough, which is of inputs of one kind and of the authors' own vector."""
    same = one.given.view.modality == two.given.view.modality
    asked = options.pooling or options.prompt or options.prompt_text
    return given_as(embedder, one.subject, *items) if same and not asked else None


def _side(embedder: Embedder, item: Any, options: ExplainPairOptions) -> _Side:
    modality = modality_of(embedder, item, options.modality)
    prompt = None
    if modality == "text":
        embedder, prompt = with_prompt(embedder, modality, options.prompt, options.prompt_text)
    given = prepare_item(embedder, item, modality=modality, prompt=prompt)
    subject = giving_vectors(embedder, pooling=options.pooling, modality=modality, prompt=prompt)
    regions = regions_of(given.tokens, MOST[modality], given.view)
    name = name_of_item(item, given.view)
    with activity(f"the parts of “{name}”"):
        parts = parts_of(trace(subject, given.tokens), regions, seed=options.seed)
    return _Side(subject, given, regions, parts, name, original_of(item, given.view))


def regions_of(tokens: Tokens, most: int, view: InputView) -> tuple[tuple[int, ...], ...]:
    """Parts of one input: its patches in squares, or its words in runs, as small as `most` of them allow."""
    content = content_of(tokens)
    if tokens.grid is None:
        words = _words(content, view)
        size = -(-len(words) // most)
        return tuple(tuple(chain(*words[i : i + size])) for i in range(0, len(words), size))
    rows, columns = tokens.grid
    side = 1
    while -(-rows // side) * -(-columns // side) > most:
        side += 1
    found: dict[tuple[int, int], list[int]] = {}
    for number, place in enumerate(content):
        row, column = divmod(number, columns)
        found.setdefault((row // side, column // side), []).append(place)
    return tuple(tuple(places) for _, places in sorted(found.items()))


def _words(content: Sequence[int], view: InputView) -> list[list[int]]:
    """Word pieces that make one word, together: those that are marked so, and those that touch in the text where
    letters of both sides have a case (scripts without one need not put spaces between words)."""
    found: list[list[int]] = []
    for place in content:
        joined = bool(found) and (view.words[place].startswith("##") or _touch(found[-1][-1], place, view))
        found[-1].append(place) if joined else found.append([place])
    return found


def _touch(before: int, place: int, view: InputView) -> bool:
    one, other, text = view.spans[before], view.spans[place], view.text
    if one is None or other is None or text is None or one[1] != other[0]:
        return False
    return all(letter.lower() != letter.upper() for letter in (text[one[1] - 1], text[other[0]]))


def names_of(view: InputView, regions: Sequence[Sequence[int]]) -> tuple[str, ...]:
    """Regions of a text in its own words, or in its word pieces where the tokenizer cannot say where they stand."""
    found = []
    for region in regions:
        spans = [view.spans[place] for place in region]
        known = [span for span in spans if span is not None]
        if view.text is not None and known and len(known) == len(spans):
            found.append(" ".join(view.text[known[0][0] : known[-1][1]].split()))
        else:
            found.append(" ".join(readable(view.words[place]) for place in region).replace(" ##", ""))
    return tuple(found)


@activity("taking away what met most, beside random parts")
def _knockouts(one: _Side, two: _Side, pairs: Any, seed: int) -> tuple[KnockOut, ...]:
    """The parts that met most taken away, on either side, and the words that the other text has as well."""
    found: list[KnockOut] = []
    for side, other, met, which in ((one, two, pairs.sum(1), "first"), (two, one, pairs.sum(0), "second")):
        if len(side.regions) < 3:
            continue
        subject = side.subject.comparing([other.name], other.parts.vector_D[None])
        bench = Bench(trace(subject, side.tokens), 0, seed=seed)
        count = max(1, round(TAKEN * len(side.regions)))
        best = sorted(range(len(side.regions)), key=lambda i: -met[i])[:count]
        named = f"the {count} parts" if count > 1 else "the part"
        sets = [(f"{named} of the {which} that met most", [p for i in best for p in side.regions[i]])]
        if shared := _shared(side, other):
            sets.append((f"the words of the {which} that both have", shared))
        for what, places in sets:
            cut = Cut("removed", what, tuple(sorted(places)))
            found.append(bench.knock_out(cut, Mode.RENORMALISE, tests=4))
    return judged_together(found)


def _shared(side: _Side, other: _Side) -> list[int]:
    """Word pieces of a text that the other text has too, unless that is all of them. A full stop is no word."""
    if side.tokens.ids_BL is None or other.tokens.ids_BL is None:
        return []
    there = {_piece(other, place) for place in content_of(other.tokens)}
    words = [
        place for place in content_of(side.tokens) if _is_word(_written(side, place) or side.given.view.words[place])
    ]
    places = [place for place in words if _piece(side, place) in there]
    return places if len(places) < len(words) else []


def _is_word(written: str) -> bool:
    """Whether there is a letter, a digit or a picture in it: blanks, full stops and brackets are in most texts."""
    return any(unicodedata.category(sign)[0] in "LN" or unicodedata.category(sign) == "So" for sign in written)


def _written(side: _Side, place: int) -> str:
    text, span = side.given.view.text, side.given.view.spans[place]
    return "" if text is None or span is None else text[slice(*span)].strip()


def _piece(side: _Side, place: int) -> tuple[int, str]:
    """What makes two word pieces the same: their id, and what is written there but for case and accents. All words that
    a tokenizer does not know have one id."""
    assert side.tokens.ids_BL is not None
    written = _written(side, place)
    letters = unicodedata.normalize("NFKD", written.casefold())
    return int(side.tokens.ids_BL[0, place]), "".join(x for x in letters if not unicodedata.combining(x))


def _unread(embedder: Embedder, *sides: _Side) -> Iterator[str]:
    """Of the sides that are texts: that a part of them was not read."""
    for side in sides:
        prepare = embedder.tower(side.given.view.modality).prepare
        yield from (f"{side.name}: {said}" for said in rest_in_words(prepare, side.tokens.cut))


def _notes(one: _Side, two: _Side) -> tuple[str, ...]:
    notes = [
        "a share says what the model's numbers do, not why a person would find the two alike",
    ]
    if any(len(region) > 1 for side in (one, two) for region in side.regions):
        notes.append("pieces of one word, or neighbours where there are many, are taken together as one part")
    return tuple(notes)
