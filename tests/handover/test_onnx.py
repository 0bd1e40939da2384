"""A model as an ONNX graph: ids or pixels in, the contract's vector out, in ONNX Runtime alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tests import folders
from tests.contract.ordinary import ORDINARY, Ordinary

import classtoken as ct
from classtoken.cli import main
from classtoken.encoder import kernels
from classtoken.errors import ContractError, ModelError, OptionError, OutputError
from classtoken.handover.graph import TextGraph
from classtoken.handover.onnx import copy_rest
from classtoken.results.export import ExportResult

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")


SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def made(folder: Path, kind: str, config: str, **settings: object) -> Path:
    """A tiny model of transformers with random weights, and a tokenizer."""
    model = getattr(transformers, kind)(getattr(transformers, config)(**SIZES, **settings))
    folders.randomise(model).save_pretrained(folder)
    folders.bert_tokenizer(folder)
    return folder


def pictured(folder: Path, kind: str, config: str, **settings: Any) -> None:
    """The same of pictures of 32 x 32 pixels."""
    shape = getattr(transformers, config)(**{"image_size": 32, "patch_size": 4, **(settings or SIZES)})
    folders.randomise(getattr(transformers, kind)(shape)).save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


VOCABULARY = {"vocab_size": len(folders.WORDS), "max_position_embeddings": 40, "pad_token_id": 0}
MODELS: dict[str, Callable[[Path], object]] = {
    "dense and prompts": lambda folder: folders.sentence_transformer(folder, dense=16, prompts=True),
    "prompt not pooled": lambda folder: folders.sentence_transformer(folder, prompts=True, pooled=False),
    "cls": lambda folder: folders.sentence_transformer(folder, mode="cls", unit=False),
    "relative buckets": lambda folder: made(folder, "MPNetModel", "MPNetConfig", **VOCABULARY),
    "rotary and windows": lambda folder: made(
        folder,
        "ModernBertModel",
        "ModernBertConfig",
        local_attention=4,
        **VOCABULARY,
        **{f"{name}_token_id": 2 for name in ("cls", "bos")},
        **{f"{name}_token_id": 3 for name in ("sep", "eos")},
    ),
    "vit": lambda folder: folders.tiny_vit(folder, pooler=False),
    "rotary patches": lambda folder: pictured(folder, "DINOv3ViTModel", "DINOv3ViTConfig"),
    "positions of another grid": lambda folder: pictured(
        folder, "Dinov2Model", "Dinov2Config", image_size=56, **{k: v for k, v in SIZES.items() if k[0] != "i"}
    ),
    "relative positions of another grid": lambda folder: pictured(
        folder, "BeitModel", "BeitConfig", image_size=40, use_relative_position_bias=True, **SIZES
    ),
    "windows of transformers": lambda folder: pictured(
        folder, "SwinModel", "SwinConfig", embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4
    ),
}


def test_what_a_training_has_written_down_for_itself_stays_behind(tmp_path: Path) -> None:
    taken, left = ("config.json", "1_Pooling/config.json"), ("_meta/work.json", "features/a/_meta/receipts/0.json")
    for name in (*taken, *left):
        (tmp_path / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / name).write_text("{}", encoding="utf-8")
    copy_rest(tmp_path / "model", tmp_path / "graph")
    found = {str(path.relative_to(tmp_path / "graph")) for path in (tmp_path / "graph").rglob("*") if path.is_file()}
    assert found == set(taken)


@pytest.mark.slow
@pytest.mark.parametrize("tiles", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_the_whole_contract_is_proved(name: str, tiles: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On processors with matrix tiles and without: attention takes other ways there."""
    monkeypatch.setattr(kernels, "has_tiles", lambda: tiles)
    MODELS[name](tmp_path / "model")
    found = ct.export(tmp_path / "model", tmp_path / "graph")
    (graph,) = found.graphs
    assert graph.largest_difference <= 1e-5
    assert ExportResult.from_json((tmp_path / "graph" / "classtoken-export.json").read_text()) == found
    assert not list((tmp_path / "graph").rglob("*.bin"))


@pytest.mark.slow
@pytest.mark.parametrize("one", ORDINARY, ids=lambda one: one.name)
def test_ordinary_folders_have_a_graph(one: Ordinary, tmp_path: Path) -> None:
    """Proved before it is kept: norms, positions, masks and readouts of each."""
    found = ct.export(one.save(tmp_path / "model"), tmp_path / "graph", pooling=one.pooling)
    assert max(graph.largest_difference for graph in found.graphs) <= 1e-5


