"""Loading and embedding: the reference's vectors, or a refusal that says why."""

import copy
import csv
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from sentence_transformers import SentenceTransformer
from tests import folders

import classtoken as ct
from classtoken.embedder import Embedder
from classtoken.encoder import kernels
from classtoken.errors import BadRecord, ContractError, ModelError, OptionError, TraceError, VectorRefused
from classtoken.inputs import prepare_one
from classtoken.tensors import say_no_bf16
from classtoken.values import Role


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "dense"),
    [
        ("mean", 0),
        ("cls", 0),
        ("max", 0),
        ("mean_sqrt_len_tokens", 0),
        ("weightedmean", 0),
        ("lasttoken", 0),
        ("mean", 16),
    ],
)
def test_sentence_transformers_folders_are_honoured_whole(tmp_path: Path, mode: str, dense: int) -> None:
    folder = folders.sentence_transformer(tmp_path / "st", mode=mode, dense=dense)
    theirs = SentenceTransformer(str(folder), device="cpu").encode(folders.SENTENCES)
    ours = ct.load(folder).embed(folders.SENTENCES)
    assert ours.shape == theirs.shape == (4, dense or 32)
    np.testing.assert_allclose(ours, theirs, atol=2e-6)


def test_a_dense_module_that_is_left_out_gives_another_vector(tmp_path: Path) -> None:
    folder = folders.sentence_transformer(tmp_path / "st", dense=16)
    embedder = ct.load(folder)
    assert embedder.contract.after == ("dense 32 -> 16, tanh",)
    assert embedder.embed(["cat"]).shape == (1, 16)
    assert embedder.embed(["cat"], pooling="mean").shape == (1, 32)  # a pooling named: nothing after it


@pytest.mark.parametrize("pooled", [True, False])
def test_prompts_are_put_before_and_left_out_of_the_mean_as_the_contract_says(tmp_path: Path, pooled: bool) -> None:
    folder = folders.sentence_transformer(tmp_path / "st", prompts=True, pooled=pooled)
    reference = SentenceTransformer(str(folder), device="cpu")
    embedder = ct.load(folder)
    np.testing.assert_allclose(embedder.embed(folders.SENTENCES), reference.encode(folders.SENTENCES), atol=2e-6)
    theirs = reference.encode(folders.SENTENCES, prompt_name="document")
    np.testing.assert_allclose(embedder.embed(folders.SENTENCES, prompt="document"), theirs, atol=2e-6)


def test_the_published_minilm_equals_sentence_transformers(minilm: Path) -> None:
    texts = [
        f"{a} {b}."
        for a in ("A man is playing", "Zebras run past", "The committee postponed")
        for b in ("a flute", "it")
    ]
    embedder = ct.load(minilm)
    assert (embedder.contract.pooling, embedder.contract.unit_length) == ("mean", True)
    theirs = SentenceTransformer(str(minilm), device="cpu").encode(texts)
    np.testing.assert_allclose(embedder.embed(texts), theirs, atol=1e-6)


def test_logits_and_labels_of_a_published_classifier(tmp_path: Path) -> None:
    import transformers

    folder = folders.tiny_vit(tmp_path / "vit", head=True)
    embedder = ct.load(folder)
    pictures = folders.pictures()
    with torch.no_grad():
        model = transformers.ViTForImageClassification.from_pretrained(folder).eval()
        theirs = model(pixel_values=embedder.tokens(pictures).pixels).logits.numpy()
    assert embedder.labels == ("cat", "dog", "bird")
    np.testing.assert_allclose(embedder.logits(pictures), theirs, atol=1e-5)


def test_a_text_classifier_reads_its_own_pooler(tmp_path: Path) -> None:
    import transformers

    folder = folders.tiny_bert(tmp_path / "bert", head=True)
    embedder = ct.load(folder)
    tokens = embedder.tokens(folders.SENTENCES)
    with torch.no_grad():
        model = transformers.BertForSequenceClassification.from_pretrained(folder).eval()
        theirs = model(input_ids=tokens.ids_BL, attention_mask=tokens.mask_BL.long()).logits.numpy()
    np.testing.assert_allclose(embedder.logits(folders.SENTENCES), theirs, atol=1e-5)


