"""How texts are prepared, as plain values read from a model folder; without torch."""

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from classtoken.errors import ModelError, OptionError
from classtoken.model_folder import Watched, read_encoder_settings, read_json, read_prompts, whole
from classtoken.tokens.wordpieces import class_name, tokenizer_folder
from classtoken.values import NO_DEFAULTS, InputDefaults

NO_LIMIT = 1_000_000
"""transformers writes 10^30 as model_max_length where it knows none"""
CANONICAL, LOWERING = "SiglipTokenizer", "Siglip2Tokenizer"
"""tokenizer classes that rewrite a text before they cut it into pieces"""
WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
PAD_LEFT = ("GemmaTokenizer", "Siglip2Tokenizer", "XLNetTokenizer", "LlamaTokenizer")


@dataclass(frozen=True, kw_only=True)
class TextRecipe:
    """Longest text, padding, prompts, and which token closes a text.

    `end` says which token gets the role END: "template", what the tokenizer puts behind every text; "first", the first
    occurrence of `end_id` (CLIP); "highest", the first occurrence of the highest id in the row (CLIP's older rule, for
    configs whose `eos_token_id` is 2). `pads_attended`: the encoder was trained to see its padding (SigLIP's text
    side), so fixed padding gets the role CONTENT.
    """

    max_length: int | None = None
    max_length_source: str = "no limit is known"
    pad_side: Literal["left", "right"] = "right"
    pad_to: int | None = None
    pads_attended: bool = False
    cut_side: Literal["left", "right"] = "right"
    lower_case: bool = False
    canonical: bool = False
    """SigLIP: lower case, without punctuation, single spaces"""
    cleaning: Literal["", "whitespace", "lower", "canonicalize"] = ""
    """what open_clip does before all, see `tidied`"""
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    include_prompt: bool = True
    end: Literal["template", "first", "highest"] = "template"
    end_id: int | None = None
    notes: tuple[str, ...] = ()

    def describe(self) -> str:
        """One line for people: `at most 256 tokens (max_seq_length in sentence_bert_config.json), padded right`."""
        limit = "no longest text" if self.max_length is None else f"at most {self.max_length} tokens"
        parts = [f"{limit} ({self.max_length_source})"]
        parts.append(f"always padded to {self.pad_to}" if self.pad_to else f"padded {self.pad_side}")
        if self.pads_attended:
            parts.append("padding is attended to")
        if self.rewritten:
            parts.append("lower case without punctuation")
        elif self.lower_case or self.cleaning == "lower":
            parts.append("lower case")
        if self.prompts:
            shown = ", ".join(f"{name} {text!r}" for name, text in self.prompts.items())
            parts.append(f"prompts: {shown}" + (f" (default {self.default_prompt})" if self.default_prompt else ""))
            if not self.include_prompt:
                parts.append("prompt tokens are not pooled")
        return ", ".join(parts)

    def limited(self, most: int, room: int | None) -> "TextRecipe":
        """The same recipe with at most `most` tokens, whatever its files say.

        Raises `OptionError` for more than `room`, the positions that the encoder has or was trained for.
        """
        if most < 1 or (room is not None and most > room):
            limit = "" if room is None else f" and at most {room}, the positions of this model"
            raise OptionError(f"`max_length` {most} must be at least 1{limit}.")
        fixed = None if self.pad_to is None else most
        return replace(self, max_length=most, max_length_source="asked for", pad_to=fixed)

    def clean(self, text: str) -> str:
        """What is done before the tokenizer sees the text (open_clip's, SigLIP's; nothing for others)."""
        text = tidied(text, self.cleaning)
        if not self.canonical:
            return text
        return " ".join(text.lower().translate(WITHOUT_PUNCTUATION).split())

    @property
    def rewritten(self) -> bool:
        """Whether signs are left out of a text, so that no token's place in it is known."""
        return self.canonical or self.cleaning == "canonicalize"


def tidied(text: str, cleaning: str) -> str:
    """A text as open_clip's `clean` leaves it, but for its repairs (see the note): single spaces (`whitespace`), in
    lower case besides (`lower`), without punctuation too (`canonicalize`: an underscore is a space then)."""
    if not cleaning:
        return text
    if cleaning == "canonicalize":
        text = text.replace("_", " ").translate(WITHOUT_PUNCTUATION)
    return " ".join((text if cleaning == "whitespace" else text.lower()).split())


def origins(text: str, cleaning: str) -> list[int]:
    """For each character of `tidied(text, cleaning)` its place in `text`; of no use for `canonicalize`."""
    if not cleaning:
        return list(range(len(text)))
    found: list[int] = []
    for word in re.finditer(r"\S+", text):
        found += [word.start() - 1] * bool(found)  # the blank before it
        for place in range(*word.span()):
            found += [place] * (1 if cleaning == "whitespace" else len(text[place].lower()))
    return found


