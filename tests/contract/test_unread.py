"""Keys that the authors wrote and nobody read: seen without a list, then accepted, compared, or refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.encoder.cases import CASES
from tests.encoder.parity import set_up
from tests.folders import SENTENCES, sentence_transformer, tiny_bert

import classtoken as ct
from classtoken.errors import ContractError
from classtoken.model_folder import changed, passed_over, read_json, watching, whole


def write(path: Path, **values: Any) -> None:
    there = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(there | values))


def test_what_nobody_asked_for_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "a.json", read=1, deep={"in": 1, "out": 2}, silent=None, listed=[{"x": 1, "y": 2}], left=False)
    with watching() as opened:
        first, second = read_json(tmp_path / "a.json"), read_json(tmp_path / "a.json")
        assert first is not None
        assert first is second
        assert first["read"]
        assert first.get("deep")["in"]
        assert first.get("listed")[0]["x"]
    assert dict(passed_over(opened[tmp_path / "a.json"])) == {"deep.out": 2, "listed.y": 2, "left": False}
    copy = changed(first, {"read": 3})
    assert copy["read"] == 3
    assert copy["left"] is False
    assert "left" not in dict(passed_over(first))
    assert dict(passed_over(whole(first))) == {}


def test_a_key_that_moves_nothing_is_compared_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain, folder = tiny_bert(tmp_path / "plain"), tiny_bert(tmp_path / "model")
    write(folder / "config.json", colour_of_the_logo="blue")
    write(folder / "tokenizer_config.json", colour_of_the_logo="blue")
    assert np.array_equal(ct.load(folder).embed(SENTENCES), ct.load(plain).embed(SENTENCES))
    assert len([r for r in caplog.records if "comparing" in r.message]) == 2
    caplog.clear()
    ct.load(folder)
    assert not caplog.records
    said = ct.inspect(folder, verify=False).table(evidence=True)
    assert 'not understood: colour_of_the_logo = "blue" (config.json)' in said
    assert "proved" in said


def test_code_of_the_authors_is_no_stock_class(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "model")
    write(folder / "config.json", auto_map={"AutoModel": "org/other--modeling_own.OwnBert"})
    with pytest.raises(ContractError, match=r"auto_map.*accept"):
        ct.load(folder)
    assert ct.load(folder, accept="auto_map").embed("the cat", pooling="cls").shape == (1, 32)
    refuted = [claim for claim in ct.inspect(folder, verify=False).claims if claim.verdict == "refuted"]
    assert [claim.subject for claim in refuted] == ["not understood"]


def test_a_step_that_is_not_understood_refuses_the_contract_alone(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "model")
    (folder / "1_Pooling").mkdir()
    write(folder / "1_Pooling" / "config.json", pooling_mode="mean", word_embedding_dimension=32, squeeze=0.5)
    listed = [{"idx": i, "name": str(i), "path": p, "type": f"sentence_transformers.models.{t}"} for i, (p, t) in
              enumerate([("", "Transformer"), ("1_Pooling", "Pooling")])]  # fmt: skip
    (folder / "modules.json").write_text(json.dumps(listed))
    embedder = ct.load(folder)
    assert embedder.embed("the cat", pooling="mean").shape == (1, 32)
    with pytest.raises(ContractError, match=r"squeeze = 0.5 \(1_Pooling/config.json\)"):
        embedder.embed("the cat")
    accepted = ct.load(folder, accept=("squeeze",))
    assert np.array_equal(accepted.embed("the cat"), embedder.embed("the cat", pooling="mean"))
    assert "1_Pooling/config.json:squeeze" in accepted.fingerprint().accepted


def test_a_module_of_the_authors_own_is_no_stock_module(tmp_path: Path) -> None:
    """jina's folders name `custom_st.Transformer`: code that may do something else under the same name."""
    folder = sentence_transformer(tmp_path / "model")
    listed = json.loads((folder / "modules.json").read_text())
    listed[1]["type"] = "custom_st.Pooling"
    (folder / "modules.json").write_text(json.dumps(listed))
    embedder = ct.load(folder)
    with pytest.raises(ContractError, match=r'type = "custom_st.Pooling" \(modules.json\)'):
        embedder.embed("the cat")
    assert embedder.embed("the cat", pooling="mean").shape == (1, 32)
    assert ct.load(folder, accept="type").embed("the cat").shape == (1, 32)


def test_a_file_that_nobody_opens_is_passed_over_as_a_whole(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "model")
    write(folder / "preprocessor_config.json", do_resize=True)
    ct.load(folder)  # says nothing about texts
    write(folder / "sentence_bert_config.json", max_seq_length=8, strange=True)
    with pytest.raises(ContractError, match="strange = true"):  # nobody knows what it asks of whom
        ct.load(folder)
    accepted = ct.load(folder, accept="strange")
    assert accepted.embed(["the cat"], pooling="mean").shape[0] == 1
    with pytest.raises(ContractError, match=r"no modules.json, which says how its vectors are pooled"):
        accepted.embed(["the cat"])


def test_code_whose_computation_is_a_familys_row_is_no_clue(tmp_path: Path) -> None:
    """Nomic's published folders name their authors' class in `auto_map`; the row computes what it does."""
    case = next(case for case in CASES if case.name == "nomic_bert as published")
    set_up(case, tmp_path / "model")
    for path in tiny_bert(tmp_path / "words").glob("tokenizer*"):
        shutil.copy(path, tmp_path / "model")
    write(tmp_path / "model" / "config.json", auto_map={"AutoModel": "org/own--modeling_own.NomicBertModel"})
    assert ct.load(tmp_path / "model").embed(["the cat"]).shape[0] == 1