def test_a_classifier_that_is_not_read_is_not_called_absent(tmp_path: Path) -> None:
    import transformers

    sizes = {"vocab_size": len(folders.WORDS), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.LongformerConfig(**sizes, intermediate_size=32, attention_window=4, pad_token_id=0)
    transformers.LongformerForSequenceClassification(config).save_pretrained(tmp_path)
    folders.bert_tokenizer(tmp_path)
    with pytest.raises(
        ContractError, match="is a LongformerForSequenceClassification, and a classifier of this kind is"
    ):
        ct.load(tmp_path).logits(["a cat"])


def test_no_classifier_is_said(tmp_path: Path) -> None:
    embedder = ct.load(folders.tiny_vit(tmp_path / "vit"))
    with pytest.raises(ContractError, match="has no classifier"):
        embedder.logits(folders.pictures(1))
    with pytest.raises(ContractError, match="has no classifier"):
        _ = embedder.labels


def test_a_pooler_without_weights_is_refused_and_with_weights_is_exact(tmp_path: Path) -> None:
    import transformers

    with pytest.raises(VectorRefused, match=r"no weights for it .*RANDOM.*Ask for 'cls' instead"):
        ct.load(folders.tiny_vit(tmp_path / "without", head=True)).embed(folders.pictures(1), pooling="pooler")
    with pytest.raises(VectorRefused):
        ct.load(tmp_path / "without", pooling="pooler")
    folder = folders.tiny_vit(tmp_path / "with")
    embedder = ct.load(folder)
    pictures = folders.pictures()
    with torch.no_grad():
        model = transformers.ViTModel.from_pretrained(folder).eval()
        theirs = model(pixel_values=embedder.tokens(pictures).pixels)
    np.testing.assert_allclose(embedder.embed(pictures, pooling="pooler"), theirs.pooler_output, atol=1e-5)
    np.testing.assert_allclose(embedder.embed(pictures), theirs.last_hidden_state[:, 0], atol=1e-5)


def test_the_last_hidden_state_of_the_reference_is_normed_and_its_last_hidden_states_is_not(tmp_path: Path) -> None:
    import transformers

    folder = folders.tiny_vit(tmp_path / "vit")
    embedder = ct.load(folder)
    pictures = folders.pictures()
    with torch.no_grad():
        model = transformers.ViTModel.from_pretrained(folder).eval()
        theirs = model(pixel_values=embedder.tokens(pictures).pixels, output_hidden_states=True)
    found = embedder.embed(pictures, pooling="cls,cls@-1,cls@2n,cls@0,cls@1")
    assert list(found) == ["cls", "cls@-1", "cls@2n", "cls@0", "cls@1"]
    for name, reference in (
        ("cls", theirs.last_hidden_state),
        ("cls@-1", theirs.hidden_states[-1]),
        ("cls@0", theirs.hidden_states[0]),
        ("cls@1", theirs.hidden_states[1]),
        ("cls@2n", theirs.last_hidden_state),
    ):
        np.testing.assert_allclose(found[name], reference[:, 0], atol=1e-5, err_msg=name)
    assert np.abs(found["cls"] - found["cls@-1"]).max() > 0.1


def test_many_poolings_of_one_pass_equal_each_alone(tmp_path: Path) -> None:
    embedder = ct.load(folders.tiny_bert(tmp_path / "bert"))
    names = ["cls", "mean", "max", "last", "cls+mean@-2"]
    together = embedder.embed(folders.SENTENCES, pooling=",".join(names))
    for name in names:
        np.testing.assert_allclose(together[name], embedder.embed(folders.SENTENCES, pooling=name), atol=2e-6)
    assert embedder.columns(",".join(names)) == {n: (64 if "+" in n else 32) for n in names}


def test_the_order_of_the_items_is_kept_whatever_the_batches(tmp_path: Path) -> None:
    embedder = ct.load(folders.tiny_bert(tmp_path / "bert"))
    texts = [" ".join(folders.WORDS[5 + (i * k) % 15] for k in range(1, 2 + i % 7)) for i in range(40)]
    together = embedder.embed(texts)
    np.testing.assert_allclose(together, np.concatenate([embedder.embed([t]) for t in texts]), atol=2e-6)
    np.testing.assert_allclose(together, embedder.embed(texts, batch=3), atol=2e-6)


def test_text_that_is_too_long_is_cut_and_counted(tmp_path: Path) -> None:
    embedder = ct.load(folders.sentence_transformer(tmp_path / "st"))
    tokens = embedder.tokens(["cat " * 50, "cat"])
    assert tokens.roles_BL.shape[1] == 12
    assert tokens.cut == (40, 0)


def test_an_image_is_a_path_bytes_a_picture_or_an_array(tmp_path: Path) -> None:
    embedder = ct.load(folders.tiny_vit(tmp_path / "vit"))
    picture = folders.pictures(1)[0]
    path = tmp_path / "x.png"
    picture.save(path)
    vectors = [embedder.embed(item) for item in (picture, path, str(path), path.read_bytes(), [np.asarray(picture)])]
    for vector in vectors:
        np.testing.assert_array_equal(vector, vectors[0])


def test_no_items_give_no_rows(tmp_path: Path) -> None:
    assert len(ct.load(folders.tiny_bert(tmp_path / "bert")).embed([])) == 0


def test_trace_gives_what_is_asked_and_refuses_what_is_not_there(tmp_path: Path) -> None:
    embedder = ct.load(folders.tiny_vit(tmp_path / "vit"))
    trace = embedder.trace(folders.pictures(2), ["blocks.1.weights", "final"])
    assert trace.kept["blocks.1.weights"].shape == (2, 4, 17, 17)
    with pytest.raises(TraceError, match=r"blocks\.2\.weights.*2 blocks"):
        embedder.trace(folders.pictures(1), ["blocks.2.weights"])
    states = embedder.states(folders.pictures(1))
    assert states.roles_BL[0, 0] == Role.CLASS
    torch.testing.assert_close(states.last_BLD[0], trace.kept["final"][0], atol=1e-5, rtol=1e-5)


def test_bfloat16_is_near_and_comes_out_as_float32(tmp_path: Path) -> None:
    folder = folders.tiny_bert(tmp_path / "bert")
    whole, half = (ct.load(folder, precision=p).embed(folders.SENTENCES) for p in ("fp32", "bf16"))
    assert half.dtype == np.float32
    cosine = (unit(whole) * unit(half)).sum(1)
    assert cosine.min() > 0.99


@pytest.fixture
def without_bf16(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A processor that does not multiply bf16 numbers."""
    monkeypatch.setattr("classtoken.embedder.embedder.multiplies_bf16", lambda device: False)
    monkeypatch.setattr("classtoken.encoder.kernels.multiplies_bf16", lambda device: False)
    kernels.right.cache_clear()
    say_no_bf16.cache_clear()
    yield
    kernels.right.cache_clear()


@pytest.mark.usefixtures("without_bf16")
def test_a_processor_without_bf16_computes_in_fp32(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its weights are what they are in bf16, so its vectors are those of other processors within bf16; said once."""
    folder = folders.tiny_bert(tmp_path / "bert")
    whole = ct.load(folder).embed(folders.SENTENCES)
    embedders = [ct.load(folder, precision="bf16") for _ in range(2)]
    assert caplog.text.count("does not multiply bf16") == 1
    weights = embedders[0].tower().reading.encoder.state_dict().values()
    assert all(weight.dtype == torch.float32 and torch.equal(weight, weight.bfloat16().float()) for weight in weights)
    found = embedders[0].embed(folders.SENTENCES)
    assert not np.array_equal(found, whole)
    assert (unit(whole) * unit(found)).sum(1).min() > 0.99
    with pytest.raises(ContractError, match="in fp32"):
        ct.export(embedders[0], tmp_path / "graph")


@pytest.mark.usefixtures("without_bf16")
def test_int8_does_without_bf16(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Products are of whole numbers there too, as was asked for: there is nothing to say."""
    folder = folders.tiny_bert(tmp_path / "bert")
    embedder = ct.load(folder, precision="int8")
    assert embedder.products() == "int8"
    assert not caplog.text
    whole, found = (model.embed(folders.SENTENCES) for model in (ct.load(folder), embedder))
    assert 0.97 < (unit(whole) * unit(found)).sum(1).min() < 0.9999


class TestWholeNumbers:
    def test_they_are_near(self, minilm: Path) -> None:
        whole, exact = (ct.load(minilm, precision=p).embed(folders.SENTENCES) for p in ("int8", "fp32"))
        cosine = (unit(whole) * unit(exact)).sum(1)
        assert cosine.min() > 0.97
        assert cosine.max() < 0.9999  # they are not the exact ones

    def test_no_vector_depends_on_its_batch(self, minilm: Path) -> None:
        embedder = ct.load(minilm, precision="int8")
        texts = [f"{sentence} {'and more ' * (i % 5)}" for i, sentence in enumerate(folders.SENTENCES * 4)]
        alone = np.concatenate([embedder.embed([text]) for text in texts])
        order = np.random.default_rng(0).permutation(len(texts))
        for batch in (None, 3):
            together = embedder.embed([texts[i] for i in order], batch=batch)
            np.testing.assert_allclose(together, alone[order], atol=1e-6, rtol=0)

    @pytest.mark.slow
    def test_with_a_scale_a_batch_they_do(self, minilm: Path, tmp_path: Path) -> None:
        """What the test above would say of ONNX Runtime's dynamic int8: the same graph of the same model, quantised."""
        runtime = pytest.importorskip("onnxruntime")
        pytest.importorskip("onnx")
        from onnxruntime.quantization import QuantType, quantize_dynamic
        from tokenizers import Tokenizer

        graph = tmp_path / "graph"
        ct.export(minilm, graph)
        quantize_dynamic(graph / "onnx/model.onnx", tmp_path / "int8.onnx", weight_type=QuantType.QInt8)
        session = runtime.InferenceSession(str(tmp_path / "int8.onnx"))
        tokenizer = Tokenizer.from_file(str(graph / "tokenizer.json"))
        tokenizer.enable_padding()

        def vectors(texts: list[str]) -> np.ndarray:
            encoded = tokenizer.encode_batch(texts)
            fed = {"input_ids": [e.ids for e in encoded], "attention_mask": [e.attention_mask for e in encoded]}
            (found,) = session.run(["sentence_embedding"], {name: np.array(v) for name, v in fed.items()})
            return found

        together = vectors(folders.SENTENCES)
        alone = np.concatenate([vectors([text]) for text in folders.SENTENCES])
        moved = np.abs(unit(together) - unit(alone)).max(1)
        assert (moved > 1e-4).all()

    def test_what_is_traced_is_computed_plainly(self, tmp_path: Path) -> None:
        embedder = ct.load(folders.tiny_bert(tmp_path / "bert"), precision="int8")
        embedder.embed(folders.SENTENCES)
        assert embedder.trace(folders.SENTENCES, ["final"]).kept["final"].isfinite().all()

    def test_a_foreign_encoder_has_none(self, tmp_path: Path) -> None:
        folder = tmp_path / "foreign"
        transformers.SqueezeBertModel(
            transformers.SqueezeBertConfig(
                vocab_size=60,
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=16,
                embedding_size=16,
                q_groups=1,
                k_groups=1,
                v_groups=1,
                post_attention_groups=1,
                intermediate_groups=1,
                output_groups=1,
            )
        ).save_pretrained(folder)
        folders.bert_tokenizer(folder)
        with pytest.raises(OptionError, match="native"):
            ct.load(folder, precision="int8", pooling="mean")


def test_fast_products_are_those_of_the_modules(tmp_path: Path) -> None:
    """What `embed` computes on laid-out weights is what a trace sees, and saving writes the file's own numbers."""
    embedder = ct.load(folders.tiny_bert(tmp_path / "bert"), pooling="mean")
    vectors = embedder.embed(folders.SENTENCES)
    again = ct.load(embedder.save(tmp_path / "copy")).embed(folders.SENTENCES)
    np.testing.assert_allclose(vectors, again, atol=1e-6)
    embedder._fast = dict.fromkeys(embedder.towers)
    np.testing.assert_allclose(vectors, embedder.embed(folders.SENTENCES), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("precision", "fp8", "fp32, bf16, int8"), ("device", "abacus", "Try cpu"), ("pooling", "cls@9", "2 blocks")],
)
def test_options_that_are_not_allowed(tmp_path: Path, option: str, value: str, message: str) -> None:
    folder = folders.tiny_bert(tmp_path / "bert")
    with pytest.raises(ct.errors.ClasstokenError, match=message):
        ct.load(folder, **{option: value})


def test_a_text_is_not_asked_of_an_image_model(tmp_path: Path) -> None:
    embedder = ct.load(folders.tiny_vit(tmp_path / "vit"))
    with pytest.raises(OptionError, match="reads image, not text"):
        embedder.embed(["x"], modality="text")


def test_normalize_gives_unit_length_over_any_pooling(tmp_path: Path) -> None:
    folder = folders.tiny_bert(tmp_path / "bert")
    np.testing.assert_allclose(
        ct.load(folder, pooling="cls", normalize=True).embed(folders.SENTENCES),
        unit(ct.load(folder, pooling="cls").embed(folders.SENTENCES)),
        atol=1e-6,
    )


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class TestRealModels:
    @pytest.mark.slow
    def test_deit_on_real_photographs_gives_the_references_answers(self, shared: Path) -> None:
        import transformers

        rows = rows_of(shared / "data/imagenet-samples/labels.csv")
        files = [shared / "data/imagenet-samples" / row["file"] for row in rows]
        truth = np.array([int(row["class_index"]) for row in rows])
        folder = shared / "models/deit-tiny-patch16-224"
        embedder = ct.load(folder)
        answers = embedder.logits(files).argmax(1)
        model = transformers.ViTForImageClassification.from_pretrained(folder).eval()
        theirs = []
        for start in range(0, len(files), 23):
            with torch.no_grad():
                theirs.append(model(pixel_values=embedder.tokens(files[start : start + 23]).pixels).logits.argmax(1))
        np.testing.assert_array_equal(answers, np.concatenate(theirs))
        assert (answers == truth).sum() == 58

    @pytest.mark.slow
    def test_the_original_recipe_is_right_more_often(self, shared: Path) -> None:
        rows = rows_of(shared / "data/imagenet-samples/labels.csv")
        files = [shared / "data/imagenet-samples" / row["file"] for row in rows]
        truth = np.array([int(row["class_index"]) for row in rows])
        embedder = ct.load(shared / "models/deit-tiny-patch16-224")
        prepare = embedder.tower().prepare
        prepare.recipe = prepare.recipe.short_side()
        assert (embedder.logits(files).argmax(1) == truth).sum() == 62

    @pytest.mark.slow
    def test_sts_b_has_the_spearman_of_sentence_transformers(self, shared: Path, minilm: Path) -> None:
        from scipy.stats import spearmanr

        rows = rows_of(shared / "data/text/stsb/dev.csv")
        texts = [row[side] for side in ("sentence1", "sentence2") for row in rows]
        truth = [float(row["score"]) for row in rows]
        ours = ct.load(minilm).embed(texts)
        theirs = SentenceTransformer(str(minilm), device="cpu").encode(texts, batch_size=128)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
        one, other = (spearmanr((v[: len(rows)] * v[len(rows) :]).sum(1), truth).statistic for v in (ours, theirs))
        assert round(one, 4) == round(other, 4)


class TestSave:
    @pytest.mark.parametrize("kind", ["vit", "bert", "st"])
    def test_a_saved_folder_gives_the_same_vectors_here_and_in_the_reference(self, tmp_path: Path, kind: str) -> None:
        makers = {"vit": folders.tiny_vit, "bert": folders.tiny_bert, "st": folders.sentence_transformer}
        source = makers[kind](tmp_path / "source")
        items = folders.pictures() if kind == "vit" else folders.SENTENCES
        embedder = ct.load(source)
        with torch.no_grad():
            for parameter in embedder.encoder.parameters():
                parameter.mul_(1.01)  # the weights in memory are saved, not those of the file
        folder = embedder.save(tmp_path / "saved")
        np.testing.assert_allclose(ct.load(folder).embed(items), embedder.embed(items), atol=1e-6)
        if kind == "st":
            theirs = SentenceTransformer(str(folder), device="cpu").encode(items)
            np.testing.assert_allclose(theirs, embedder.embed(items), atol=2e-6)

    def test_another_readout_is_kept(self, tmp_path: Path) -> None:
        folder = ct.load(folders.tiny_bert(tmp_path / "a"), pooling="cls+mean@-2", normalize=True).save(tmp_path / "b")
        again = ct.load(folder)
        assert (again.contract.pooling, again.contract.unit_length, again.contract.size) == ("cls+mean@-2", True, 64)

    def test_a_folder_that_holds_something_is_not_touched(self, tmp_path: Path) -> None:
        embedder = ct.load(folders.tiny_bert(tmp_path / "a"))
        (tmp_path / "b").mkdir()
        (tmp_path / "b/mine.txt").write_text("mine")
        with pytest.raises(ct.errors.OutputError, match="holds something"):
            embedder.save(tmp_path / "b")
        assert [path.name for path in (tmp_path / "b").iterdir()] == ["mine.txt"]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [("hidden_size", "large", "cannot be"), ("num_hidden_layers", 3, "missing"), ("hidden_act", "xyz", "'xyz'")],
)
def test_a_config_that_cannot_be_is_one_line(tmp_path: Path, key: str, value: object, message: str) -> None:
    folder = folders.tiny_bert(tmp_path / "bert")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, key: value}))
    with pytest.raises(ct.errors.ModelError, match=message) as error:
        ct.load(folder)
    assert "\n" not in str(error.value)