def read_text_recipe(
    folder: Path | str,
    settings: Mapping[str, Any],
    *,
    positions: int | None = None,
    usual: InputDefaults = NO_DEFAULTS,
) -> TextRecipe:
    """The authors' text preprocessing. `settings` is tokenizer_config.json; `positions`: how many the encoder has;
    `usual`: what models of this kind do where the files are silent.

    The longest text: max_seq_length of sentence-transformers, else the tokenizer's model_max_length, and never more
    than the positions. Of a folder whose tokenizer.json says all (`tokenizer_alone`) nothing but its prompts is read.
    Raises `ModelError` for broken files.
    """
    folder = Path(folder)
    inner, prompts = tokenizer_folder(folder), read_prompts(folder)
    asked = TextRecipe(prompts=prompts.texts, default_prompt=prompts.default, include_prompt=prompts.include)
    name = class_name(settings, usual)
    if usual.tokenizer_alone:
        return replace(asked, pad_side=_side(inner, settings, name))
    config = read_json(inner / "config.json") or read_json(folder / "config.json") or {}
    open_clip = ((read_json(folder / "open_clip_config.json") or {}).get("model_cfg") or {}).get("text_cfg") or {}
    stored, calls, overruled = read_encoder_settings(inner), read_calls(inner), processor_settings(inner)
    limits = {
        "max_length in sentence_bert_config.json": calls.longest,
        "model_max_length in sentence_bert_config.json": overruled.get("model_max_length"),
        "max_seq_length in sentence_bert_config.json": stored.get("max_seq_length"),
        "context_length in open_clip_config.json": open_clip.get("context_length", 77) if open_clip else None,
        "model_max_length in tokenizer_config.json": settings.get("model_max_length"),
    }
    max_length, source = _limit(limits if calls.cut else {}, usual.longest if positions is None else positions)
    if calls.filled and not prompts.include:
        raise ModelError(
            f"sentence_bert_config.json of '{inner}' fills up every text (padding or pad_to_multiple_of in "
            "processing_kwargs), and prompts are not pooled (include_prompt): sentence-transformers then counts what "
            "fills up as the prompt's and leaves texts out. Take one of the two out."
        )
    return replace(
        asked,
        max_length=max_length,
        max_length_source=source,
        pad_side=_side(inner, settings, name),
        pad_to=max_length if usual.pads_attended else None,
        pads_attended=usual.pads_attended,
        cut_side=settings.get("truncation_side") or "right",
        lower_case=bool(stored.get("do_lower_case")) or usual.lower_case or name == LOWERING,
        canonical=name == CANONICAL,
        cleaning=usual.cleaning,
        end=usual.end,
        end_id=usual.end_id,
        notes=_notes(usual.tokenizer_notes.get(name), bool(open_clip) and not config.get("model_type")),
    )


@dataclass(frozen=True)
class TokenizerCalls:
    """How sentence-transformers calls the tokenizer, where its file says it (`processing_kwargs`)."""

    longest: int | None = None
    cut: bool = True
    special: bool = True
    filled: bool = False
    """rows are filled up further than to the longest of a batch"""


#: Arguments of a tokenizer's call that move padding about, which nothing reads.
NOT_READ = ("padding", "padding_side", "pad_to_multiple_of", "return_tensors", "return_attention_mask", "verbose")


def read_calls(inner: Path) -> TokenizerCalls:
    """Raises `ModelError` for arguments that are not known here: they might change the tokens."""
    groups = read_encoder_settings(inner).get("processing_kwargs") or {}
    given = {**whole(groups.get("common") or {}), **whole(groups.get("text") or {})}
    unknown = [name for name in given if name not in ("max_length", "truncation", "add_special_tokens", *NOT_READ)]
    if unknown:
        raise ModelError(
            f"sentence_bert_config.json of '{inner}' calls the tokenizer with {unknown[0]} = {given[unknown[0]]!r}, "
            "which is not known here. Take it out of processing_kwargs if it changes no token."
        )
    return TokenizerCalls(
        given.get("max_length"),
        given.get("truncation", True) not in (False, "do_not_truncate"),
        bool(given.get("add_special_tokens", True)),
        given.get("padding") == "max_length" or bool(given.get("pad_to_multiple_of")),
    )


def processor_settings(inner: Path) -> Watched:
    """What sentence-transformers hands to the tokenizer's class, over its own file: new key and old."""
    stored = read_encoder_settings(inner)
    found = stored.get("processor_kwargs") or stored.get("tokenizer_args") or {}
    return found if isinstance(found, Watched) else Watched(found)


def _limit(limits: Mapping[str, Any], positions: int | None) -> tuple[int | None, str]:
    for source, value in limits.items():
        if isinstance(value, int | float) and 0 < value < NO_LIMIT:
            if positions is not None and value > positions:
                break
            return int(value), source
    return (None, "no limit is known") if positions is None else (positions, "positions of the encoder")


def _notes(of_tokenizer: str | None, open_clip: bool) -> tuple[str, ...]:
    repairs = "open_clip also repairs wrongly encoded text (ftfy) and HTML entities; this is not done"
    return tuple(note for note in (of_tokenizer, repairs if open_clip else None) if note)


def _side(inner: Path, settings: Mapping[str, Any], name: str) -> Any:
    """tokenizer_config.json, else what tokenizer.json stores, else the habit of the tokenizer's class."""
    if settings.get("padding_side") in ("left", "right"):
        return settings["padding_side"]
    stored = (read_json(inner / "tokenizer.json") or {}).get("padding") or {}
    if stored.get("direction"):
        return stored["direction"].lower()
    return "left" if name in PAD_LEFT else "right"
