"""What transformers' tokenizer classes make of a tokenizer.json, where that is known: the parts that stand in the file?

transformers 5 takes vocabulary, merges and template out of the file and makes the other parts anew, by the class's own
code and the flags in tokenizer_config.json; version 4 took them from the file. Where both come to the same, the class's
name says nothing more. (`transformers/models/*/tokenization_*.py`)
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Settings = Mapping[str, Any]
Parts = list[dict[str, Any]]
ENDS = ("cls_token", "sep_token")
#: A character that no vocabulary has: a Unigram model gives its own unknown piece for it.
STRANGE = "\U0010fffe"
SPACES = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
WORDS = {"type": "WhitespaceSplit"}


@dataclass(frozen=True)
class Pipeline:
    """What a class makes: the model's flags besides its pieces, and the parts before it, by the settings."""

    model: str
    normalizer: Callable[[Settings], Parts]
    pre_tokenizer: Callable[[Settings], Parts]
    flags: Mapping[str, Any] = field(default_factory=dict)
    ends: tuple[tuple[str, ...], tuple[str, ...]] | None = (("cls_token",), ("sep_token",))
    """names of the special tokens before and behind a text; None for those of the file's own template"""
    special: Mapping[str, str] = field(default_factory=dict)
    """special tokens where the settings are silent: the class adds these then"""
    unknown: int | None = None
    """where the unknown piece stands"""
    more: Callable[[Settings], list[str]] = lambda settings: []
    """special tokens besides the named ones, which the class adds by itself"""


def _none(settings: Settings) -> Parts:
    return []


def _bytes(settings: Settings) -> Parts:
    space = bool(settings.get("add_prefix_space", False))
    return [{"type": "ByteLevel", "add_prefix_space": space, "trim_offsets": True, "use_regex": True}]


