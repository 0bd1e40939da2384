"""What families do differently with text: prompts, lower case, CLIP's pooled token, SigLIP's fixed length."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tests.tokens.tiny import ENCODER, PLAIN, siglip2, unigrams, usual_of, wordpieces
from transformers import AutoTokenizer, BertTokenizer, T5Tokenizer

from classtoken.encoder.families.open_clip import text_inputs
from classtoken.errors import OptionError
from classtoken.tokens.text import TextPreprocessor
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
    bidirectional = text_inputs({"no_causal_mask": True})
    batch = TextPreprocessor.from_folder(folder, PLAIN, usual=bidirectional)(["fox", "the quick brown fox"])
    ends = (batch.roles_BL == Role.END).long().argmax(1)
    assert ends.tolist() == batch.ids_BL.argmax(1).tolist()
    assert batch.ids_BL.shape == (2, 20)
    assert batch.ids_BL[:, -1].tolist() == [0, 0]  # filled up with zeros, which are read
    assert bool(batch.mask_BL.all())
    siglip = {
        "context_length": 64,
        "no_causal_mask": True,
        "pool_type": "last",
        "tokenizer_kwargs": {"clean": "canonicalize"},
    }
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"text_cfg": siglip}}))
    recipe = TextPreprocessor.from_folder(folder, usual=text_inputs(siglip)).recipe
    assert (recipe.pad_to, recipe.pads_attended, recipe.canonical, recipe.end) == (64, True, True, "template")


def test_clipas_separator_is_written_as_zero(folders: dict[str, Path], tmp_path: Path) -> None:
    """open_clip's `strip_sep_token`: BERT's ids with 0 in the place of [SEP], filled up to the full length."""
    folder = shutil.copytree(folders["bert"], tmp_path / "clipa")
    (folder / "config.json").unlink(missing_ok=True)
    config = {
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
    assert not ours.recipe.canonical
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