def test_a_token_without_a_row_is_named_and_costs_its_text_only(tmp_path: Path) -> None:
    folder = folders.tiny_bert(tmp_path / "model")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<user>"])
    tokenizer.save_pretrained(folder)
    embedder = ct.load(folder)
    assert embedder.embed(["cat"]).shape == (1, 32)
    with pytest.raises(BadRecord, match=r"text 1: the token '<user>'.* has no row"):
        embedder.embed(["cat", "<user> cat"])


def test_one_picture_is_one_vector_whatever_asks() -> None:
    embedder = ct.load("builtin:photos")
    picture = np.random.default_rng(0).integers(0, 255, (24, 30, 3), dtype=np.uint8)
    assert embedder.embed(picture).shape == (1, 192)
    np.testing.assert_array_equal(embedder.embed(picture), embedder.embed([picture]))
    assert embedder.logits(picture).shape[0] == embedder.probabilities(picture).shape[0] == 1
    assert len(embedder.tokens(picture)) == 1


def test_a_model_for_greyscale_pictures_equals_transformers(tmp_path: Path) -> None:
    config = transformers.ViTConfig(
        image_size=32,
        patch_size=8,
        num_channels=1,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
    )
    torch.manual_seed(0)
    reference = transformers.ViTModel(config).eval()
    reference.save_pretrained(tmp_path)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}, image_mean=[0.4], image_std=[0.3]).save_pretrained(
        tmp_path
    )
    grey = np.random.default_rng(0).integers(0, 255, (32, 32), dtype=np.uint8)
    pixels = torch.from_numpy((grey / 255 - 0.4) / 0.3).float()[None, None]
    with torch.no_grad():
        wanted = reference(pixel_values=pixels).last_hidden_state[:, 0].numpy()
    embedder = ct.load(tmp_path)
    np.testing.assert_allclose(embedder.embed([Image.fromarray(grey)], pooling="cls"), wanted, atol=1e-5)
    np.testing.assert_allclose(embedder.embed(np.stack([grey] * 3, -1), pooling="cls"), wanted, atol=1e-5)
    assert prepare_one(embedder.tower().prepare, grey).view.picture.shape == (32, 32, 3)


