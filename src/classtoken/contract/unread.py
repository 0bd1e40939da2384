"""What a folder's authors wrote and nothing here has read: every such key is settled by evidence, accepted, or refused.

Which keys were read is not a list kept by hand: parsed files remember who was asked for (`model_folder.Watched`). What
is left over and not known to be harmless is a clue. Where a reference can run, it is settled at the first load and
remembered; where this package computes a part alone, the vector is refused until the key is accepted by name.
"""

import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from classtoken.contract.harmless import NOTHING, is_harmless
from classtoken.errors import ClasstokenError
from classtoken.model_folder import (
    ENCODER_SETTINGS,
    passed_over,
    read_json,
    read_modules,
    transformer_folder,
)
from classtoken.remembered import remembered
from classtoken.results.inspect import Claim, Evidence, Kind, Verdict
from classtoken.version import __version__

Part = Literal["encoder", "tokenizer", "pixels", "readout", "adapter", "calls"]
#: Files that decide a vector -> what they say something about. In the folder itself and in the encoder's.
DECIDERS: Mapping[str, Part] = {
    "config.json": "encoder",
    "open_clip_config.json": "encoder",
    "tokenizer_config.json": "tokenizer",
    "sentence_*_config.json": "calls",
    "preprocessor_config.json": "pixels",
    "processor_config.json": "pixels",
    "config_sentence_transformers.json": "readout",
    "adapter_config.json": "adapter",
}
#: Whether a comparison with the reference came out equal; None where there is none to compare with.
Compare = Callable[[], "Compared | None"]


@dataclass(frozen=True)
class Compared:
    """What came of a comparison with a reference: equal or not, and how that was seen."""

    equal: bool
    says: str


@dataclass(frozen=True)
class Unread:
    """One key that was not understood, and what became of it."""

    file: str
    key: str
    value: Any
    part: Part
    found: Compared | None = None
    accepted: bool = False
    why: str = "is not understood"

    @property
    def refused(self) -> bool:
        """Whether a vector would be a guess."""
        return not self.accepted and not (self.found is not None and self.found.equal)

    def __str__(self) -> str:
        text = json.dumps(self.value, default=str)
        return f"{self.key} = {text if len(text) <= 60 else text[:57] + '...'} ({self.file})"

    def claim(self) -> Claim:
        """As `inspect` shows it."""
        says = "accepted by name" if self.accepted else self.found.says if self.found else "nothing to compare with"
        verdict = Verdict.REFUTED if self.refused else Verdict.DECLARED if self.accepted else Verdict.PROVED
        kind = Kind.FILE if self.found is None else Kind.EXPERIMENT
        return Claim("not understood", str(self), verdict, (Evidence(kind, self.file, says),))

    def refusal(self) -> str:
        """Why no vector is given, and what to do."""
        if self.found is None:
            why, when = ", and there is no reference here to ask", "it moves no vector"
        else:  # it moves something there, and nothing here
            why, when = f": {self.found.says}", "the authors did without it"
        return (
            f"{self} {self.why}{why}. Pass `accept` '{self.key}' if you know that {when}; inspect lists all "
            "that was passed over."
        )


def unread(folder: Path, opened: Mapping[Path, Any], harmless: frozenset[str] = frozenset()) -> tuple[Unread, ...]:
    """Every key of the folder's deciding files that was passed over and is not known to be harmless.

    `opened` is what `model_folder.watching` gave. A deciding file that nobody opened is passed over as a whole.
    """
    found: dict[tuple[str, str], Unread] = {}
    for path, part in _deciding(folder):
        file = path.relative_to(folder).as_posix()
        for key, value in passed_over(opened[path] if path in opened else read_json(path)):
            nothing = NOTHING.get(key.rsplit(".", 1)[-1]) is value
            if not nothing and not is_harmless(key, part, harmless):
                found[file, key] = Unread(file, key, value, part)
    return tuple(found.values())


def settled(
    found: Sequence[Unread],
    accept: Collection[str],
    compare: Mapping[Part, Compare],
    fingerprint: str,
    *,
    quiet: bool = False,
) -> tuple[Unread, ...]:
    """The same keys with what became of each: accepted, compared with a reference (remembered), or neither.

    That it is compared is said, as it takes a while; not where it is `quiet`.
    """
    answers: dict[Part, Compared | None] = {}
    done = []
    for one in found:
        if {one.key, f"{one.file}:{one.key}", one.key.rsplit(".", 1)[-1]} & set(accept):
            done.append(replace(one, accepted=True))
            continue
        if one.part not in answers:
            answers[one.part] = _answer(one, compare.get(one.part), fingerprint, quiet)
        done.append(replace(one, found=answers[one.part]))
    return tuple(done)


def _answer(one: Unread, compare: Compare | None, fingerprint: str, quiet: bool) -> Compared | None:
    """The comparison's result, from memory where it was made before."""
    if compare is None:
        return None

    def ask() -> dict[str, Any] | None:
        if not quiet:
            logging.getLogger(__name__).warning("%s %s: comparing with the reference, once", one, one.why)
        try:
            result = compare()
        except ClasstokenError as error:
            result = Compared(False, str(error).rstrip("."))  # a sentence goes on behind it
        return None if result is None else {"equal": result.equal, "says": result.says}

    plain = remembered(f"{__version__} {one.part} {fingerprint}", ask)
    return None if plain is None else Compared(bool(plain["equal"]), str(plain["says"]))


def _deciding(folder: Path) -> Iterator[tuple[Path, Part]]:
    """Every file in the folder that decides a vector."""
    modules = read_modules(folder)
    places = dict.fromkeys([folder, transformer_folder(folder), *(m.folder for m in modules[:1])])
    own = [m.folder / "config.json" for m in modules if m.folder not in places]
    for path in [folder / "modules.json", *own]:
        if path.is_file():
            yield path, "readout"
    for place in places:
        for pattern, part in DECIDERS.items():
            for path in sorted(place.glob(pattern)):
                if part != "calls" or not _behind_another(path):
                    yield path, part


def _behind_another(path: Path) -> bool:
    """Whether another file of sentence-transformers' settings is read instead: the first that says something."""
    earlier = ENCODER_SETTINGS[: ENCODER_SETTINGS.index(path.name)] if path.name in ENCODER_SETTINGS else ()
    return any(read_json(path.with_name(name)) for name in earlier)
