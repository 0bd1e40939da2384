"""What the stages share, without torch: roles, layouts, records."""

import re
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal

#: Which side of a model reads an input.
Modality = Literal["text", "image"]
#: Numbers that a model computes in.
Precision = Literal["fp32", "bf16", "int8"]


class Role(IntEnum):
    """What a token is there for. Every stage asks for roles, never for an index.

    CLASS reads the others and is read out; DISTILLATION is a second class token with a teacher's label; REGISTER is a
    learned scratch token that is never read out; PROMPT is an instruction put before a text; CONTENT is a patch or a
    word piece; END is [SEP] or EOS; PAD fills a batch and is never looked at.
    """

    PAD = 0
    CLASS = 1
    DISTILLATION = 2
    REGISTER = 3
    PROMPT = 4
    CONTENT = 5
    END = 6


#: What `mean`, `max` and others like them pool over. Images: patches only. Texts: every role but PAD.
IMAGE_POOLED = frozenset({Role.CONTENT})
TEXT_POOLED = frozenset(Role) - {Role.PAD}


@dataclass(frozen=True)
class Layout:
    """The roles of a model's tokens in order, and for images the patch grid.

    `runs` are (role, count) pairs; a count of None is "as many as the text has". The run of CONTENT tokens has
    `grid[0] * grid[1]` tokens when there is a grid. `str()` prints `1 class + 4 register + 14x14 patch = 201`.
    """

    runs: tuple[tuple[Role, int | None], ...]
    """role and count, in order; no count: as many as the text has"""
    grid: tuple[int, int] | None = None
    """rows and columns of patches"""

    @property
    def length(self) -> int | None:
        """Number of tokens, or None where it depends on the text."""
        counts = [count for _, count in self.runs]
        return None if None in counts else sum(c for c in counts if c is not None)

    def count(self, role: Role) -> int:
        """Tokens of one role; CONTENT of open length counts 0."""
        return sum(count or 0 for r, count in self.runs if r == role)

    def roles(self) -> tuple[Role, ...]:
        """One role per token. Raises ValueError for a layout of open length (texts)."""
        if self.length is None:
            raise ValueError(f"the layout '{self}' has no fixed length")
        return tuple(role for role, count in self.runs for _ in range(count or 0))

    def __str__(self) -> str:
        words = {Role.CONTENT: "patch" if self.grid else "word piece", Role.END: "end"}
        parts = []
        for role, count in self.runs:
            word = words.get(role, role.name.lower())
            if role == Role.CONTENT and self.grid:
                parts.append(f"{self.grid[0]}x{self.grid[1]} {word}")
            else:
                parts.append(f"{'n' if count is None else count} {word}")
        total = "" if self.length is None else f" = {self.length}"
        return " + ".join(parts) + total


@dataclass(frozen=True, kw_only=True)
class InputDefaults:
    """How the authors of a kind of model prepare its inputs, where the files of a folder do not say so."""

    image: Mapping[str, Any] = field(default_factory=dict)
    """settings of preprocessor_config.json in its own keys, `image_processor_type` above all; empty: not known"""
    tokenizer: str = ""
    """the class of transformers that reads tokenizer.json where tokenizer_config.json names none"""
    tokenizer_alone: bool = False
    """tokenizer.json says all: no other file of the tokenizer's is read, and texts are cut where it cuts them"""
    tokenizer_fixed: bool = False
    """transformers takes that class whatever tokenizer_config.json names, as it has found files of the kind wrong"""
    tokenizer_anew: bool = False
    """the parts of the tokenizer are those that its class makes, not those in tokenizer.json"""
    longest: int | None = None
    """most tokens of a text; None: no limit is known"""
    lower_case: bool = False
    """texts were in lower case in training, and the tokenizer does not see to that"""
    pads_attended: bool = False
    """texts are padded to the longest length, and padding is read like any token"""
    pad_id: int | None = None
    """what a text is padded with, whatever the tokenizer calls its padding"""
    separator_zeroed: bool = False
    """the separator behind a text is put in as the number 0 (CLIPA)"""
    cleaning: Literal["", "whitespace", "lower", "canonicalize"] = ""
    """what open_clip does to a text before its tokenizer, see `tokens.text_recipe.tidied`"""
    special_split: bool = False
    """a special token that a text spells is cut into pieces like any word"""
    bare: bool = False
    """no special tokens are put around a text"""
    end: Literal["template", "first", "highest"] = "template"
    """which token closes a text, see `tokens.text_recipe.TextRecipe`"""
    end_id: int | None = None
    tokenizer_notes: Mapping[str, str] = field(default_factory=dict)
    """class of a tokenizer that a folder may name -> what to mind then"""