def test_loading_draws_nothing_from_the_callers_random_numbers(tmp_path: Path) -> None:
    """Torch fills new modules at random before the file's weights replace that: it must not show."""
    folder = folders.sentence_transformer(tmp_path / "st", dense=16)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    ct.load(folder)
    ct.load("builtin:toy")
    assert torch.equal(torch.rand(4), expected)


def test_max_length_is_taken_in_the_place_of_the_files_limit(tmp_path: Path) -> None:
    """Up to the positions that there are; cut as the tokenizer cuts, and another preprocessing for the fingerprint."""
    folder = folders.tiny_bert(tmp_path / "bert")
    folders.bert_tokenizer(folder, longest=16)  # of 32 positions
    text, short = "the old boat " * 20, ct.load(folder, max_length=8)
    assert short.tokens([text]).ids_BL.shape == (1, 8)
    assert ct.load(folder).tokens([text]).ids_BL.shape == (1, 16)
    assert ct.load(folder, max_length=32).tokens([text]).ids_BL.shape == (1, 32)
    assert short.fingerprint().preprocessing != ct.load(folder).fingerprint().preprocessing
    assert short.fingerprint().spaces == ct.load(folder).fingerprint().spaces
    with pytest.raises(OptionError, match="`max_length` 33 must be at least 1 and at most 32, the positions"):
        ct.load(folder, max_length=33)
    with pytest.raises(OptionError, match="reads images"):
        ct.load(folders.tiny_vit(tmp_path / "vit"), max_length=8)