def test_a_graph_that_does_not_run_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = folders.sentence_transformer(tmp_path / "model")
    broken = onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument("no such\nplace")
    monkeypatch.setattr(onnxruntime.InferenceSession, "run", lambda *_: (_ for _ in ()).throw(broken))
    with pytest.raises(ModelError, match=r"does not run with a batch of 1 \(no such place\); nothing was written\.$"):
        ct.export(model, tmp_path / "graph")
    assert not (tmp_path / "graph").exists()


def test_ids_in_vector_out_on_either_side_of_padding(tmp_path: Path) -> None:
    """Nothing of this package: a tokenizer, NumPy, ONNX Runtime."""
    model = folders.sentence_transformer(tmp_path / "model", dense=16)
    ct.export(model, tmp_path / "graph")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "graph")
    session = onnxruntime.InferenceSession(str(tmp_path / "graph" / "onnx" / "model.onnx"))
    expected = ct.load(model).embed(folders.SENTENCES)
    for side in ("right", "left"):
        inputs = tokenizer(folders.SENTENCES, padding=True, truncation=True, max_length=12, padding_side=side)
        feed = {name: np.array(inputs[name], np.int64) for name in ("input_ids", "attention_mask")}
        (vectors,) = session.run(["sentence_embedding"], feed)
        np.testing.assert_allclose(vectors, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["max", "gem", "max@1", "weightedmean", "last"])
def test_every_pooling_is_right_for_rows_of_any_length(tmp_path: Path, pooling: str) -> None:
    """Longer ones than those that the graph was traced with too, and padded on either side."""
    model = folders.sentence_transformer(tmp_path / "model")
    ct.export(model, tmp_path / "graph", pooling=pooling)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "graph")
    session = onnxruntime.InferenceSession(str(tmp_path / "graph" / "onnx" / "model.onnx"))
    texts = ["cat", "a bird " * 4, "the dog sits"]
    expected = ct.load(model, pooling=pooling).embed(texts)
    for side in ("right", "left"):
        inputs = tokenizer(texts, padding="max_length", truncation=True, max_length=12, padding_side=side)
        feed = {name: np.array(inputs[name], np.int64) for name in ("input_ids", "attention_mask")}
        (vectors,) = session.run(["sentence_embedding"], feed)
        np.testing.assert_allclose(vectors, expected, atol=2e-5)


def test_states_are_the_references_and_its_modules_lie_beside(tmp_path: Path) -> None:
    """What sentence-transformers' ONNX backend and transformers.js read: `last_hidden_state`, then the modules."""
    from sentence_transformers.sentence_transformer import modules

    model = folders.sentence_transformer(tmp_path / "model")
    ct.export(model, tmp_path / "graph")
    graph = tmp_path / "graph"
    tokenizer = transformers.AutoTokenizer.from_pretrained(graph)
    inputs = tokenizer(folders.SENTENCES, padding=True, truncation=True, max_length=12, return_tensors="pt")
    session = onnxruntime.InferenceSession(str(graph / "onnx" / "model.onnx"))
    feed = {name: inputs[name].numpy() for name in ("input_ids", "attention_mask")}
    states, vectors = session.run(["last_hidden_state", "sentence_embedding"], feed)
    with torch.no_grad():
        reference = transformers.AutoModel.from_pretrained(model)(**inputs).last_hidden_state.numpy()
    real = inputs["attention_mask"].bool().numpy()
    np.testing.assert_allclose(states[real], reference[real], atol=1e-4)
    (folder,) = graph.glob("*_Pooling")
    pooling = modules.Pooling.load(str(folder))
    given = {"token_embeddings": torch.from_numpy(states), "attention_mask": inputs["attention_mask"]}
    pooled = torch.nn.functional.normalize(pooling(given)["sentence_embedding"], dim=-1)
    np.testing.assert_allclose(pooled.numpy(), vectors, atol=1e-5)


