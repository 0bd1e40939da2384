"""Texts whose class token stands behind them, behind another token, has no name, or is not there at all."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import folders
from tests.contract.test_ordinary import numbers_there
from tests.contract.test_sentence_transformers import assert_same, pooling, saved, theirs
from tests.folders import SENTENCES

import classtoken as ct
from classtoken.errors import ContractError, VectorRefused
from classtoken.options import ExportOptions

SPECIAL = {"[CLS]": 2, "[SEP]": 3}
BEHIND, SECOND, USUAL, NONE = "$A [SEP] [CLS]", "[SEP] [CLS] $A", "[CLS] $A [SEP]", "$A [SEP]"


def with_template(folder: Path, template: str, **settings: Any) -> Path:
    """The folder, its tokenizer putting these tokens around a text; settings that are None are taken out."""
    path, made = folder / "tokenizer.json", []
    for part in template.split():
        made.append({"SpecialToken" if part in SPECIAL else "Sequence": {"id": part.removeprefix("$"), "type_id": 0}})
    known = {token: {"id": token, "ids": [number], "tokens": [token]} for token, number in SPECIAL.items()}
    stored = json.loads(path.read_text())
    stored["post_processor"] = {"type": "TemplateProcessing", "single": made, "pair": made, "special_tokens": known}
    path.write_text(json.dumps(stored))
    said = json.loads((folder / "tokenizer_config.json").read_text()) | settings
    said = {key: value for key, value in said.items() if value is not None}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return folder


@pytest.mark.parametrize(
    ("template", "settings", "layout", "place"),
    [
        (BEHIND, {}, "n word piece + 1 end + 1 class", -1),
        (SECOND, {}, "1 word piece + 1 class + n word piece", 1),
        (USUAL, {"cls_token": None}, "1 class + n word piece + 1 end", 0),
        (USUAL, {"cls_token": "[MASK]"}, "1 class + n word piece + 1 end", 0),
        (USUAL, {"cls_token": None, "tokenizer_class": "BertTokenizer"}, "1 class + n word piece + 1 end", 0),
        (USUAL, {"cls_token": None, "bos_token": "[CLS]"}, "1 word piece + n word piece + 1 end", None),
        (NONE, {}, "n word piece + 1 end", None),
    ],
)
def test_the_class_token_is_found_where_it_stands(
    template: str, settings: dict[str, Any], layout: str, place: int | None, tmp_path: Path
) -> None:
    folder = with_template(folders.tiny_bert(tmp_path / "model"), template, **settings)
    embedder = ct.load(folder)
    assert str(embedder.layout) == layout
    states = [numbers_there(folder, text) for text in SENTENCES]
    assert_same(embedder.embed(SENTENCES, pooling="mean"), np.stack([one.mean(0) for one in states]))
    assert ("for classification: cls" in str(ct.inspect(folder))) is (place is not None)
    if place is not None:
        assert_same(embedder.embed(SENTENCES, pooling="cls"), np.stack([one[place] for one in states]))
        return
    with pytest.raises(ContractError, match="'cls' needs a class token, and this model has none"):
        embedder.embed(SENTENCES, pooling="cls")


@pytest.mark.parametrize("template", [BEHIND, SECOND, NONE])
def test_what_reads_the_first_token_is_refused_where_that_is_no_class_token(template: str, tmp_path: Path) -> None:
    """transformers' pooler and classifiers take the first token, whatever it is."""
    folder = with_template(folders.tiny_bert(tmp_path / "model"), template)
    with pytest.raises(VectorRefused, match="first token of a text, which is no class token here"):
        ct.load(folder, pooling="pooler")
    found = ct.inspect(folder)
    assert "refused: pooler (it reads a class token in front of every text)" in str(found)
    assert not any("no known formula" in claim.value for claim in found.claims)
    with pytest.raises(ContractError, match="a classifier of this kind is not read here"):
        ct.load(with_template(folders.tiny_bert(tmp_path / "head", head=True), template)).logits(SENTENCES)


@pytest.mark.parametrize("template", [BEHIND, SECOND, NONE])
@pytest.mark.parametrize("include", [True, False])
def test_sentence_transformers_takes_the_first_token(template: str, include: bool, tmp_path: Path) -> None:
    base, prompts = folders.tiny_bert(tmp_path / "base"), {"query": "the red bird: "}
    for mode in ("cls", "mean"):
        folder = saved(tmp_path / mode, base, pooling(mode, include_prompt=include), prompts=prompts)
        with_template(folder, template)
        embedder = ct.load(folder)
        assert embedder.contract.pooling == ("first" if mode == "cls" else mode)
        assert_same(embedder.embed(SENTENCES), theirs(folder, SENTENCES))
        assert_same(embedder.embed(SENTENCES, prompt="query"), theirs(folder, SENTENCES, prompt_name="query"))


def test_a_class_token_behind_the_text_is_exported(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from classtoken.jobs.export import export

    folder = with_template(folders.tiny_bert(tmp_path / "model"), BEHIND)
    found = export(folder, tmp_path / "onnx", ExportOptions(pooling="cls"))
    assert found.graphs[0].largest_difference < 1e-5


def test_the_class_token_of_xlnet(tmp_path: Path) -> None:
    import transformers as hf
    from tests.contract.ordinary import LETTERS, SPOKEN

    special = ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>")
    pieces = [*special, *("\u2581" + word for word in SPOKEN), *LETTERS]
    tokenizer = hf.XLNetTokenizer(vocab=[(piece, -float(place)) for place, piece in enumerate(pieces)])
    tokenizer.save_pretrained(tmp_path)
    config = hf.XLNetConfig(vocab_size=len(tokenizer), d_model=32, n_layer=2, n_head=4, d_inner=48)
    folders.randomise(hf.XLNetModel(config)).save_pretrained(tmp_path)  # type: ignore[operator]
    embedder = ct.load(tmp_path, pooling="cls")
    assert str(embedder.layout) == "n word piece + 1 end + 1 class"
    assert_same(embedder.embed(SENTENCES), np.stack([numbers_there(tmp_path, text)[-1] for text in SENTENCES]))