def test_nothing_gives_nothing_of_the_right_size(tmp_path: Path) -> None:
    embedder = ct.load(folders.tiny_bert(tmp_path / "bert", head=True))
    assert embedder.embed([], pooling="cls").shape == (0, 32)
    several = embedder.embed([], pooling="cls,cls+mean")
    assert {name: array.shape for name, array in several.items()} == {"cls": (0, 32), "cls+mean": (0, 64)}
    assert embedder.logits([]).shape == embedder.probabilities([]).shape == (0, 3)


@pytest.mark.parametrize("nothing", ["", "  "])
def test_an_empty_text_has_no_vector_here_either(nothing: str, tmp_path: Path) -> None:
    """As in files, where it is set aside."""
    embedder = ct.load(folders.tiny_bert(tmp_path / "bert", head=True))
    for run in (embedder.embed, embedder.logits, embedder.probabilities):
        with pytest.raises(BadRecord, match="1: is empty; leave it out"):
            run(["a cat", nothing])  # type: ignore[operator]


def test_a_prompt_by_name_and_one_in_words_are_two_options(tmp_path: Path) -> None:
    folder = folders.sentence_transformer(tmp_path / "st", prompts=True)
    embedder = ct.load(folder)
    words = json.loads((folder / "config_sentence_transformers.json").read_text())["prompts"]["document"]
    named = embedder.embed(["cat"], prompt="document")
    np.testing.assert_allclose(named, embedder.embed(["cat"], prompt_text=words), atol=1e-6)
    with pytest.raises(OptionError, match="'document' is the name of a prompt"):
        embedder.embed(["cat"], prompt_text="document")
    with pytest.raises(OptionError, match="give one"):
        embedder.tokens(["cat"], prompt="document", prompt_text="x")
    for run in (embedder.embed, embedder.tokens):
        with pytest.raises(OptionError, match=r"has no prompt called 'querry'; its prompts are .* Words go into"):
            run(["cat"], prompt="querry")  # type: ignore[operator]


