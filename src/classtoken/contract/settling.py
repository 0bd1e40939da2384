"""What was passed over in a folder, settled before its first vector: by a reference where one can run."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from classtoken.contract.checks import TOLERANCE, difference
from classtoken.contract.experiments import pictures
from classtoken.contract.reading import Reading
from classtoken.contract.reference import gaps, reference_of
from classtoken.contract.samples import LONG, OWN_WORDS, RARE, TRICKY, own_words, several_inputs
from classtoken.contract.unread import Compare, Compared, Part, Unread, settled, unread
from classtoken.encoder.foreign.quietly import quietly
from classtoken.errors import ModelError
from classtoken.inputs import Preprocessor, one_batch
from classtoken.model_folder import first_module, transformer_folder
from classtoken.remembered import folder_fingerprint
from classtoken.tokens.text import TextPreprocessor
from classtoken.tokens.text_recipe import read_calls, tidied
from classtoken.tokens.wordpieces import tokenizer_folder, without_dropout

#: What `accept` takes for a tokenizer that transformers' own class makes otherwise.
TOKENIZER_CLASS = "tokenizer_class"

#: Files that nobody reads beside a tokenizer.json that says all (`InputDefaults.tokenizer_alone`).
AROUND: tuple[Part, ...] = ("tokenizer", "calls", "pixels")


@dataclass
class Side:
    """One tower before it is put together: its reading and how its inputs are prepared."""

    reading: Reading
    prepare: Preprocessor


def settle(
    folder: Path,
    sides: Sequence[Side],
    opened: Mapping[Path, Any],
    accept: Collection[str],
    prepared: Callable[[Reading], Preprocessor],
) -> None:
    """Write into each reading what was passed over (`unread`) and which vectors that refuses.

    `prepared` makes the preprocessing of a reading again: where its tokenizer's class makes other tokens of the same
    pieces than tokenizer.json says, those of the class are taken, as by transformers 5, and that is said.
    """
    for side in sides:
        side.reading.refusals += _other_kinds(side)
    harmless = frozenset(key for side in sides if side.reading.family for key in side.reading.family.harmless)
    passed = (*unread(folder, opened, harmless), *_of_base(folder, sides, opened, harmless))
    counts = [one for one in passed if one.part not in AROUND or not _tokenizer_alone(sides)]
    found = tuple(one for one in counts if not _reproduced(one, sides)) + _made_anew(sides)
    if not found:
        return
    compare: dict[Part, Compare] = {
        "encoder": lambda: _states(folder, sides),
        "tokenizer": lambda: _ids(folder, sides),
        "pixels": lambda: _pixels(folder, sides),
    }
    places = dict.fromkeys((folder, *(side.reading.home for side in sides)))
    asked = f"{[folder_fingerprint(place) for place in places]} {TRICKY + RARE} {LONG} {OWN_WORDS}"
    done = settled(found, accept, compare, asked)
    unlike = tuple(one for one in done if one.part == "tokenizer" and one.refused and one.found)
    says = next((one.found.says for one in unlike if one.key == TOKENIZER_CLASS and one.found), "")
    if says and _taken_from_class(sides, says, prepared):
        again = settled(unlike, (), compare, f"{asked} as the class makes it", quiet=True)
        done = tuple(one for one in done if one not in unlike) + again
    done = tuple(one for one in done if one.key != TOKENIZER_CLASS or (one.refused and one.found) or one.accepted)
    for side in sides:
        side.reading.claims += tuple(one.claim() for one in done)
        side.reading.accepted = tuple(sorted(f"{one.file}:{one.key}" for one in done if one.accepted))
        side.reading.refusals += tuple(one.refusal() for one in done if one.refused and one.part != "readout")
        side.reading.unsettled += tuple(one.refusal() for one in done if one.refused and one.part == "readout")


def _tokenizer_alone(sides: Sequence[Side]) -> bool:
    """Whether tokenizer.json is all that prepares this folder's inputs."""
    return all(side.reading.inputs.tokenizer_alone for side in sides)