def _metaspace(scheme: str, split: bool = True) -> dict[str, Any]:
    return {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": split}


def _words(settings: Settings) -> Parts:
    return [WORDS, _metaspace("always" if settings.get("add_prefix_space", True) else "never")]


def _words_of_t5(settings: Settings) -> Parts:
    settings.get("legacy")  # asked of its slow class alone
    return [WORDS, _metaspace("always")]


def _sentinels(settings: Settings) -> list[str]:
    """T5's marks of what was left out: as many as `extra_ids` says, unless the settings list what there is besides the
    named tokens (null is a list without any)."""
    count = settings.get("extra_ids", 100)
    listed = [settings.get(key, {}) for key in ("extra_special_tokens", "additional_special_tokens")]
    silent = all(isinstance(one, Mapping) for one in listed)
    return [f"<extra_id_{i}>" for i in range(count)] if silent else []


def _replace(old: str, new: str, kind: str = "String") -> dict[str, Any]:
    return {"type": "Replace", "pattern": {kind: old}, "content": new}


def _albert(settings: Settings) -> Parts:
    settings.get("remove_space")  # asked of its slow class alone
    accents = [] if settings.get("keep_accents", False) else [{"type": "NFKD"}, {"type": "StripAccents"}]
    lower = [{"type": "Lowercase"}] if settings.get("do_lower_case", True) else []
    return [_replace("``", '"'), _replace("''", '"'), *accents, *lower]


def _clip(settings: Settings) -> Parts:
    settings.get("do_lower_case")  # asked of its slow class alone: this one always lowers
    return [{"type": "NFC"}, _replace("\\s+", " ", "Regex"), {"type": "Lowercase"}]


CLIP_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _split(pattern: str, behavior: str, invert: bool) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def _clip_words(settings: Settings) -> Parts:
    return [_split(CLIP_WORDS, "Removed", True), *_bytes({})]


def _qwen_words(settings: Settings) -> Parts:
    return [_split(QWEN_WORDS, "Isolated", False), {**_bytes(settings)[0], "use_regex": False}]


def _llama_words(settings: Settings) -> Parts:
    space = settings.get("add_prefix_space")
    scheme = "always" if settings.get("legacy", False) else "first"
    return [_metaspace(scheme if space is None or space else "never", split=False)]


def _bert(settings: Settings) -> Parts:
    """Without what its flags say, which were put into the normaliser before (`wordpieces`)."""
    return [{"type": "BertNormalizer", "clean_text": True}]


def _bert_words(settings: Settings) -> Parts:
    return [{"type": "BertPreTokenizer"}]


BYTES = {"continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False}
FALLING_BACK = {**BYTES, "fuse_unk": True, "byte_fallback": True}
SQUARE = {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
CLOSED = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
ANGLED = {**CLOSED, "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "mask_token": "<mask>"}
OF_TEXT = dict.fromkeys(("unk_token", "bos_token", "eos_token"), "<|endoftext|>")
BETWEEN = (("bos_token",), ("eos_token",))

BERT = Pipeline(
    "WordPiece",
    _bert,
    _bert_words,
    {"continuing_subword_prefix": "##", "max_input_chars_per_word": 100},
    special={**SQUARE, "unk_token": "[UNK]", "pad_token": "[PAD]"},
)
ROBERTA = Pipeline("BPE", _none, _bytes, BYTES, special=ANGLED)
XLM_ROBERTA = Pipeline("Unigram", _none, _words, ends=BETWEEN, special=ANGLED, unknown=3)
#: Names of tokenizer classes, without "Fast", -> what they make.
PIPELINES: Mapping[str, Pipeline] = {
    **dict.fromkeys(("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "LayoutLMTokenizer"), BERT),
    "MPNetTokenizer": Pipeline("WordPiece", _bert, _bert_words, BERT.flags, special={**ANGLED, "unk_token": "[UNK]"}),
    **dict.fromkeys(("RobertaTokenizer", "BartTokenizer", "LongformerTokenizer"), ROBERTA),
    "GPT2Tokenizer": Pipeline("BPE", _none, _bytes, BYTES, ends=None, special=OF_TEXT),
    "XLMRobertaTokenizer": XLM_ROBERTA,
    "CLIPTokenizer": Pipeline(
        *("BPE", _clip, _clip_words, {**BYTES, "end_of_word_suffix": "</w>"}, BETWEEN),
        {**OF_TEXT, "bos_token": "<|startoftext|>", "pad_token": "<|endoftext|>"},
    ),
    "T5Tokenizer": Pipeline(
        *("Unigram", _none, _words_of_t5),
        ends=((), ("eos_token",)),
        special={"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
        unknown=2,
        more=_sentinels,
    ),
    "AlbertTokenizer": Pipeline(
        *("Unigram", _albert, _words),
        special={**SQUARE, "bos_token": "[CLS]", "eos_token": "[SEP]", "unk_token": "<unk>", "pad_token": "<pad>"},
        unknown=1,
    ),
    "LlamaTokenizer": Pipeline("BPE", _none, _llama_words, FALLING_BACK, ends=None, special=CLOSED),
    "Qwen2Tokenizer": Pipeline(
        *("BPE", lambda settings: [{"type": "NFC"}], _qwen_words, BYTES, None),
        special=dict.fromkeys(("unk_token", "eos_token", "pad_token"), "<|endoftext|>"),
    ),
    "GemmaTokenizer": Pipeline(
        *("BPE", lambda settings: [_replace(" ", "\u2581")]),
        lambda settings: [
            {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
        ],
        *(FALLING_BACK, None),
        special={
            "bos_token": "<bos>",
            "eos_token": "<eos>",
            "unk_token": "<unk>",
            "pad_token": "<pad>",
            "mask_token": "<mask>",
        },
    ),
}


def usual_special(name: str) -> Mapping[str, str]:
    """Special tokens that the class of this name adds where its settings are silent; none where it is not known."""
    row = PIPELINES.get(name)
    return {} if row is None else row.special


def fails_without_unknown(name: str) -> bool:
    """Whether the class of this name, told that there is no unknown piece, fails at unknown words."""
    return name in PIPELINES and PIPELINES[name].model == "WordPiece"


def more_of_its_own(name: str, settings: Settings) -> list[str]:
    """Special tokens that the class of this name adds besides those with a name of their own."""
    row = PIPELINES.get(name)
    return [] if row is None else row.more(settings)


def same_parts(backend: Any, name: str, settings: Settings, special: Mapping[str, str]) -> bool:
    """Whether the class of this name makes the very parts that `backend`, read from tokenizer.json, has.

    What the class reads of the settings is asked for, so that it is not passed over. False also where it is not known.
    """
    row = PIPELINES.get(name)
    if row is None or type(backend.model).__name__ != row.model:
        return False
    before, pieces = row.normalizer(settings), row.pre_tokenizer(settings)
    stored = _steps(backend.normalizer, "normalizers")
    if WORDS in pieces and stored[-1:] == [SPACES]:
        stored.pop()  # words are split at spaces of any number
    if row.model == "Unigram" and stored and stored[-1]["type"] == "Precompiled":
        stored.pop()  # which such a class takes from the file
    if before and before[0]["type"] == "BertNormalizer":
        stored = [{key: part.get(key) for key in before[0]} for part in stored]
    return (
        stored == before
        and _steps(backend.pre_tokenizer, "pretokenizers") == pieces
        and all((getattr(backend.model, key) or default) == default for key, default in row.flags.items())
        and _same_ends(backend, row, special)
        and _same_unknown(backend, row, special)
    )


def spaces_as_said(backend: Any, said: Any) -> bool:
    """Whether the file puts a space before a text as `add_prefix_space` of the settings says."""
    found = [
        part.get("add_prefix_space", part.get("prepend_scheme") != "never")
        for part in _steps(backend.pre_tokenizer, "pretokenizers")
        if part["type"] in ("ByteLevel", "Metaspace")
    ]
    return found == [said]


def _steps(part: Any, inside: str) -> Parts:
    """The parts of a part, one after the other."""
    if part is None:
        return []
    state = json.loads(part.__getstate__())
    return list(state[inside]) if state["type"] == "Sequence" else [state]


def _same_ends(backend: Any, row: Pipeline, special: Mapping[str, str]) -> bool:
    if row.ends is None:
        return True
    before, behind = ([backend.token_to_id({**row.special, **special}.get(n, "")) for n in names] for names in row.ends)
    return _ids(backend, "a", special=True) == [*before, *_ids(backend, "a"), *behind]


def _ids(backend: Any, text: str, *, special: bool = False) -> list[int]:
    """Ids without padding: the file may ask for a fixed length."""
    encoded = backend.encode(text, add_special_tokens=special)
    return [one for one, seen in zip(encoded.ids, encoded.attention_mask, strict=True) if seen]


def _same_unknown(backend: Any, row: Pipeline, special: Mapping[str, str]) -> bool:
    """Where the unknown piece stands; where every byte is a piece nothing is unknown."""
    if row.unknown is not None:
        return _ids(backend, STRANGE)[-1:] == [row.unknown]
    if row.model == "WordPiece":
        return bool(backend.model.unk_token == special.get("unk_token", "[UNK]"))
    if row.flags["byte_fallback"]:
        pieces = [f"<0x{number:02X}>" for number in range(256)]
    else:
        ends = {"", row.flags["end_of_word_suffix"]}
        pieces = [letter + end for letter in _alphabet() for end in ends]
    return all(backend.token_to_id(piece) is not None for piece in pieces)


def _alphabet() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return list(ByteLevel.alphabet())