def test_the_graph_alone_is_one_file_that_says_what_it_is(tmp_path: Path) -> None:
    model = folders.sentence_transformer(tmp_path / "model", prompts=True)
    assert main(["export", str(model), "--out", str(tmp_path / "my graph.ONNX")]) == 0
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["my graph.ONNX"]
    session = onnxruntime.InferenceSession(str(tmp_path / "my graph.ONNX"))
    kept = ExportResult.from_json(session.get_modelmeta().custom_metadata_map["classtoken"])
    assert kept.files == ("my graph.ONNX",) == tuple(graph.file for graph in kept.graphs)
    assert kept == ct.export(model, tmp_path / "my graph.ONNX")
    ct.export(model, tmp_path / "folder")
    beside = onnxruntime.InferenceSession(str(tmp_path / "folder" / "onnx" / "model.onnx"))
    feed = {"input_ids": np.array([[2, 5, 6, 3]]), "attention_mask": np.ones((1, 4), np.int64)}
    for mine, theirs in zip(session.run(None, feed), beside.run(None, feed), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(OutputError, match="is named like a file, and a folder is written"):
        ct.export(model, tmp_path / "x.onnx", format="faiss")


def test_both_sides_of_a_model(tmp_path: Path) -> None:
    folders.tiny_clip(tmp_path / "clip")
    with pytest.raises(ContractError, match="has 2 sides, each a graph of its own; give a folder as `out`"):
        ct.export(tmp_path / "clip", tmp_path / "clip.onnx")
    found = ct.export(tmp_path / "clip", tmp_path / "graph")
    assert {graph.file: graph.output for graph in found.graphs} == {
        "onnx/text_model.onnx": "text_embeds",
        "onnx/vision_model.onnx": "image_embeds",
    }


@pytest.mark.slow
def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    model = folders.sentence_transformer(tmp_path / "model")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds 'mine\.txt', not an export of classtoken alone"):
        ct.export(model, tmp_path / "full", overwrite=True)
    assert main(["export", str(model), "--out", str(tmp_path / "graph"), "--pooling", "cls"]) == 0
    with pytest.raises(OutputError, match="an export of something else; set `overwrite`"):
        ct.export(model, tmp_path / "graph")
    assert ct.export(model, tmp_path / "graph", pooling="cls", overwrite=True).contract == "cls"
    with pytest.raises(ContractError, match="on the CPU in fp32"):
        ct.export(ct.load(model, precision="bf16"), tmp_path / "half")
    with pytest.raises(ContractError, match="one length at a time"):
        ct.export(made(tmp_path / "esm", "EsmModel", "EsmConfig", **VOCABULARY), tmp_path / "half")
    assert not (tmp_path / "half").exists()


def test_a_graph_that_cannot_be_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exporter prints the whole graph on stdout."""
    model = folders.sentence_transformer(tmp_path / "model")
    monkeypatch.setattr(TextGraph, "roles", lambda _, ids, mask: torch.isin(ids, mask).long())
    capfd.readouterr()
    assert main(["export", str(model), "--out", str(tmp_path / "graph"), "--quiet"]) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "cannot be written as an ONNX graph (Exporting the operator 'aten::isin'" in said.err
    assert not (tmp_path / "graph").exists()


class TestOfVectors:
    @pytest.fixture
    def vectors(self, tmp_path: Path) -> Path:
        (tmp_path / "texts.txt").write_text("\n".join(folders.SENTENCES))
        model = folders.sentence_transformer(tmp_path / "model")
        ct.embed(model, tmp_path / "texts.txt", tmp_path / "vectors", pooling="mean,cls")
        return tmp_path / "vectors"

    def test_faiss(self, vectors: Path, tmp_path: Path) -> None:
        faiss = pytest.importorskip("faiss", reason="faiss is not installed")
        with pytest.raises(OptionError, match="`pooling` is missing"):
            ct.export(vectors, tmp_path / "index", format="faiss")
        ct.export(vectors, tmp_path / "index", format="faiss", pooling="cls")
        with pytest.raises(OptionError, match="`pooling` is 'max'"):  # and what is there stays
            ct.export(vectors, tmp_path / "index", format="faiss", pooling="max", overwrite=True)
        index = faiss.read_index(str(tmp_path / "index" / "index.faiss"))
        found = ct.read(vectors).arrays["cls"]
        unit = found / np.linalg.norm(found, axis=1, keepdims=True)
        scores, places = index.search(unit, 1)
        assert places[:, 0].tolist() == [0, 1, 2, 3]
        np.testing.assert_allclose(scores[:, 0], 1, atol=1e-5)
        import pyarrow.parquet as pq

        assert pq.read_table(tmp_path / "index" / "rows.parquet").column("text").to_pylist() == folders.SENTENCES

    def test_lance(self, vectors: Path, tmp_path: Path) -> None:
        lancedb = pytest.importorskip("lancedb", reason="lancedb is not installed")
        found = ct.export(vectors, tmp_path / "lance", format="lance")
        assert found.rows == 4
        table = lancedb.connect(str(tmp_path / "lance")).open_table("vectors")
        wanted = ct.read(vectors).arrays["mean"][2]
        assert table.search(wanted, vector_column_name="mean").limit(1).to_list()[0]["id"] == "2"
