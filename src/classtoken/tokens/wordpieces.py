"""Text -> token ids, by the checkpoint's own tokenizer; without torch.

Two ways lead there. `tokenizer.json` is read by the `tokenizers` package (compiled, in parallel). A folder without one
goes through transformers' `AutoTokenizer`, which converts old vocabulary files; code of the checkpoint's is never run.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from classtoken.errors import BadRecord, ModelError, UnsafeCheckpoint
from classtoken.model_folder import changed, first_module, read_json, whole
from classtoken.tokens.pipelines import (
    fails_without_unknown,
    more_of_its_own,
    same_parts,
    spaces_as_said,
    usual_special,
)
from classtoken.tokens.sentencepiece import without_the_package
from classtoken.values import NO_DEFAULTS, InputDefaults

VOCABULARIES = ("vocab*", "*.model", "*.spm", "*.vocab", "bpe.codes", "*.tiktoken")
WITHOUT_VOCABULARY = ("ByT5Tokenizer", "CanineTokenizer", "PerceiverTokenizer")
"""tokenizers that read characters or bytes"""
GENERIC_CLASSES = ("PreTrainedTokenizer", "Tokenizers", "TokenizersBackend")
WITH_KINDS = (
    *("BertTokenizer", "ElectraTokenizer", "LayoutLMTokenizer"),
    *("DebertaTokenizer", "DebertaV2Tokenizer", "FNetTokenizer"),
)
"""classes that hand token_type_ids over where their settings are silent"""
BERT_FLAGS: Mapping[str, tuple[str, bool | None]] = {
    "do_lower_case": ("lowercase", True),
    "strip_accents": ("strip_accents", None),
    "tokenize_chinese_chars": ("handle_chinese_chars", True),
}


class Tokenizer(Protocol):
    """What `TextPreprocessor` needs; nothing is cut or padded.

    `ends`: special tokens put before and behind a text; `cut_side`, `cut_at`: where its own file cuts long texts, if it
    says so; `made_by`: the class that transformers would make anew of the same files, perhaps with other parts;
    `kinds`: what token_type_ids it gives to the tokens of a text.
    """

    ends: tuple[int, int]
    notes: tuple[str, ...]
    cut_side: str | None
    cut_at: int | None
    made_by: str
    kinds: tuple[int, ...]

    def ids(self, texts: Sequence[str]) -> list[list[int]]: ...

    def spans(self, text: str) -> list[tuple[int, int]] | None: ...

    def words(self, ids: Sequence[int]) -> list[str]: ...

    def id_of(self, token: str) -> int | None: ...

    def content(self) -> str:
        """Everything that decides the ids, whatever files it was read from."""
        ...


class CompiledTokenizer:
    """`tokenizers.Tokenizer` behind the protocol; pickles by its own serialisation."""

    def __init__(self, backend: Any, notes: tuple[str, ...] = (), zeroed: int | None = None, made_by: str = ""):
        self.notes, self.made_by = notes, made_by
        self.zeroed = zeroed  # an id that the model is given as 0
        self.cut_side = str((backend.truncation or {}).get("direction") or "").lower() or None
        self.cut_at: int | None = (backend.truncation or {}).get("max_length")
        backend.no_truncation()
        backend.no_padding()
        self.backend = backend
        self.split = bool(backend.encode_special_tokens)  # special tokens that a text spells are words like others
        self.ends = self._ends()
        self.kinds = tuple(sorted(set(backend.encode("a").type_ids)))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.backend.encode_special_tokens = self.split  # its own serialisation leaves that out

    def _ends(self) -> tuple[int, int]:
        """Special tokens that the post-processor puts before and behind a text."""
        mask = self.backend.encode("a").special_tokens_mask
        content = [place for place, special in enumerate(mask) if not special]
        if not content:
            return (len(mask), 0)
        return (content[0], len(mask) - 1 - content[-1])

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        try:
            rows = [encoding.ids for encoding in self.backend.encode_batch_fast(list(texts))]
        except Exception as error:  # the compiled tokenizer raises plain Exception: a word piece without [UNK], say
            if len(texts) > 1:
                return [ids for text in texts for ids in self.ids([text])]
            raise BadRecord(f"its tokenizer fails ({error}): {texts[0]!r:.60}") from error
        return rows if self.zeroed is None else [[0 if one == self.zeroed else one for one in row] for row in rows]

    def spans(self, text: str) -> list[tuple[int, int]] | None:
        return list(self.backend.encode(text).offsets)

    def words(self, ids: Sequence[int]) -> list[str]:
        return [self.backend.id_to_token(token) or "" for token in ids]

    def id_of(self, token: str) -> int | None:
        return self.backend.token_to_id(token)

    def content(self) -> str:
        text: str = self.backend.to_str()
        text += " with special tokens split" * self.split
        return text if self.zeroed is None else f"{text} with 0 for {self.zeroed}"


class PlainTokenizer:
    """A tokenizer of transformers that exists in Python only; it cannot tell spans."""

    def __init__(self, tokenizer: Any):
        self.notes: tuple[str, ...] = ()
        self.cut_side: str | None = None
        self.cut_at: int | None = None
        self.made_by = ""
        self.tokenizer = tokenizer
        bare, dressed = (tokenizer("a", add_special_tokens=flag)["input_ids"] for flag in (False, True))
        self.kinds = tuple(sorted(set(tokenizer("a", return_token_type_ids=True).get("token_type_ids") or ())))
        begins = [at for at in range(len(dressed) + 1) if dressed[at : at + len(bare)] == bare]
        first = begins[0] if begins else len(dressed)
        self.ends = (first, len(dressed) - first - len(bare) if begins else 0)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.tokenizer(text, truncation=False, verbose=False)["input_ids"] for text in texts]

    def spans(self, text: str) -> list[tuple[int, int]] | None:
        return None

    def words(self, ids: Sequence[int]) -> list[str]:
        return self.tokenizer.convert_ids_to_tokens(list(ids))

    def id_of(self, token: str) -> int | None:
        return self.tokenizer.get_vocab().get(token)

    def content(self) -> str:
        vocabulary = sorted(self.tokenizer.get_vocab().items())
        return repr([type(self.tokenizer).__name__, vocabulary, self.tokenizer.special_tokens_map])


def class_name(settings: Mapping[str, Any], usual: InputDefaults = NO_DEFAULTS) -> str:
    """The class that transformers takes, without "Fast": what tokenizer_config.json names, else the usual one, and the
    usual one whatever is named for kinds of models in which it heeds no name."""
    named = settings.get("tokenizer_class")
    return str(usual.tokenizer if usual.tokenizer_fixed or not named else named).removesuffix("Fast")


def hands_kinds_over(settings: Mapping[str, Any], usual: InputDefaults = NO_DEFAULTS) -> bool:
    """Whether token_type_ids go into the model with the ids: as the settings say, else by the habit of the class."""
    names = settings.get("model_input_names")
    return "token_type_ids" in names if names else class_name(settings, usual) in WITH_KINDS


def open_tokenizer(
    folder: Path,
    settings: dict[str, Any],
    *,
    lower_case: bool,
    usual: InputDefaults = NO_DEFAULTS,
    bare: bool = False,
    zeroed: bool = False,
) -> CompiledTokenizer | PlainTokenizer:
    """The tokenizer of a folder. `settings` is its tokenizer_config.json; `lower_case` asks for lower case in addition;
    `usual` is what models of this kind do, their tokenizer's class above all; `bare` leaves special tokens out; with
    `zeroed` the separator becomes the number 0.

    Raises `ModelError` for a folder without a tokenizer or with a broken one, `UnsafeCheckpoint` for code of its own.
    """
    from tokenizers import Tokenizer as Backend

    notes: tuple[str, ...] = ()
    made_by, file = "", folder / "tokenizer.json"
    if file.is_file():
        try:
            backend = Backend.from_file(str(file))
        except Exception as error:  # the compiled reader raises plain Exception
            raise ModelError(f"{file}: not a readable tokenizer ({error}). Download it again.") from error
        _try(backend, file)
        if usual.tokenizer_anew:
            backend = _of_its_class(backend, folder, settings)
        notes = without_dropout(backend)
        if not usual.tokenizer_alone and not usual.tokenizer_anew:
            more, made_by = _as_its_class(backend, folder, settings, usual)
            notes += more
    else:
        tokenizer = _converted(folder, settings)
        converted = getattr(tokenizer, "backend_tokenizer", None)
        if converted is None and bare:
            raise ModelError(f"{folder}: {type(tokenizer).__name__} cannot leave its special tokens out.")
        if converted is None:
            return PlainTokenizer(tokenizer)
        backend = Backend.from_str(converted.to_str())  # a copy of our own
    backend.encode_special_tokens = bool(settings.get("split_special_tokens")) or usual.special_split
    if lower_case:
        _lower(backend)
    if bare:
        backend.post_processor = None
    separator = special_tokens(settings).get("sep_token") if zeroed else None
    return CompiledTokenizer(backend, notes, None if separator is None else backend.token_to_id(separator), made_by)


def _of_its_class(backend: Any, folder: Path, settings: dict[str, Any]) -> Any:
    """The tokenizer that transformers' class makes of the pieces in tokenizer.json: its own normaliser and template.

    Raises `ModelError` where the class makes other pieces of them: then the file belongs to another class.
    """
    from tokenizers import Tokenizer as Backend

    made = getattr(_converted(folder, settings), "backend_tokenizer", None)
    if made is None or _model_of(made) != _model_of(backend):
        raise ModelError(f"{folder}: the tokenizer's class and tokenizer.json have other pieces.")
    return Backend.from_str(made.to_str())  # a copy of our own


def _model_of(backend: Any) -> tuple[Any, ...]:
    """What a tokenizer makes pieces of words with: the kind, the vocabulary, and how pieces are joined or weighed."""
    model = json.loads(backend.to_str())["model"]
    return model["type"], model["vocab"], model.get("merges")


def _as_its_class(
    backend: Any, folder: Path, settings: Mapping[str, Any], usual: InputDefaults
) -> tuple[tuple[str, ...], str]:
    """What the files beside tokenizer.json change in it, as transformers reads them: what to mind, and `_made_by`."""
    name, special = class_name(settings, usual), special_tokens(settings)
    if settings.get("unk_token", "") is None and fails_without_unknown(name):
        raise ModelError(
            f"{folder}: tokenizer_config.json says unk_token null, with which {name} fails at every word that it does "
            f"not know. Write {backend.model.unk_token!r} there, as tokenizer.json has it, or leave the line out."
        )
    notes = _apply_bert_flags(backend, settings, name)
    silent = {key: token for key, token in usual_special(name).items() if key not in settings}  # null is none
    added = _add_missing(backend, folder, changed(settings, silent), more_of_its_own(name, settings))
    made_by = _made_by(backend, name, settings, special)
    return notes + _unheeded_flags(backend, settings, special), made_by or (name if added else "")


def _made_by(backend: Any, name: str, settings: Mapping[str, Any], special: Mapping[str, str]) -> str:
    """The class that may make other parts than those in tokenizer.json; empty where it is known to make the same ones
    or there is none. transformers 5 makes the parts of most classes anew, version 4 took them from the file."""
    plain = dict(settings)
    if "add_prefix_space" in plain and spaces_as_said(backend, plain["add_prefix_space"]):
        settings.get("add_prefix_space")
    if name in GENERIC_CLASSES:
        same_parts(backend, class_name(settings), settings, special)  # what the named class reads does nothing then
    same = name in GENERIC_CLASSES or same_parts(backend, name, settings, special)
    return "" if same else name or "the class of its model"


def without_dropout(backend: Any) -> tuple[str, ...]:
    """Byte pairs that are left apart at random are for training: no two runs would give the same vector."""
    rate = getattr(backend.model, "dropout", None)
    if not rate:
        return ()
    backend.model.dropout = None
    return (f"tokenizer.json leaves pairs apart at random (dropout {rate:g}), as for training: it is switched off",)


def _try(backend: Any, file: Path) -> None:
    """Raise `ModelError` where the parts of a tokenizer do not fit together: the compiled one panics at a text."""
    try:
        backend.encode("a")
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic is no Exception
        raise ModelError(f"{file}: its parts do not fit together ({error}). Download it again.") from error
    template, pieces = backend.post_processor, _pieces(backend)
    backend.post_processor = None
    plain = _pieces(backend)
    if template is not None:
        backend.post_processor = template
    if pieces != plain:
        raise ModelError(
            f"{file}: its template (post_processor) makes {pieces} pieces out of a text's {plain}: it must hold the "
            "text once. Download it again."
        )


def _pieces(backend: Any) -> int:
    """Word pieces of a text, special tokens and padding left out."""
    encoded = backend.encode("a")
    return sum(
        seen and not special for seen, special in zip(encoded.attention_mask, encoded.special_tokens_mask, strict=True)
    )


def _converted(folder: Path, settings: dict[str, Any]) -> Any:
    """Through transformers, from vocab.txt, vocab.json + merges.txt or a sentencepiece model."""
    from transformers import AutoTokenizer

    if settings.get("auto_map") and not settings.get("tokenizer_class"):
        raise UnsafeCheckpoint(
            f"{folder}: the tokenizer is code of the checkpoint's own (auto_map), which is never run. Save it as "
            "tokenizer.json with tokenizer.backend_tokenizer.save(...) where you trust it."
        )
    kinds = ("tokenizer.json", *VOCABULARIES)
    if class_name(settings) not in WITHOUT_VOCABULARY and not any(path for kind in kinds for path in folder.glob(kind)):
        raise ModelError(
            f"{folder}: no tokenizer.json and no vocabulary file ({', '.join(VOCABULARIES)}); transformers would make "
            "up an empty one. Copy the tokenizer's files too."
        )
    broken: list[ModelError] = []
    try:
        with without_the_package(broken):
            return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # transformers raises many kinds for one cause
        if broken:
            raise broken[0] from error
        said = " ".join(str(error).split())
        cure = "Save tokenizer.json where it loads (tokenizer.backend_tokenizer.save)."
        raise ModelError(
            f"{folder}: no tokenizer.json, and the vocabulary cannot be converted ({said:.200}). {cure}"
        ) from error


def _apply_bert_flags(backend: Any, settings: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """BERT's tokenizer classes set their normaliser anew: by tokenizer_config.json, by default where it is silent.

    That is what transformers does; tokenizers of no named class are taken from tokenizer.json as they stand. What the
    silence changes is said.
    """
    normalizer = backend.normalizer
    if name in GENERIC_CLASSES:
        asked = {key: settings.get(key, default) for key, (_, default) in BERT_FLAGS.items()}
        return _left_alone(normalizer, asked, class_name(settings))
    if not name or type(normalizer).__name__ != "BertNormalizer":
        return ()
    notes = []
    for key, (attribute, default) in BERT_FLAGS.items():
        stored, wanted = getattr(normalizer, attribute), settings.get(key, default)
        if key not in settings and bool(stored) != bool(wanted):
            notes.append(
                f"tokenizer.json says {attribute} {stored}, but {name} takes {wanted} where "
                f"tokenizer_config.json has no {key}: {wanted} is taken, as by transformers"
            )
        setattr(normalizer, attribute, wanted)
    backend.normalizer = normalizer
    return tuple(notes)


def _left_alone(normalizer: Any, asked: Mapping[str, Any], named: str) -> tuple[str, ...]:
    """What a class that the settings name would change, where transformers takes tokenizer.json as it stands."""
    if not named or named in GENERIC_CLASSES or type(normalizer).__name__ != "BertNormalizer":
        return ()
    return tuple(
        f"tokenizer.json says {attribute} {stored}, and {named}, which tokenizer_config.json names, {wanted}: {stored} "
        "is taken, as by transformers 5, which heeds no class for models of this kind, while transformers 4 took it"
        for key, (attribute, _) in BERT_FLAGS.items()
        if bool(stored := getattr(normalizer, attribute)) != bool(wanted := asked[key])
    )


def _unheeded_flags(backend: Any, settings: Mapping[str, Any], special: Mapping[str, str]) -> tuple[str, ...]:
    """`add_bos_token` and `add_eos_token` that tokenizer.json's template does not do; transformers 4 and 5 differ."""
    encoded = backend.encode("a")
    ids = [token for token, seen in zip(encoded.ids, encoded.attention_mask, strict=True) if seen]  # its file may pad
    notes = []
    for flag, name, end in (("add_bos_token", "bos_token", ids[:1]), ("add_eos_token", "eos_token", ids[-1:])):
        asked, token = settings.get(flag), special.get(name)
        there = end == [backend.token_to_id(token)] if token is not None else False
        if isinstance(asked, bool) and token is not None and asked != there:
            does, did = ("puts it there", "left it out") if there else ("does not put it there", "put it there")
            notes.append(
                f"tokenizer_config.json says {flag} {str(asked).lower()}, but the template of tokenizer.json {does} "
                f"({token}): the template is followed, as by transformers 5, while transformers 4 {did}; if the model "
                "was trained the other way, change the template"
            )
    return tuple(notes)