def _of_base(
    folder: Path, sides: Sequence[Side], opened: Mapping[Path, Any], harmless: frozenset[str]
) -> Iterator[Unread]:
    """What was passed over in the base of an adapter that lies elsewhere, as far as its files count."""
    for side in sides[:1]:
        base = side.reading.home
        if base.is_relative_to(folder):
            return
        counts = {"encoder"} | ({"tokenizer", "pixels"} if side.reading.inputs_at(folder) == base else set())
        yield from (one for one in unread(base, opened, harmless) if one.part in counts)


def _other_kinds(side: Side) -> tuple[str, ...]:
    """A refusal where the tokenizer hands over kinds of tokens that the encoder tells apart: here all are of kind 0."""
    given = side.prepare.kinds if isinstance(side.prepare, TextPreprocessor) else ()
    if set(given) <= {0} or getattr(side.reading.encoder, "kinds", 0) < 2:
        return ()
    kinds = " and ".join(map(str, given))
    return (
        f"its tokenizer gives tokens the kinds {kinds} (token_type_ids), and all tokens are of kind 0 here. Write "
        "type_id 0 into the template of tokenizer.json (post_processor, single) where the authors did without kinds.",
    )


def _states(folder: Path, sides: Sequence[Side]) -> Compared | None:
    """States and pooled output beside transformers', on several inputs of several lengths; None without a reference."""
    inner = transformer_folder(folder)
    runs, worst = 0, 0.0
    for side in sides:
        if _own_code(side.reading):
            return None
        model = reference_of(inner)
        if model is None or side.reading.family is None:
            return None
        for tokens in several_inputs(side.prepare, side.reading.config):
            found = gaps(model, side.reading, tokens)
            if found is None:
                return None
            runs, worst = runs + 1, max(worst, *found.values())
    return Compared(
        worst <= TOLERANCE, f"states of {runs} inputs differ from transformers' by {worst:.1e} (whole model run)"
    )


def _reproduced(one: Unread, sides: Sequence[Side]) -> bool:
    """Whether a key only names a class of the authors' own whose computation a family's row is (`Family.code`)."""
    named = str(one.value.get("AutoModel", "")).rsplit(".", 1)[-1] if isinstance(one.value, Mapping) else ""
    known = {name for side in sides if side.reading.family for name in side.reading.family.code}
    return (one.key, one.part) == ("auto_map", "encoder") and named in known


def _made_anew(sides: Sequence[Side]) -> tuple[Unread, ...]:
    """The class of a tokenizer that may make its parts anew instead of taking them from tokenizer.json."""
    tokenizers = [side.prepare.tokenizer for side in sides if isinstance(side.prepare, TextPreprocessor)]
    made = [one.made_by for one in tokenizers if one.made_by]
    why = "may make other tokens than tokenizer.json says"
    return tuple(Unread("tokenizer_config.json", TOKENIZER_CLASS, name, "tokenizer", why=why) for name in made)


def _taken_from_class(sides: Sequence[Side], unlike: str, prepared: Callable[[Reading], Preprocessor]) -> bool:
    """Take the tokens that the tokenizer's class makes; whether there are any of the same pieces.

    `unlike` says which text shows the difference.
    """
    before = [(side, side.reading.inputs, side.prepare) for side in sides]
    try:
        for side in sides:
            made_by = isinstance(side.prepare, TextPreprocessor) and side.prepare.tokenizer.made_by
            if not made_by:
                continue
            side.reading.inputs = replace(side.reading.inputs, tokenizer_anew=True)
            side.prepare = prepared(side.reading)
            if isinstance(side.prepare, TextPreprocessor):
                side.prepare.tokenizer.notes += (
                    f"{made_by} makes other tokens than tokenizer.json says ({unlike}): its tokens are taken, as by "
                    "transformers 5, while transformers 4 took the file's, and so does `accept` 'tokenizer_class'",
                )
    except ModelError:  # pieces of another kind
        for side, inputs, prepare in before:
            side.reading.inputs, side.prepare = inputs, prepare
        return False
    return True


