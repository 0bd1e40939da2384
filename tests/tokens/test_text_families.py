"""What families do differently with text: prompts, lower case, CLIP's pooled token, SigLIP's fixed length."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from tests.tokens.tiny import ENCODER, PLAIN, siglip2, unigrams, usual_of, wordpieces
from transformers import AutoTokenizer, BertTokenizer, T5Tokenizer

from classtoken.encoder.families.open_clip import text_inputs
from classtoken.errors import OptionError, UnsupportedModel
from classtoken.tokens.text import TextPreprocessor
from classtoken.tokens.text_recipe import origins, tidied
from classtoken.values import TEXT_POOLED, Role


def sentence_transformers_folder(folder: Path, minilm: Path, *, include_prompt: bool, pooling: str = "mean") -> Path:
    shutil.copytree(minilm, folder, ignore=shutil.ignore_patterns("*.safetensors", "README.md"))
    prompts = {"prompts": {"query": "query: ", "document": ""}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    settings = {"word_embedding_dimension": 384, "pooling_mode": pooling, "include_prompt": include_prompt}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(settings))
    return folder


def test_prompts_have_a_role_of_their_own(minilm: Path, tmp_path: Path) -> None:
    folder = sentence_transformers_folder(tmp_path / "model", minilm, include_prompt=False)
    ours = TextPreprocessor.from_folder(folder, ENCODER)
    tokens = ours(["a hat"])
    assert ours.words("a hat") == ["[CLS]", "query", ":", "a", "hat", "[SEP]"]
    C, P, T, E = Role.CLASS, Role.PROMPT, Role.CONTENT, Role.END
    assert tokens.roles_BL[0].tolist() == [C, P, P, T, T, E]
    assert ours.pooled_roles() == TEXT_POOLED - {Role.PROMPT, Role.CLASS}
    assert ours(["a hat"], prompt="document").roles_BL[0].tolist() == [C, T, T, E]
    assert ours.pooled_roles("document") == TEXT_POOLED
    assert ours(["a hat"], prompt="my task: ").roles_BL[0].tolist() == [C, P, P, P, T, T, E]
    assert ours.spans("a hat") == [None, None, None, (0, 1), (2, 5), None]
    assert "prompts: query 'query: ', document '' (default query), prompt tokens are not pooled" in ours.describe()
    included = TextPreprocessor.from_folder(
        sentence_transformers_folder(tmp_path / "other", minilm, include_prompt=True), ENCODER
    )
    assert included.pooled_roles() == TEXT_POOLED


def test_pooled_roles_are_what_sentence_transformers_pools(minilm: Path, tmp_path: Path) -> None:
    """The mask of its Pooling module, with the prompt taken out, is our roles."""
    from sentence_transformers.sentence_transformer.modules.pooling import Pooling

    ours = TextPreprocessor.from_folder(
        sentence_transformers_folder(tmp_path / "model", minilm, include_prompt=False), ENCODER
    )
    tokens = ours(["a hat", "a somewhat longer text"])
    pooled = torch.isin(tokens.roles_BL, torch.tensor([int(role) for role in ours.pooled_roles()]))
    prompt_length = 1 + 2  # [CLS] query :
    theirs = Pooling._exclude_prompt_from_mask(tokens.mask_BL.long(), prompt_length)
    torch.testing.assert_close(pooled, theirs.bool())


def test_a_first_token_without_a_class_belongs_to_the_prompt(folders: dict[str, Path]) -> None:
    clip_text = TextPreprocessor.from_folder(folders["clip"], PLAIN)
    roles = clip_text(["fox"], prompt="the ").roles_BL[0]
    assert roles[0] == Role.PROMPT
    assert roles[-1] == Role.END


def test_lower_case_of_sentence_transformers(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["roberta"], tmp_path / "lower")
    plain = TextPreprocessor.from_folder(folder)
    assert plain.words("FOX") != plain.words("fox")
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 9, "do_lower_case": True}))
    lower = TextPreprocessor.from_folder(folder)
    assert lower.words("FOX") == lower.words("fox") == plain.words("fox")
    assert lower.recipe.max_length == 9


@pytest.mark.parametrize("legacy", [True, False])
def test_the_pooled_token_of_clip(legacy: bool, folders: dict[str, Path], tmp_path: Path) -> None:
    """By the older rule the highest id, by the newer the first end token: also when the text spells one."""
    folder = shutil.copytree(folders["clip"], tmp_path / "clip")
    end = AutoTokenizer.from_pretrained(folder).eos_token_id
    ours = TextPreprocessor.from_folder(folder, PLAIN, usual=usual_of("clip", eos_token_id=2 if legacy else end))
    tokens = ours(["the fox", "the quick brown fox jumps", "the <|endoftext|> fox"])
    for ids, roles in zip(tokens.ids_BL, tokens.roles_BL, strict=True):
        expected = ids.argmax() if legacy else (ids == end).int().argmax()  # transformers, CLIPTextTransformer.forward
        assert (roles == Role.END).nonzero().flatten().tolist() == [int(expected)]


def siglip_folder(folder: Path, **settings: object) -> Path:
    tokenizer = T5Tokenizer(vocab=unigrams(["<pad>", "</s>", "<unk>"]), extra_ids=0)
    tokenizer.save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "</s>", "eos_token": "</s>", **settings}))
    return folder


def test_siglip_pads_to_its_length_and_attends_to_the_padding(tmp_path: Path) -> None:
    folder = siglip_folder(tmp_path / "siglip", tokenizer_class="SiglipTokenizer")
    ours = TextPreprocessor.from_folder(folder, PLAIN, positions=64, usual=usual_of("siglip"))
    tokens = ours(["The quick, brown FOX!", "fox"])
    assert tokens.ids_BL.shape == (2, 64)
    assert bool(tokens.mask_BL.all())
    assert tokens.ids_BL[1, -1] == 1  # padded with </s>
    assert ours(["fox"]).ids_BL.shape == (1, 64)
    assert ours.words("The quick, brown FOX!") == ours.words("the quick brown fox")
    assert "always padded to 64, padding is attended to, lower case without punctuation" in ours.describe()
    with pytest.raises(OptionError, match="cannot say where"):
        ours.spans("The fox")


def test_siglip2_lowers_and_an_unlowered_one_is_named(tmp_path: Path) -> None:
    two = siglip_folder(tmp_path / "two", tokenizer_class="Siglip2Tokenizer")
    ours = TextPreprocessor.from_folder(two, positions=64, usual=usual_of("siglip2"))
    assert ours.words("The Fox, QUICK") == ours.words("the fox, quick")
    assert not ours.advice()
    gemma = siglip_folder(tmp_path / "gemma", tokenizer_class="GemmaTokenizer")
    named = TextPreprocessor.from_folder(gemma, positions=64, usual=usual_of("siglip"))
    assert "lower-case text" in named.advice()[0]


def test_open_clip_text(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["clip"], tmp_path / "open")
    (folder / "config.json").unlink()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"text_cfg": {"context_length": 20}}}))
    ours = TextPreprocessor.from_folder(folder, PLAIN, usual=text_inputs({}))
    assert (ours.recipe.max_length, ours.recipe.end) == (20, "highest")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"text_cfg": {"context_length": 20}}}))
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"text_cfg": {"width": 16}}}))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "model_max_length": 30}))
    silent = TextPreprocessor.from_folder(folder, PLAIN, usual=text_inputs({})).recipe
    assert silent.max_length == 77  # whatever the tokenizer's files say
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"text_cfg": {"context_length": 20}}}))
    bidirectional = text_inputs({"no_causal_mask": True})
    batch = TextPreprocessor.from_folder(folder, PLAIN, usual=bidirectional)(["fox", "the quick brown fox"])
    ends = (batch.roles_BL == Role.END).long().argmax(1)
    assert ends.tolist() == batch.ids_BL.argmax(1).tolist()
    assert batch.ids_BL.shape == (2, 20)
    assert batch.ids_BL[:, -1].tolist() == [0, 0]  # filled up with zeros, which are read
    assert bool(batch.mask_BL.all())
    siglip = {
        "hf_tokenizer_name": "timm/ViT-B-16-SigLIP",
        "context_length": 64,
        "no_causal_mask": True,
        "pool_type": "last",
        "tokenizer_kwargs": {"clean": "canonicalize"},
    }
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"text_cfg": siglip}}))
    recipe = TextPreprocessor.from_folder(folder, usual=text_inputs(siglip)).recipe
    assert (recipe.pad_to, recipe.pads_attended, recipe.rewritten, recipe.end) == (64, True, True, "template")


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_last_position_of_open_clips_own_tokenizer_is_a_zero(
    bidirectional: bool, folders: dict[str, Path], tmp_path: Path
) -> None:
    """`pool_type` last reads position -1 of rows that are filled up with zeros, whatever the mask."""
    folder = shutil.copytree(folders["clip"], tmp_path / "open")
    (folder / "config.json").unlink()
    config = {"context_length": 20, "pool_type": "last", "no_causal_mask": bidirectional}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"text_cfg": config}}))
    ours = TextPreprocessor.from_folder(folder, PLAIN, usual=text_inputs(config))
    batch = ours(["fox", "the " * 30])
    assert batch.ids_BL.shape == (2, 20)
    end = ours.tokenizer.id_of("<|endoftext|>")
    behind = batch.ids_BL[0].tolist().index(end) + 1
    assert batch.ids_BL[0, behind:].tolist() == [0] * (20 - behind)
    assert bool(batch.mask_BL.all())
    named = text_inputs({**config, "hf_tokenizer_name": "some/clip"})
    filled = TextPreprocessor.from_folder(folder, PLAIN, usual=named)(["fox"])
    assert filled.ids_BL[0, behind:].tolist() == [end] * (20 - behind)
    assert bool(filled.mask_BL.all())


CLEANED = {
    # what open_clip.tokenizer.get_clean_fn makes of them
    "whitespace": ["A snake_case word, IT'S", "\u039f\u0394\u039f\u03a3, \u0130__X", "a_-_b ..."],
    "lower": ["a snake_case word, it's", "\u03bf\u03b4\u03bf\u03c2, i\u0307__x", "a_-_b ..."],
    "canonicalize": ["a snake case word its", "\u03bf\u03b4\u03bf\u03c2 i\u0307 x", "a b"],
}
UNCLEANED = ["  A  snake_case\u00a0word,\tIT'S\n", "\u039f\u0394\u039f\u03a3, \u0130__X", "a_-_b ..."]


@pytest.mark.parametrize("kind", CLEANED)
def test_open_clip_cleans_a_text_first(kind: str) -> None:
    assert [tidied(text, kind) for text in UNCLEANED] == CLEANED[kind]
    if kind != "canonicalize":
        for text in UNCLEANED:
            places = origins(text, kind)
            assert len(places) == len(tidied(text, kind))
            found = zip(places, tidied(text, kind), strict=True)
            assert all(text[at].lower().startswith(sign.lower()) or sign in "\u0307\u03c2 " for at, sign in found)


def test_which_cleaning_open_clip_does() -> None:
    named = {"hf_tokenizer_name": "some/clip"}
    assert text_inputs({}).cleaning == "lower"
    assert text_inputs(named).cleaning == "whitespace"
    for kind in CLEANED:
        assert text_inputs({**named, "tokenizer_kwargs": {"clean": kind}}).cleaning == kind
    assert text_inputs({"tokenizer_kwargs": {"clean": "canonicalize"}}).cleaning == "canonicalize"
    with pytest.raises(UnsupportedModel, match="clean 'whitespace' is not computed; for open_clip's own tokenizer low"):
        text_inputs({"tokenizer_kwargs": {"clean": "whitespace"}})
    with pytest.raises(UnsupportedModel, match="clean 'odd' is not computed; for a tokenizer of transformers whites"):
        text_inputs({**named, "tokenizer_kwargs": {"clean": "odd"}})


def test_places_of_tokens_are_those_in_the_text_before_it_was_cleaned(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["clip"], tmp_path / "open")
    (folder / "config.json").unlink()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"text_cfg": {"context_length": 20}}}))
    ours = TextPreprocessor.from_folder(folder, PLAIN, usual=text_inputs({}))
    text = "  The   FOX \u0130 quick "
    assert ours.ready([text])[0].ids.tolist() == ours.ready(["the fox i\u0307 quick"])[0].ids.tolist()
    covered = {at for span in ours.spans(text) if span for at in range(*span)}
    assert "".join(text[at] for at in sorted(covered)) == "TheFOX\u0130quick"
    assert ours.spans("quick fox") == TextPreprocessor.from_folder(folders["clip"], PLAIN).spans("quick fox")


def test_open_clips_own_tokenizer_takes_spelt_special_tokens_for_words(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(folders["clip"], tmp_path / "open")
    (folder / "config.json").unlink()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"text_cfg": {"context_length": 20}}}))
    own, named = (
        TextPreprocessor.from_folder(folder, PLAIN, usual=text_inputs({"hf_tokenizer_name": name}))
        for name in ("", "some/clip")
    )
    end = own.tokenizer.id_of("<|endoftext|>")
    text = "fox <|endoftext|> fox"
    assert own.ready([text])[0].ids.tolist().count(end) == 1
    assert named.ready([text])[0].ids.tolist().count(end) == 2
    assert own.tokenizer.content() != named.tokenizer.content()
    again = pickle.loads(pickle.dumps(own))  # as it goes to another process
    assert again.ready([text])[0].ids.tolist() == own.ready([text])[0].ids.tolist()


def test_clipas_separator_is_written_as_zero(folders: dict[str, Path], tmp_path: Path) -> None:
    """open_clip's `strip_sep_token`: BERT's ids with 0 in the place of [SEP], filled up to the full length."""
    folder = shutil.copytree(folders["bert"], tmp_path / "clipa")
    (folder / "config.json").unlink(missing_ok=True)
    config = {
        "hf_tokenizer_name": "bert-base-uncased",
        "context_length": 12,
        "no_causal_mask": True,
        "pool_type": "last",
        "tokenizer_kwargs": {"strip_sep_token": True},
    }
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"text_cfg": config}}))
    ours = TextPreprocessor.from_folder(folder, usual=text_inputs(config))
    theirs = AutoTokenizer.from_pretrained(folders["bert"])
    text = "the quick brown fox"
    ids = theirs(text, padding="max_length", max_length=12)["input_ids"]
    assert theirs.sep_token_id in ids
    assert ours([text]).ids_BL[0].tolist() == [0 if one == theirs.sep_token_id else one for one in ids]
    assert not ours.recipe.rewritten
    plain = TextPreprocessor.from_folder(folder, usual=text_inputs({**config, "tokenizer_kwargs": {}}))
    assert plain.identity() != ours.identity()


def test_siglip2_equals_transformers_padded_to_its_length(tmp_path: Path) -> None:
    siglip2().save_pretrained(tmp_path)
    texts = ["The quick FOX, the end!", "", "the " * 90, "caf\u00c9 \u6771\u4eac"]
    batch = AutoTokenizer.from_pretrained(tmp_path)(
        texts, padding="max_length", max_length=64, truncation=True, return_tensors="pt"
    )
    tokens = TextPreprocessor.from_folder(tmp_path, PLAIN, positions=64, usual=usual_of("siglip2"))(texts)
    torch.testing.assert_close(tokens.ids_BL, batch["input_ids"])
    assert tokens.cut[2] > 0


NAMES = ["BertTokenizer", "BertTokenizerFast", "PreTrainedTokenizerFast", "MPNetTokenizer", None]


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("said", [True, False, None])
@pytest.mark.parametrize("name", NAMES)
def test_whose_word_on_lower_case_counts(name: str | None, said: bool | None, stored: bool, tmp_path: Path) -> None:
    """tokenizer.json, tokenizer_config.json and the class may disagree: whatever transformers makes of it."""
    BertTokenizer(vocab=wordpieces(), do_lower_case=stored).backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    settings = {"tokenizer_class": name, "do_lower_case": said, "pad_token": "[PAD]", "cls_token": "[CLS]"}
    settings = {key: value for key, value in settings.items() if value is not None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    kind = "mpnet" if name == "MPNetTokenizer" else "bert"
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    ours = TextPreprocessor.from_folder(tmp_path, usual=usual_of(kind))
    text = "FOX fox Na\u00efve CAF\u00c9"
    assert ours.tokenizer.ids([text])[0][1:-1] == AutoTokenizer.from_pretrained(tmp_path)(text)["input_ids"][1:-1]
    overruled = name != "PreTrainedTokenizerFast" and said is None and not stored
    assert bool(ours.advice()) == overruled
    if overruled:
        assert "tokenizer.json says lowercase False" in ours.advice()[0]


def test_tokens_that_only_the_config_knows_are_added(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["bert"], tmp_path / "bert")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    size = len(json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"])
    new = {
        "content": "[ENT]",
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "single_word": False,
        "special": True,
    }
    settings["added_tokens_decoder"] = {str(size): new}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    text = "the [ENT] fox"
    ids = TextPreprocessor.from_folder(folder)([text]).ids_BL[0].tolist()
    assert size in ids
    assert ids == AutoTokenizer.from_pretrained(folder)(text)["input_ids"]