#: What tokenizer_config.json calls its special tokens, in the order in which transformers adds them.
NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def _add_missing(backend: Any, folder: Path, settings: Mapping[str, Any], own: Sequence[str] = ()) -> bool:
    """Tokens that the settings list and tokenizer.json has not, or not with these flags: added as transformers does.

    `own` are those that its class adds by itself. Whether there were any: its class may then make them otherwise.
    """
    there = backend.get_added_tokens_decoder()
    have = {repr(token) for token in there.values()}
    listed = sorted((settings.get("added_tokens_decoder") or {}).items(), key=lambda item: int(item[0]))
    found = [_added(token) for _, token in listed if isinstance(token, dict)]
    if "added_tokens_decoder" not in settings:
        found = _listed_before(folder, settings, there)
    found = [token for token in found if repr(token) not in have]
    names = {token.content for token in (*there.values(), *found)}
    more = settings.get("extra_special_tokens") or settings.get("additional_special_tokens") or []
    more = more.values() if isinstance(more, dict) else more
    for token in (*(settings.get(name) for name in NAMED), *more, *own):
        if token is not None and (added := _added(token)).content not in names:
            added.special = True
            found.append(added)
            names.add(added.content)
    backend.add_tokens(found)
    return bool(found)


def _listed_before(folder: Path, settings: Mapping[str, Any], there: Mapping[int, Any]) -> list[Any]:
    """Tokens of added_tokens.json, which version 4 of transformers wrote, at places that tokenizer.json leaves free."""
    from tokenizers import AddedToken

    special = {_text_of(settings.get(name)) for name in NAMED}
    listed = sorted((whole(read_json(folder / "added_tokens.json")) or {}).items(), key=lambda item: int(item[1]))
    return [
        AddedToken(token, normalized=token not in special, special=token in special)
        for token, number in listed
        if number not in there
    ]