def _own_code(reading: Reading) -> bool:
    """Whether config.json names a class of the authors' own that this package does not reproduce."""
    named = (reading.config.get("auto_map") or {}).get("AutoModel")
    if not named:
        return False
    return reading.family is None or str(named).rsplit(".", 1)[-1] not in reading.family.code


def _ids(folder: Path, sides: Sequence[Side]) -> Compared | None:
    """Token ids beside those of transformers' tokenizer."""
    from transformers import AutoTokenizer

    prepare = next((side.prepare for side in sides if isinstance(side.prepare, TextPreprocessor)), None)
    if prepare is None:
        return Compared(True, "no text side")
    reading = next(side.reading for side in sides if side.prepare is prepare)
    defaults, place = reading.inputs, tokenizer_folder(reading.inputs_at(folder))
    if defaults.separator_zeroed:
        return None
    special_too = not defaults.bare and read_calls(place).special
    try:
        with quietly():
            theirs = AutoTokenizer.from_pretrained(place, trust_remote_code=False, local_files_only=True)
            if getattr(theirs, "backend_tokenizer", None) is not None:
                without_dropout(theirs.backend_tokenizer)
            if defaults.special_split:
                theirs.split_special_tokens = True
            # what open_clip does to a text it does before its tokenizer
            texts = [tidied(text, prepare.recipe.cleaning) for text in (*TRICKY, *RARE, *own_words(theirs))]
            if prepare.recipe.lower_case:
                texts = [text.lower() for text in texts]
            wanted = [_given(lambda one: theirs(one, add_special_tokens=special_too)["input_ids"], t) for t in texts]
    except Exception:  # transformers raises many kinds for one cause: it does not read this folder
        return None
    if not any(wanted):
        return None
    ours = [_given(lambda one: prepare.tokenizer.ids([prepare.recipe.clean(one)])[0], text) for text in texts]
    unlike = [text for text, ids, own in zip(texts, wanted, ours, strict=True) if ids is not None and ids != own]
    says = f"transformers' tokenizer gives {'the same ids' if not unlike else 'other ids'} for "
    return Compared(not unlike, says + (f"{len(texts)} texts" if not unlike else repr(unlike[0])))


def _given(ids: Callable[[str], Sequence[int]], text: str) -> list[int] | None:
    """The ids of one text; None where the tokenizer fails at it."""
    try:
        return [int(one) for one in ids(text)]
    except Exception:  # compiled tokenizers raise plain exceptions: a word piece without [UNK], say
        return None


def _pixels(folder: Path, sides: Sequence[Side]) -> Compared | None:
    """Pixels beside those of transformers' image processor, of pictures of several sizes."""
    from transformers import AutoImageProcessor

    side = next((side for side in sides if not isinstance(side.prepare, TextPreprocessor)), None)
    if side is None:
        return Compared(True, "no image side")
    prepare = side.prepare
    shown = [picture[:high] for picture, high in zip(pictures(), (256, 190), strict=True)]
    place = first_module(side.reading.inputs_at(folder), ("preprocessor_config.json", "processor_config.json"))
    try:
        with quietly():
            theirs = AutoImageProcessor.from_pretrained(place, trust_remote_code=False, local_files_only=True)
            wanted = [theirs(Image.fromarray(one), return_tensors="pt")["pixel_values"] for one in shown]
    except Exception:  # transformers raises many kinds for one cause: it does not read this folder
        return None
    ours = [one_batch(prepare, [one]).pixels for one in shown]
    worst = max(
        difference(a.float(), b.float()) if a is not None and a.shape == b.shape else float(np.inf)
        for a, b in zip(ours, map(torch.as_tensor, wanted), strict=True)
    )
    return Compared(worst <= 1e-4, f"pixels of {len(shown)} pictures differ from transformers' by {worst:.1e}")
