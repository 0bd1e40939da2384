"""Texts -> `Tokens`: the checkpoint's own tokenizer, its prompts and limits, and a role for every token."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from classtoken.errors import BadRecord, ModelError, OptionError
from classtoken.fingerprint import hash_value
from classtoken.model_folder import Watched, changed
from classtoken.plain import encode
from classtoken.tensors import Tokens
from classtoken.tokens.batching import Side, batches_by_length, pad
from classtoken.tokens.beginnings import ids_kept
from classtoken.tokens.text_recipe import TextRecipe, origins, processor_settings, read_calls, read_text_recipe
from classtoken.tokens.wordpieces import (
    Tokenizer,
    hands_kinds_over,
    more_special,
    names_of_special,
    open_tokenizer,
    read_settings,
    special_tokens,
    tokenizer_folder,
)
from classtoken.values import NO_DEFAULTS, TEXT_POOLED, InputDefaults, Layout, Role

#: Tokens of a batch; benchmarks/embed.py --budgets compares others.
TOKEN_BUDGET = 2048
#: Texts among which those of like length are found.
WINDOW = 2048


@dataclass(frozen=True, slots=True)
class TextRow:
    """One prepared text: ids and roles (equal length), and how many tokens did not fit into the model."""

    ids: np.ndarray
    roles: np.ndarray
    cut: int = 0

    def __len__(self) -> int:
        return len(self.ids)


class TextPreprocessor:
    """Tokenizes as the authors did, cuts what is too long and says so, and gives every token its role.

    Roles: the special tokens before the text are what the layout says (CLASS for BERT's [CLS]; CONTENT for the <bos> of
    a family without a class token), those behind it END, but for a class token that stands there (XLNet's). Tokens of a
    prompt, and a CONTENT <bos> before it, are PROMPT.
    `encode` (rows; no batch) and `collate` (a batch) are the two halves of a call.

    Text that spells a special token ("[SEP]", "<|endoftext|>") becomes that token's id, as it does in the reference.
    """

    modality = "text"
    at_once = WINDOW

    def __init__(
        self,
        tokenizer: Tokenizer,
        recipe: TextRecipe,
        *,
        leading: Sequence[Role] = (),
        pad_id: int = 0,
        vocabulary: int | None = None,
    ):
        before, behind = tokenizer.ends
        if recipe.max_length is not None and recipe.max_length <= before + behind:
            raise OptionError(
                f"a longest text of {recipe.max_length} tokens leaves no room for text: {before + behind} are special."
            )
        self.tokenizer = tokenizer
        self.recipe = recipe
        self.pad_id = pad_id
        self.vocabulary = vocabulary
        self.leading = tuple(leading)[:before] + (Role.CONTENT,) * (before - len(leading))
        self.trailing: tuple[Role, ...] = (Role.END,) * behind
        self.kinds: tuple[int, ...] = ()
        """kinds of tokens (`token_type_ids`) that the tokenizer hands over with a text, where it does"""
        self.special: frozenset[int] = frozenset()
        """ids of the tokens that the tokenizer's settings call special"""

    @classmethod
    def from_folder(
        cls,
        folder: Path | str,
        layout: Layout | None = None,
        *,
        positions: int | None = None,
        vocabulary: int | None = None,
        usual: InputDefaults = NO_DEFAULTS,
        max_length: int | None = None,
    ) -> "TextPreprocessor":
        """Read tokenizer and settings from a model folder (Hugging Face, sentence-transformers, open_clip).

        `layout` says which roles the leading special tokens have; without one, the cls_token around a text is CLASS.
        `positions` is how many the encoder has, `vocabulary` how many word pieces; `usual` is what models of this kind
        do where the files are silent; `max_length` is taken in the place of the files' limit. Raises `ModelError`
        for broken or missing files, `UnsafeCheckpoint` for a tokenizer that is code, `OptionError` for a limit above
        the positions.
        """
        folder = Path(folder)
        inner = tokenizer_folder(folder)
        overruled = Watched() if usual.tokenizer_alone else processor_settings(inner)
        settings = changed({} if usual.tokenizer_alone else read_settings(inner), overruled)
        recipe = read_text_recipe(folder, settings, positions=positions, usual=usual)
        if max_length is not None:
            recipe = recipe.limited(max_length, usual.longest if positions is None else positions)
        tokenizer = open_tokenizer(
            inner,
            settings,
            lower_case=recipe.lower_case,
            usual=usual,
            bare=usual.bare or not read_calls(inner).special,
            zeroed=usual.separator_zeroed,
        )
        if not settings.get("truncation_side") and tokenizer.cut_side in ("left", "right"):
            recipe = replace(recipe, cut_side="left" if tokenizer.cut_side == "left" else "right")
        if usual.tokenizer_alone and max_length is None and tokenizer.cut_at is not None:
            recipe = replace(recipe, max_length=tokenizer.cut_at, max_length_source="truncation in tokenizer.json")
        _check_end(recipe, tokenizer)
        special = special_tokens(settings)
        # transformers takes these two out of a tokenizer's own file, and follows them where they are handed over
        overruled.asked.update(settings.asked - {"add_bos_token", "add_eos_token"})
        known = {name: tokenizer.id_of(token) for name, token in special.items()}
        pad_id = known.get("pad_token") if usual.pad_id is None else usual.pad_id
        leading, trailing = _around(tokenizer, settings, usual)
        if layout is not None:
            leading, trailing = _leading(layout), ()
        made = cls(tokenizer, recipe, leading=leading, pad_id=0 if pad_id is None else pad_id, vocabulary=vocabulary)
        made.trailing = trailing or made.trailing
        called = (tokenizer.id_of(token) for token in (*special.values(), *more_special(settings)))
        made.special = frozenset(i for i in called if i is not None)
        made.kinds = tokenizer.kinds if hands_kinds_over(settings, usual) else ()
        return made

    @property
    def begins_unnamed(self) -> bool:
        """Whether a token is put before every text that no file gives a name (cls_token, bos_token), and no other that
        is put there is called the class token."""
        nameless = bool(self.leading) and self.tokenizer.ids(["a"])[0][0] not in self.special
        return nameless and Role.CLASS not in (*self.leading, *self.trailing)

    @property
    def layout(self) -> Layout:
        """Roles in order, as texts come out; the number of word pieces is open."""
        ends = ((role, len(list(run))) for role, run in groupby(self.trailing))
        return Layout((*((role, 1) for role in self.leading), (Role.CONTENT, None), *ends))

    def name_of(self, item: Any, place: int) -> str:
        """A text by its number."""
        return f"text {place}"

    def describe(self) -> str:
        """One line for people."""
        return self.recipe.describe()

    def advice(self) -> tuple[str, ...]:
        """Oddities to know, one sentence each."""
        return self.recipe.notes + self.tokenizer.notes

    def pooled_roles(self, prompt: str | None = None) -> frozenset[Role]:
        """Which roles the authors' mean reads: every one but PAD; with include_prompt false, not the prompt either.

        sentence-transformers then leaves out everything up to the prompt's end, a class token before it as well.
        """
        if self.recipe.include_prompt or not self.prompt_text(prompt):
            return TEXT_POOLED
        before = {Role.CLASS} if Role.CLASS in self.leading else set()
        return TEXT_POOLED - {Role.PROMPT, *before}

    def identity(self) -> list[Any]:
        """What decides the ids and roles, as plain values; not which file said so, nor which prompts there are."""
        recipe = replace(self.recipe, max_length_source="", notes=(), prompts={}, default_prompt=None)
        leading = [role.name for role in self.leading]
        if Role.CLASS in self.trailing:
            leading += ["", *(role.name for role in self.trailing)]
        plain = encode(recipe)
        if not recipe.cleaning:
            del plain["cleaning"]  # what vectors of other models were made with keeps the name that it had before
        return [plain, hash_value(self.tokenizer.content()), leading, self.pad_id]

    def prompt_text(self, prompt: str | None) -> str:
        """The text put before every text: a named prompt, a literal one, or (for None) the checkpoint's default."""
        if prompt is None:
            return self.recipe.prompts.get(self.recipe.default_prompt or "", "")
        return self.recipe.prompts.get(prompt, prompt)

    def encode(self, texts: Sequence[str], *, prompt: str | None = None) -> list[TextRow]:
        """Texts -> rows, cut to the longest text but not padded.

        Raises `BadRecord` for what is not text, holds half a character (a lone surrogate), or is empty for a tokenizer
        that adds no token of its own; its name is `text` and the row's number. Raises `OptionError` for a prompt that
        leaves no room for a text.
        """
        before = self.prompt_text(prompt)
        self._check_prompt(before)
        whole = [before + checked(text, row) for row, text in enumerate(texts)]
        prompted = self._prompt_tokens(before) if before else 0
        # Of a text whose end is cut, no more is read than is kept; the count of what was cut is then a lower bound.
        most = self.recipe.max_length if self.recipe.cut_side == "right" else None
        found = ids_kept(whole, lambda some: self.tokenizer.ids([self.recipe.clean(text) for text in some]), most)
        return [self._row(ids, prompted, row) for row, ids in enumerate(found)]

    def row_of_ids(self, ids: Sequence[int], *, prompt: str | None = None) -> TextRow:
        """Ids of this tokenizer's -> a row: of the text alone, or with the special tokens that the tokenizer puts
        before and behind a text; a prompt is put in as tokens of its own. Raises `BadRecord` as `encode` does."""
        before, behind = self.tokenizer.ends
        around = self.tokenizer.ids(["a"])[0]
        lead, trail = around[:before], around[len(around) - behind :]
        whole = list(ids)
        if len(whole) >= before + behind and whole[:before] == lead and whole[len(whole) - behind :] == trail:
            whole = whole[before : len(whole) - behind]
        words = self.prompt_text(prompt)
        self._check_prompt(words)
        first = self.tokenizer.ids([self.recipe.clean(words)])[0] if words else []
        first = first[before : len(first) - behind]
        return self._row([*lead, *first, *whole, *trail], before + len(first) if first else 0, 0)

    def ready(self, items: Sequence[str], *, prompt: str | None = None) -> list[TextRow]:
        """`encode` under the name that all preprocessors share."""
        return self.encode(items, prompt=prompt)

    def batches(
        self, rows: Iterable[tuple[int, TextRow]], *, most_rows: int | None = None
    ) -> Iterator[tuple[list[int], Tokens]]:
        """Rows of like length together, at most `TOKEN_BUDGET` tokens a batch; within windows of `WINDOW` rows."""
        left = iter(rows)
        while window := list(islice(left, WINDOW)):
            lengths = [self.recipe.pad_to or len(row) for _, row in window]
            for chosen in batches_by_length(lengths, TOKEN_BUDGET, most_rows=most_rows):
                here = [window[index] for index in chosen]
                yield [place for place, _ in here], self.collate([row for _, row in here])

    def collate(self, rows: Sequence[TextRow], *, side: Side | None = None) -> Tokens:
        """Rows -> one padded batch, on the authors' side unless `side` says otherwise."""
        side = side or self.recipe.pad_side
        filler = Role.CONTENT if self.recipe.pads_attended else Role.PAD
        ids_BL, roles_BL = (
            torch.from_numpy(pad(arrays, value, side=side, length=self.recipe.pad_to))
            for arrays, value in (([row.ids for row in rows], self.pad_id), ([row.roles for row in rows], int(filler)))
        )
        return Tokens(roles_BL=roles_BL, ids_BL=ids_BL, cut=tuple(row.cut for row in rows))

    def __call__(self, texts: Iterable[str], *, prompt: str | None = None) -> Tokens:
        """Texts -> one batch; `Tokens.cut` counts what did not fit. Raises `BadRecord` at the first bad text."""
        return self.collate(self.encode(list(texts), prompt=prompt))

    def words(self, text: str, *, prompt: str | None = None) -> list[str]:
        """The tokens of one text as strings, for people to read."""
        return self.tokenizer.words(self.encode([text], prompt=prompt)[0].ids.tolist())

    def spans(self, text: str, *, prompt: str | None = None) -> list[tuple[int, int] | None]:
        """Where each token stands in `text`: (begin, end) in characters, None for special tokens and the prompt.

        Empty spans become None. Raises `OptionError` where the tokenizer cannot tell, or the text is rewritten first.
        """
        before = self.prompt_text(prompt)
        found = self._places(before + checked(text, 0))
        if found is None:
            raise OptionError("this tokenizer cannot say where in the text a token stands; ask for words() instead.")
        kept = self._kept(len(found))
        shifted = [(max(begin - len(before), 0), end - len(before)) for begin, end in (found[place] for place in kept)]
        return [(begin, end) if end > begin else None for begin, end in shifted]

    def length(self, text: str, *, prompt: str | None = None) -> int:
        """Tokens of a whole text with its prompt and the special ones, nothing cut. Raises `BadRecord` as `encode`."""
        return len(self.tokenizer.ids([self.recipe.clean(self.prompt_text(prompt) + checked(text, 0))])[0])

    def content_spans(self, text: str) -> list[tuple[int, int]]:
        """Where each word piece of the whole text stands, in characters, without the special tokens; nothing is cut.

        Raises `OptionError` as `spans` does, and `BadRecord` for what is no text.
        """
        found = self._places(checked(text, 0))
        if found is None:
            raise OptionError("this tokenizer cannot say where in the text a token stands, so it cannot be cut there.")
        before, behind = self.tokenizer.ends
        content = found[before : len(found) - behind]
        return [(begin, end) for begin, end in content if end > begin]

    def _places(self, text: str) -> list[tuple[int, int]] | None:
        """Where each token of the whole text begins and ends in it; None where that is not known."""
        if self.recipe.rewritten:
            return None
        cleaned = self.recipe.clean(text)
        found = self.tokenizer.spans(cleaned)
        if found is None or cleaned == text:
            return found
        at = origins(text, self.recipe.cleaning)
        return [(at[begin], at[end - 1] + 1) if end > begin else (0, 0) for begin, end in found]

    def room(self, prompt: str | None = None) -> int | None:
        """Word pieces of a text that are read, besides the special tokens and the prompt; None for any number."""
        return self._room(self.prompt_text(prompt))

    def _room(self, words: str) -> int | None:
        if self.recipe.max_length is None:
            return None
        before, behind = self.tokenizer.ends
        prompted = len(self.tokenizer.ids([self.recipe.clean(words)])[0]) - behind if words else 0
        return self.recipe.max_length - max(before, prompted) - behind

    def _check_prompt(self, words: str) -> None:
        """Refuse a prompt behind which nothing of a text is left when its end is cut: all texts would be one vector."""
        room = self._room(words) if words and self.recipe.cut_side == "right" else None
        if room is not None and room <= 0:
            raise OptionError(
                f"the prompt {words[:40]!r}{'...' if len(words) > 40 else ''} fills the {self.recipe.max_length} "
                "tokens that the model takes, so nothing of a text would be read and all would have one vector; give "
                "a shorter prompt, or a larger `max_length`."
            )

    def _kept(self, length: int) -> list[int]:
        """Places of a row that are left when its middle is cut to the longest text; special tokens always stay."""
        most = self.recipe.max_length
        places = list(range(length))
        if most is None or length <= most:
            return places
        before, behind = self.tokenizer.ends
        room = most - before - behind
        content = places[before : length - behind]
        content = content[-room:] if self.recipe.cut_side == "left" else content[:room]
        return places[:before] + content + places[length - behind :]

    def _row(self, whole: list[int], prompted: int, row: int) -> TextRow:
        if not whole:
            raise BadRecord(
                "it is empty, and this tokenizer adds no token of its own, so there is none; leave it out",
                f"text {row}",
            )
        ids = np.array(whole, dtype=np.int64)
        if self.vocabulary is not None and (ids.max() >= self.vocabulary or ids.min() < 0):
            strange = int(ids[(ids >= self.vocabulary) | (ids < 0)][0])
            raise BadRecord(
                f"the token {self.tokenizer.words([strange])[0]!r} (number {strange}) has no row in this model's table "
                f"of {self.vocabulary} word pieces: its tokenizer knows more than it does; take it out of the text",
                f"text {row}",
            )
        if self.recipe.max_length is not None and len(whole) > self.recipe.max_length:
            ids = ids[self._kept(len(whole))]
        return TextRow(ids, self._roles(ids, prompted), len(whole) - len(ids))

    def _roles(self, ids: np.ndarray, prompted: int) -> np.ndarray:
        before, behind = self.tokenizer.ends
        roles = np.full(len(ids), int(Role.CONTENT), dtype=np.int64)
        roles[:before] = self.leading
        if behind:
            roles[-behind:] = self.trailing
        # where a prompt is not pooled, its count of tokens stands above what they are
        of_prompt = (Role.CONTENT,) if self.recipe.include_prompt else (Role.CONTENT, Role.END)
        roles[:prompted][np.isin(roles[:prompted], of_prompt)] = int(Role.PROMPT)
        if self.recipe.end != "template":
            wanted = ids.max() if self.recipe.end == "highest" else self.recipe.end_id
            found = np.flatnonzero(ids == wanted)
            if len(found):  # the pooled token: the first of them, also when the text spells one
                roles[roles == Role.END] = int(Role.CONTENT)
                roles[found[0]] = int(Role.END)
        return roles

    def _prompt_tokens(self, before: str) -> int:
        """Tokens at the start of a row that belong to the prompt, counted on the prompt alone.

        As in sentence-transformers it is cut like a text and one special token at its end is not counted, whoever put
        it there; a piece of the text may merge with the prompt's last piece.
        """
        ids = self.tokenizer.ids([self.recipe.clean(before)])[0]
        kept = self._kept(len(ids))
        closed = self.tokenizer.ends[1] > 0 or ids[kept[-1]] in self.special
        return len(kept) - closed


def _check_end(recipe: TextRecipe, tokenizer: Tokenizer) -> None:
    """Raise `ModelError` where the token whose state is the vector stands in no text."""
    around = tokenizer.ids([""])[0]
    if recipe.end == "first" and around and recipe.end_id not in around:
        words = ", ".join(f"{name} ({i})" for name, i in zip(tokenizer.words(around), around, strict=True))
        raise ModelError(
            f"the vector of a text is that of token {recipe.end_id} (eos_token_id of config.json), and its tokenizer "
            f"puts it into no text: it puts {words} around one. transformers would read each text's first token. "
            "Correct eos_token_id, or copy the tokenizer that the model was trained with."
        )


def checked(text: str, row: int) -> str:
    """The text, if it is one. Raises `BadRecord` for other types and for lone surrogates."""
    if not isinstance(text, str):
        raise BadRecord(
            f"a value of type {type(text).__name__} is not a text; leave it out or write it as one", f"text {row}"
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadRecord(
            f"half a character (a lone surrogate, {text[error.start]!a}) stands at {error.start}; clean the text with "
            "text.encode('utf-8', 'replace').decode()",
            f"text {row}",
        ) from error
    return text


def _around(
    tokenizer: Tokenizer, settings: Mapping[str, Any], usual: InputDefaults
) -> tuple[Sequence[Role], tuple[Role, ...]]:
    """Roles of the special tokens that stand before and behind every text; the class token is the one that is called
    so, by the settings or, where they are silent, by the class that reads them.
    """
    named = {name: tokenizer.id_of(token) for name, token in names_of_special(settings, usual).items()}
    before, behind = tokenizer.ends
    around = tokenizer.ids(["a"])[0]
    called = named.get("cls_token")
    if called in around[:before]:
        return [Role.CONTENT] * around.index(called) + [Role.CLASS], ()
    ends = (named.get("sep_token"), named.get("eos_token"))
    tail = around[len(around) - behind :] if called not in ends else []
    return [], tuple(Role.CLASS if one == called else Role.END for one in tail)


def _leading(layout: Layout) -> list[Role]:
    """Roles of the tokens that a layout puts before its open run of word pieces."""
    roles: list[Role] = []
    for role, count in layout.runs:
        if count is None:
            break
        roles += [role] * count
    return [role for role in roles if role not in (Role.END, Role.PAD)]