def _added(token: Any) -> Any:
    from tokenizers import AddedToken

    if isinstance(token, str):
        return AddedToken(token, special=True)
    flags = {
        key: bool(token[key]) for key in ("lstrip", "rstrip", "normalized", "single_word", "special") if key in token
    }
    return AddedToken(str(token["content"]), **flags)


def _lower(backend: Any) -> None:
    """Lower case first, unless the tokenizer does it already."""
    from tokenizers.normalizers import Lowercase
    from tokenizers.normalizers import Sequence as Steps

    state = json.loads(backend.to_str())["normalizer"]
    steps = state.get("normalizers", [state]) if state else []
    if any(step["type"] == "Lowercase" or step.get("lowercase") for step in steps):
        return
    backend.normalizer = Lowercase() if backend.normalizer is None else Steps([Lowercase(), backend.normalizer])


def tokenizer_folder(folder: Path) -> Path:
    """Where the tokenizer lies: the folder itself, or the Transformer module of a sentence-transformers folder."""
    return first_module(folder, ("tokenizer_config.json", "tokenizer.json"))


def read_settings(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json with special_tokens_map.json, which wins, as in transformers, where the former lists no
    added tokens (folders of older versions); else it says what the former leaves out."""
    settings = read_json(folder / "tokenizer_config.json") or {}
    old = whole(read_json(folder / "special_tokens_map.json")) or {}
    return changed(settings, old, under="added_tokens_decoder" in settings)


def class_token_first(folder: Path, usual: InputDefaults = NO_DEFAULTS) -> bool:
    """Whether the files say that what is called cls_token stands before every text (XLNet's stands behind)."""
    settings = read_settings(folder)
    called = names_of_special(settings, usual).get("cls_token")
    stored = read_json(folder / "tokenizer.json")
    if called is None or stored is None:
        return called is not None and class_name(settings, usual) != "XLNetTokenizer"
    template = stored.get("post_processor") or {}
    for step in template.get("processors") or [template]:
        if "single" in step:
            first = (step["single"] or [{}])[0].get("SpecialToken") or {}
            return bool(first.get("id") == called)
        if "cls" in step:
            return bool(step["cls"][0] == called)
    return False


def names_of_special(settings: Mapping[str, Any], usual: InputDefaults = NO_DEFAULTS) -> dict[str, str]:
    """`special_tokens`, and where the settings are silent what their class calls its own."""
    silent = {key: token for key, token in usual_special(class_name(settings, usual)).items() if key not in settings}
    return {**silent, **special_tokens(settings)}


def special_tokens(settings: Mapping[str, Any]) -> dict[str, str]:
    """`cls_token`, `eos_token`, `pad_token` ... -> the token's text. `settings` are those of `read_settings`."""
    found = {key: _text_of(settings.get(key)) for key in NAMED}
    return {key: text for key, text in found.items() if text is not None}


def more_special(settings: Mapping[str, Any]) -> list[str]:
    """Texts of the special tokens besides the named ones."""
    more = settings.get("extra_special_tokens") or settings.get("additional_special_tokens") or []
    texts = [_text_of(token) for token in (more.values() if isinstance(more, Mapping) else more)]
    return [text for text in texts if text is not None]


def _text_of(token: Any) -> str | None:
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None