NO_DEFAULTS = InputDefaults()
"""nothing is known besides the files"""


def writable(text: str) -> str:
    """A text that every file can hold: half characters (lone surrogates) are shown as escapes, as `\\ud83d`."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def written_path(text: str) -> Path:
    """The file that a path names which was made `writable`: bytes of its name that are not UTF-8 stand there as
    escapes."""
    path = Path(text)
    if "\\udc" not in text or path.exists():  # what is called so outright
        return path
    return Path(re.sub(r"\\u(dc[89a-f][0-9a-f])", lambda escape: chr(int(escape[1], 16)), text))


@dataclass(frozen=True)
class Content:
    """What a record's vector is made of, as a hash; of an image file also its size and its time (-1 elsewhere), and
    where its record's id does not say which file it is, a number that stands for its path."""

    hash: bytes
    size: int = -1
    time: int = -1
    where: int = 0


@dataclass(frozen=True)
class Record:
    """One thing to embed: an id, a text or an image, and what comes with it.

    `image` is a path or the encoded bytes of a file; decoding is left to the stage that needs pixels. `label` holds
    several labels as a tuple. `meta` are the columns to carry through. `content` is what a run that keeps account of
    its records knows it by. Id, label and group are `writable`.
    """

    id: str
    text: str | None = None
    image: Path | bytes | None = None
    label: str | tuple[str, ...] | None = None
    group: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    content: Content | None = None

    def __post_init__(self) -> None:
        label = self.label
        object.__setattr__(self, "id", writable(self.id))
        if label is not None:
            object.__setattr__(self, "label", writable(label) if isinstance(label, str) else (*map(writable, label),))
        if self.group is not None:
            object.__setattr__(self, "group", writable(self.group))

    def known_as(self, content: Content | None) -> "Record":
        """The same record with its content; what was checked when it was made is not checked again."""
        known = copy(self)
        object.__setattr__(known, "content", content)
        return known


@dataclass(frozen=True, kw_only=True)
class Chunk(Record):
    """A piece of a record's text that is a row of its own: whose, which one, and where it begins and ends (characters).

    `around` is the text that it is read in, and `inside` where it stands there.
    """

    record: str
    chunk: int
    begin: int
    end: int
    around: str
    inside: tuple[int, int]


@dataclass(frozen=True)
class Rejected:
    """A record that gives no vector, and why: a row of `quarantine.parquet`.

    The reason does not name the record, and has no full stop: it stands behind `ID: `.
    """

    id: str
    reason: str
    """why it gives none"""
    passing: bool = False
    """whether that lies around the record (rights, a file that is not there yet, a store): it may be read another time
    without being another one"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", writable(self.id))
        object.__setattr__(self, "reason", writable(self.reason))


#: A record and its place among those that are at hand.
Indexed = tuple[int, Record]
#: Called with the place of a record that gives nothing, and why.
Reject = Callable[[int, Rejected], object]


@dataclass(frozen=True)
class Task:
    """A run of records in one file of a source: the unit of work, of output and of resuming.

    `start` and `stop` count records within the file `shard`, `first` is the number of the first one in the whole
    source, and `offset` where it begins (bytes of a text file or archive; the record's own number elsewhere). `stamp`
    is a hash of all that its records are read from; nothing where that is not known without reading them.
    """

    number: int
    """its own, from 0"""
    shard: str
    """file of the source"""
    start: int
    """its first record, counted in that file"""
    stop: int
    """the record behind its last one"""
    first: int
    """its first record, counted in the whole source"""
    offset: int
    """where that begins in the file"""
    stamp: str = ""
    """hash of what its records are read from"""

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Progress:
    """How far a job is: what every verb hands to `report`, as often as it likes.

    `done` and `total` count records, or steps of a training; `before` of them were done by earlier runs and do not
    count in the rate. `tokens` were read by this run, where that is known. `what` names the part of the job where it
    has several; `note` is a word or two on how it goes.
    """

    done: int
    total: int
    before: int = 0
    refused: int = 0
    seconds: float = 0.0
    what: str = ""
    note: str = ""
    tokens: int = 0

    @property
    def rate(self) -> float:
        """Records or steps a second, of this run."""
        return (self.done - self.before) / self.seconds if self.seconds > 0 else 0.0

    @property
    def token_rate(self) -> float:
        """Tokens a second, of this run."""
        return self.tokens / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds that are left at this rate; None while there is none."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None