def test_an_embedder_says_what_it_is(tmp_path: Path) -> None:
    folder = folders.tiny_bert(tmp_path / "bert")
    assert repr(ct.load(folder)) == f"Embedder({str(folder)!r}, text: mean (32), fp32 on cpu)"


def again(embedder: Embedder) -> Embedder:
    """Pickled and back."""
    loaded = pickle.loads(pickle.dumps(embedder))
    assert isinstance(loaded, Embedder)
    return loaded


@pytest.mark.parametrize("how", [{}, {"pooling": "mean"}, {"precision": "int8"}], ids=str)
def test_a_pickled_one_is_loaded_again(how: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For workers of a data loader: from another working directory too, and also after it has computed."""
    folders.tiny_bert(tmp_path / "bert", head=True)
    monkeypatch.chdir(tmp_path)
    embedder = ct.load("bert", **how)
    vectors = embedder.embed(folders.SENTENCES)
    sent = pickle.dumps(embedder)
    assert len(sent) < 2000  # no weights
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(pickle.loads(sent).embed(folders.SENTENCES), vectors)
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(copy.deepcopy(embedder).embed(folders.SENTENCES), vectors)


def test_a_pickled_side_is_that_side(tmp_path: Path) -> None:
    embedder = ct.load(folders.tiny_clip(tmp_path / "clip"))
    assert again(embedder).modalities == embedder.modalities
    side = again(embedder.side("text"))
    assert side.modalities == ("text",)
    np.testing.assert_array_equal(side.embed(["cat"]), embedder.embed(["cat"], modality="text"))


def test_what_was_changed_in_memory_is_not_pickled_as_something_else(tmp_path: Path) -> None:
    embedder = ct.load(folders.tiny_bert(tmp_path / "bert", head=True))
    with torch.no_grad():
        next(embedder.encoder.parameters()).add_(1)
    with pytest.raises(ModelError, match=r"is not the one that was pickled.*Save it as a folder"):
        again(embedder)


def test_the_callers_autocast_changes_nothing(tmp_path: Path) -> None:
    embedder = ct.load(folders.tiny_bert(tmp_path / "bert", head=True))
    outside = embedder.embed(folders.SENTENCES), embedder.logits(folders.SENTENCES)
    with torch.autocast("cpu", torch.bfloat16):
        inside = embedder.embed(folders.SENTENCES), embedder.logits(folders.SENTENCES)
        assert torch.is_autocast_enabled("cpu")
    for one, other in zip(outside, inside, strict=True):
        np.testing.assert_array_equal(one, other)
