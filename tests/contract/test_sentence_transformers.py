"""Folders of sentence-transformers give the vectors that sentence-transformers gives, or are refused by their name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import folders
from tests.folders import SENTENCES
from torch import nn

import classtoken as ct
from classtoken.errors import ClasstokenError, ModelError, OptionError, UnsupportedModel

pytest.importorskip("sentence_transformers")


def saved(folder: Path, base: Path, *behind: Any, **settings: Any) -> Path:
    """A folder that sentence-transformers writes: an encoder, then these modules, no weight at its initial value."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    chain = [modules.Transformer(str(base)), *(folders.randomise(module, 7) for module in behind)]
    model = SentenceTransformer(modules=chain, device="cpu", **settings)
    model.save(str(folder), create_model_card=False)
    return folder


def theirs(folder: Path, items: list[Any], **options: Any) -> np.ndarray:
    """The vectors that sentence-transformers gives."""
    from sentence_transformers import SentenceTransformer

    found = SentenceTransformer(str(folder), device="cpu").encode(items, show_progress_bar=False, **options)
    return np.asarray(found)


def assert_same(found: Any, wanted: np.ndarray) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-5 * max(1.0, np.abs(wanted).max())


def pooling(mode: Any = "mean", size: int = 32, **more: Any) -> Any:
    from sentence_transformers.sentence_transformer import modules

    return modules.Pooling(size, mode, **more)


def dense(before: int, behind: int, activation: nn.Module | None = None, **more: Any) -> Any:
    from sentence_transformers.sentence_transformer import modules

    return modules.Dense(before, behind, activation_function=activation or nn.Tanh(), **more)


def other(name: str, *given: Any, **named: Any) -> Any:
    from sentence_transformers.sentence_transformer import modules

    return getattr(modules, name)(*given, **named)


CHAINS: dict[str, Callable[[], list[Any]]] = {
    "residual of equal sizes": lambda: [pooling(), dense(32, 32, use_residual=True)],
    "residual with a projection": lambda: [pooling(), dense(32, 16, nn.ReLU(), use_residual=True)],
    "dense without a bias": lambda: [pooling(), dense(32, 16, nn.Identity(), bias=False)],
    "leaky": lambda: [pooling(), dense(32, 16, nn.LeakyReLU())],
    "softplus": lambda: [pooling(), dense(32, 16, nn.Softplus())],
    "dense on every token": lambda: [dense(32, 24, module_input_name="token_embeddings"), pooling(size=24)],
    "tokens of unit length, then dense, then the sum": lambda: [
        other("Normalize", module_input_name="token_embeddings"),
        dense(32, 24, module_input_name="token_embeddings", use_residual=True),
        pooling("mean_sqrt_len_tokens", 24),
    ],
    "a dense whose output nobody reads": lambda: [
        pooling(),
        dense(32, 16, module_output_name="side"),
        other("Normalize"),
    ],
    "a dense read by the next": lambda: [
        pooling(),
        dense(32, 16, module_output_name="side"),
        dense(16, 8, module_input_name="side", module_output_name="sentence_embedding"),
    ],
    "normalised before the dense": lambda: [pooling("cls"), other("Normalize"), dense(32, 16)],
    "dropout": lambda: [pooling(), other("Dropout", 0.5), other("Normalize")],
    "layer norm": lambda: [pooling(("cls", "mean")), other("LayerNorm", 64), dense(64, 8)],
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small BERT."""
    return folders.tiny_bert(tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize("name", CHAINS)
def test_modules_behind_the_encoder(name: str, base: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path, base, *CHAINS[name]())
    assert_same(ct.load(folder).embed(SENTENCES), theirs(folder, SENTENCES))


@pytest.mark.parametrize("unit", [False, True])
def test_truncate_dim_keeps_the_first_numbers(unit: bool, base: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path, base, pooling(), *([other("Normalize")] if unit else []), truncate_dim=12)
    embedder = ct.load(folder)
    assert (embedder.contract.size, embedder.columns()) == (12, {"mean": 12})
    assert_same(embedder.embed(SENTENCES), theirs(folder, SENTENCES))
    wanted = theirs(folder, SENTENCES, normalize_embeddings=True)
    assert_same(ct.load(folder, normalize=True).embed(SENTENCES), wanted)


@pytest.mark.parametrize("mode", ["cls", "mean", "max", "weightedmean", "lasttoken", ("cls", "mean")])
def test_a_prompt_that_is_not_pooled(mode: Any, base: Path, tmp_path: Path) -> None:
    prompts = {"query": "the red bird: "}
    folder = saved(tmp_path, base, pooling(mode, include_prompt=False), prompts=prompts)
    embedder = ct.load(folder)
    assert_same(embedder.embed(SENTENCES, prompt="query"), theirs(folder, SENTENCES, prompt_name="query"))
    assert_same(embedder.embed(SENTENCES), theirs(folder, SENTENCES))


@pytest.mark.parametrize("template", ["$A", "[CLS] $A", "[CLS] $A [SEP] [SEP]"])
@pytest.mark.parametrize("mode", ["mean", ("cls", "weightedmean")])
def test_a_prompt_is_counted_less_one_special_token_at_its_end(
    template: str, mode: Any, base: Path, tmp_path: Path
) -> None:
    prompts = {"unknown": "the red bird : ", "spelled": "the red [SEP]", "plain": "the red ", "long": "the cat " * 40}
    folder = saved(tmp_path, base, pooling(mode, include_prompt=False), prompts=prompts)
    special = {
        token: {"id": token, "ids": [number], "tokens": [token]} for token, number in (("[CLS]", 2), ("[SEP]", 3))
    }
    single = [
        {"Sequence": {"id": "A", "type_id": 0}} if part == "$A" else {"SpecialToken": {"id": part, "type_id": 0}}
        for part in template.split()
    ]
    made = {"type": "TemplateProcessing", "single": single, "pair": [*single, *single], "special_tokens": special}
    changed(folder / "tokenizer.json", post_processor=made)
    embedder = ct.load(folder)
    for name in prompts:
        if name == "long":
            with pytest.raises(OptionError, match="nothing of a text would be read"):
                embedder.embed(SENTENCES, prompt=name)
        else:
            assert_same(embedder.embed(SENTENCES, prompt=name), theirs(folder, SENTENCES, prompt_name=name))


@pytest.mark.parametrize("mode", ["cls", "mean", "max", "lasttoken", "weightedmean"])
def test_images_are_pooled_over_every_token(mode: str, tmp_path: Path) -> None:
    from PIL import Image

    base = folders.tiny_vit(tmp_path / "vit", pooler=False)
    folder = saved(tmp_path / "st", base, pooling(mode))
    rng = np.random.default_rng(0)
    pictures: list[Any] = [Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)) for _ in range(3)]
    embedder = ct.load(folder)
    assert_same(embedder.embed(pictures), theirs(folder, pictures))
    asked = embedder.embed(pictures, pooling="mean")  # by name it is the mean of the patches, as everywhere
    states = embedder.states(pictures)
    assert_same(asked, states.last_BLD[:, 1:].mean(1).numpy())


@pytest.mark.parametrize("filling", [{"padding": "max_length"}, {"pad_to_multiple_of": 16}])
def test_a_prompt_that_is_not_pooled_beside_filled_up_texts_is_refused(
    filling: dict[str, Any], base: Path, tmp_path: Path
) -> None:
    folder = saved(tmp_path, base, pooling(include_prompt=False), prompts={"query": "the red bird: "})
    changed(folder / "sentence_bert_config.json", processing_kwargs={"text": filling})
    with pytest.raises(ModelError, match=r"leaves texts out\. Take one of the two out"):
        ct.load(folder)
    changed(folder / "1_Pooling" / "config.json", include_prompt=True)
    assert_same(ct.load(folder).embed(SENTENCES, prompt="query"), theirs(folder, SENTENCES, prompt_name="query"))


def modules_json(folder: Path, *kinds: str, prefix: str = "sentence_transformers.models.") -> Path:
    folder.mkdir(exist_ok=True)
    entries = [
        {"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "", "type": prefix + kind}
        for i, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(entries))
    return folder


@pytest.mark.parametrize(
    ("kinds", "reason"),
    [
        (("Transformer", "SpladePooling"), "sparse vectors"),
        (("MLMTransformer", "SpladePooling"), "sparse vectors"),
        (("Transformer", "Pooling", "SparseAutoEncoder"), "sparse vectors"),
        (("Transformer", "MultiVectorMask", "Normalize"), "one vector for each token"),
        (("Transformer", "Normalize"), "one vector for each token"),
        (("WordEmbeddings", "LSTM", "Pooling"), "without an encoder"),
        (("Transformer", "WordWeights", "Pooling"), "a table of its own"),
        (("BoW",), "counts words"),
    ],
)
def test_what_gives_no_one_vector_is_refused_by_its_name(kinds: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=reason):
        ct.load(modules_json(tmp_path / "folder", *kinds))  # without a config.json: modules.json is read first


def test_a_module_of_the_authors_own_is_named(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'Twist' that is not known"):
        ct.load(modules_json(tmp_path / "folder", "Transformer", "Twist", prefix="custom_st."))


def test_unit_length_of_tokens_that_stands_for_the_vector_is_no_vector(base: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path, base, pooling(), other("Normalize"))
    changed(folder / "2_Normalize" / "config.json", module_input_name="token_embeddings")
    with pytest.raises(UnsupportedModel, match="one vector for each token"):
        ct.load(folder)


@pytest.mark.parametrize(
    ("path", "reason"), [("", "names '' .Pooling., which is not there"), ("../1_Pooling", "does not lie in the folder")]
)
def test_a_pooling_without_a_folder_of_its_own(path: str, reason: str, base: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path, base, pooling())
    listed = json.loads((folder / "modules.json").read_text())
    listed[1]["path"] = path
    (folder / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(ModelError, match=reason):
        ct.load(folder)


def test_a_folder_that_lost_its_modules_is_asked_about(base: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path, base, pooling("cls"))
    (folder / "modules.json").unlink()
    embedder = ct.load(folder)
    with pytest.raises(ClasstokenError, match=r"no modules.json, which says how its vectors are pooled"):
        embedder.embed(SENTENCES)
    assert embedder.embed(SENTENCES, pooling="cls").shape == (4, 32)
    (folder / "modules.json").write_text("[]")
    with pytest.raises(ModelError, match="must be a list of modules"):
        ct.load(folder)


def changed(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"activation_function": "custom.Swirl"}, "custom.Swirl"),
        ({"activation_function": "torch.nn.modules.activation.Softmax"}, "Softmax"),
        ({"use_residual": True}, "must hold linear.bias, linear.weight, residual.weight"),
        ({"bias": False}, "must hold linear.weight"),
        ({"out_features": 17}, "says 32 -> 17"),
        ({"module_input_name": "nothing"}, "reads 'nothing'"),
    ],
)
def test_a_dense_that_cannot_be_computed_is_refused(
    values: dict[str, Any], reason: str, base: Path, tmp_path: Path
) -> None:
    folder = saved(tmp_path, base, pooling(), dense(32, 16))
    changed(folder / "2_Dense" / "config.json", **values)
    with pytest.raises(ClasstokenError, match=reason):
        ct.load(folder)


def test_the_activation_is_tanh_where_the_file_is_silent(base: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path, base, pooling(), dense(32, 16, nn.Identity()))
    path = folder / "2_Dense" / "config.json"
    config = json.loads(path.read_text())
    del config["activation_function"]
    path.write_text(json.dumps(config))
    assert_same(ct.load(folder).embed(SENTENCES), theirs(folder, SENTENCES))


@pytest.mark.parametrize("behind", [(), ("Normalize",)])
def test_a_clip_that_sentence_transformers_holds(behind: tuple[str, ...], tmp_path: Path) -> None:
    inner = folders.tiny_clip(tmp_path / "clip" / "0_CLIPModel")
    entries = [{"idx": 0, "name": "0", "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}]
    entries += [
        {"idx": 1, "name": "1", "path": f"1_{kind}", "type": f"sentence_transformers.models.{kind}"} for kind in behind
    ]
    (inner.parent / "modules.json").write_text(json.dumps(entries))
    for kind in behind:
        (inner.parent / f"1_{kind}").mkdir()
    found = ct.load(inner.parent).embed(SENTENCES, modality="text")
    assert_same(found, theirs(inner.parent, SENTENCES))
    assert bool(np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)) == bool(behind)


@pytest.mark.parametrize("kind", ["CLIPModel", "Transformer"])
@pytest.mark.parametrize(
    ("way", "same"),
    [
        (("get_text_features", "pooler_output"), True),
        (("get_text_features", "last_hidden_state"), False),
        (("get_image_features", "pooler_output"), False),
        (("forward", "image_embeds"), False),
    ],
)
def test_what_of_a_clip_is_its_vector(way: tuple[str, str], same: bool, kind: str, tmp_path: Path) -> None:
    """Only what is taken of a call for the projected vector is one: not states, nor the other side's vector."""
    inner = folders.tiny_clip(tmp_path / "clip" / "0")
    entries = [{"idx": 0, "name": "0", "path": "0", "type": f"sentence_transformers.models.{kind}"}]
    (inner.parent / "modules.json").write_text(json.dumps(entries))
    image = {"method": "get_image_features", "method_output_name": "pooler_output"}
    ways = {"text": {"method": way[0], "method_output_name": way[1]}, "image": image}
    settings = {"module_output_name": "sentence_embedding", "modality_config": ways}
    (inner / "sentence_bert_config.json").write_text(json.dumps(settings))
    if same:
        assert_same(ct.load(inner.parent).embed(SENTENCES, modality="text"), theirs(inner.parent, SENTENCES))
    else:
        with pytest.raises(UnsupportedModel, match=f"takes '{way[1]}' of '{way[0]}' for the vector of a text"):
            ct.load(inner.parent)


LONG = [*SENTENCES, "the cat sits on a mat " * 12 + "a dog runs"]


@pytest.mark.parametrize(
    "settings",
    [
        {"tokenizer_args": {"model_max_length": 6}},
        {"processor_kwargs": {"model_max_length": 6}, "max_seq_length": 9},
        {"max_seq_length": 10, "tokenizer_args": {"truncation_side": "left"}},
        {"processor_kwargs": {"do_lower_case": False}},
        {"processing_kwargs": {"text": {"max_length": 6, "truncation": True}}},
        {"processing_kwargs": {"text": {"add_special_tokens": False}}},
        {"processing_kwargs": {"common": {"return_tensors": "pt"}, "text": {"padding": "max_length"}}},
    ],
)
def test_how_the_tokenizer_is_made_and_called(settings: dict[str, Any], base: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path, base, pooling())
    changed(folder / "sentence_bert_config.json", **settings)
    assert_same(ct.load(folder).embed(LONG), theirs(folder, LONG))


def test_tokenizer_json_cuts_on_the_left_where_its_config_is_silent(base: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path, base, pooling(), truncate_dim=None)
    stored = {"direction": "Left", "max_length": 16, "strategy": "LongestFirst", "stride": 0}
    changed(folder / "tokenizer.json", truncation=stored)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    config.pop("truncation_side", None)
    path.write_text(json.dumps(config))
    assert_same(ct.load(folder).embed(LONG), theirs(folder, LONG))


def test_a_call_of_the_tokenizer_that_is_not_known_is_refused(base: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path, base, pooling())
    changed(folder / "sentence_bert_config.json", processing_kwargs={"text": {"stride": 3}})
    with pytest.raises(ModelError, match="stride = 3, which is not known here"):
        ct.load(folder)


@pytest.mark.parametrize(
    "files",
    [
        {"sentence_bert_config.json": {"max_seq_length": 6}, "sentence_roberta_config.json": {"max_seq_length": 9}},
        {"sentence_bert_config.json": {}, "sentence_roberta_config.json": {"max_seq_length": 9, "do_lower_case": True}},
        {"sentence_xlnet_config.json": {"max_seq_length": 5}, "sentence_albert_config.json": {"max_seq_length": 7}},
    ],
)
def test_of_several_files_of_settings_the_first_that_says_something_counts(
    files: dict[str, Any], base: Path, tmp_path: Path
) -> None:
    folder = saved(tmp_path, base, pooling())
    (folder / "sentence_bert_config.json").unlink()
    for name, values in files.items():
        (folder / name).write_text(json.dumps(values))
    assert_same(ct.load(folder).embed(LONG), theirs(folder, LONG))


SWITCHES = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")


@pytest.mark.parametrize("on", [SWITCHES, ("lasttoken", "max_tokens", "mean_tokens"), ("mean_tokens", "cls_token"), ()])
def test_old_switches_are_joined_in_one_order(on: tuple[str, ...], base: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path, base, pooling())
    config = {f"pooling_mode_{name}": name in on for name in (*on, *SWITCHES)}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **config}))
    assert_same(ct.load(folder).embed(SENTENCES), theirs(folder, SENTENCES))
    changed(folder / "1_Pooling" / "config.json", pooling_mode="max")  # beside which they count for nothing
    assert_same(ct.load(folder).embed(SENTENCES), theirs(folder, SENTENCES))


@pytest.mark.parametrize("includes", [(True, False), (False, True)])
def test_of_several_poolings_the_last_says_whether_prompts_are_pooled(
    includes: tuple[bool, bool], base: Path, tmp_path: Path
) -> None:
    chain = [pooling("mean", include_prompt=include) for include in includes]
    folder = saved(tmp_path, base, *chain, prompts={"query": "the red bird "}, default_prompt_name="query")
    assert_same(ct.load(folder).embed(SENTENCES), theirs(folder, SENTENCES))


def test_modules_follow_each_other_as_they_are_listed(base: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path, base, pooling(), dense(32, 16), other("Normalize"))
    path = folder / "modules.json"
    first, second, third, last = json.loads(path.read_text())
    path.write_text(json.dumps([first, second, last, third]))  # their numbers say otherwise
    assert_same(ct.load(folder).embed(SENTENCES), theirs(folder, SENTENCES))


@pytest.mark.parametrize("kind", ["DebertaV2", "GPT2"])
def test_the_first_token_of_a_model_that_comes_in_through_transformers(kind: str, tmp_path: Path) -> None:
    import transformers

    sizes = {"vocab_size": len(folders.WORDS), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = getattr(transformers, f"{kind}Config")(**sizes, pad_token_id=0)
    encoder = folders.randomise(getattr(transformers, f"{kind}Model")(config))
    encoder.save_pretrained(tmp_path / "base")  # type: ignore[operator]
    folders.bert_tokenizer(tmp_path / "base")
    folder = saved(tmp_path / "st", tmp_path / "base", pooling("cls"))
    assert_same(ct.load(folder).embed(SENTENCES), theirs(folder, SENTENCES))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"config_kwargs": {"num_hidden_layers": 1}}, "num_hidden_layers = 1 .config_kwargs."),
        ({"config_args": {"hidden_act": "relu"}}, "Write it into config.json"),
        ({"model_kwargs": {"subfolder": "onnx"}}, "subfolder = 'onnx'"),
        ({"tokenizer_args": {"add_bos_token": True}}, "Pass `accept` 'tokenizer_args.add_bos_token'"),
        ({"whiten": True}, "Pass `accept` 'whiten'"),
    ],
)
def test_what_sentence_transformers_would_hand_over_is_not_passed_over(
    settings: dict[str, Any], reason: str, base: Path, tmp_path: Path
) -> None:
    folder = saved(tmp_path, base, pooling())
    before = ct.load(folder).embed(SENTENCES)
    changed(folder / "sentence_bert_config.json", **settings)
    with pytest.raises(ClasstokenError, match=reason) as refusal:
        ct.load(folder)
    if "accept" in str(refusal.value):
        key = str(refusal.value).split("`accept` '")[1].split("'")[0]
        assert np.array_equal(ct.load(folder, accept=key).embed(SENTENCES), before)


def test_what_is_said_in_config_json_is_computed(base: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path, base, pooling())
    changed(folder / "sentence_bert_config.json", config_kwargs={"hidden_act": "relu"})
    wanted = theirs(folder, SENTENCES)
    changed(folder / "sentence_bert_config.json", config_kwargs={})
    changed(folder / "config.json", hidden_act="relu")
    assert_same(ct.load(folder).embed(SENTENCES), wanted)


def test_a_default_prompt_that_is_not_there(base: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path, base, pooling(), prompts={"query": "the red "})
    changed(folder / "config_sentence_transformers.json", default_prompt_name="passage")
    with pytest.raises(ModelError, match="takes the prompt 'passage' where none is named"):
        ct.load(folder)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"transformer_task": "fill-mask"}, "asks for the task 'fill-mask'"),
        (
            {"module_output_name": "sentence_embedding"},
            "takes 'last_hidden_state' of 'forward' for the vector of a text",
        ),
    ],
)
def test_an_encoder_asked_for_something_else(settings: dict[str, Any], reason: str, base: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path, base, pooling())
    changed(folder / "sentence_bert_config.json", **settings)
    entries = json.loads((folder / "modules.json").read_text())
    if "module_output_name" in settings:
        entries = [entries[0]]
    (folder / "modules.json").write_text(json.dumps(entries))
    with pytest.raises(UnsupportedModel, match=reason):
        ct.load(folder)


@pytest.mark.parametrize("way", [{}, {"format": "flat"}, {"format": "structured"}])
def test_texts_that_go_through_a_chat_template_are_refused(way: dict[str, str], base: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path, base, pooling())
    stored = json.loads((folder / "sentence_bert_config.json").read_text())["modality_config"]
    template = "{% for m in messages %}the cat sits {{ m['content'] }}{% endfor %}"
    changed(folder / "tokenizer_config.json", chat_template=template)
    assert_same(ct.load(folder).embed(SENTENCES), theirs(folder, SENTENCES))  # a template that nobody asks for
    modalities = {**stored, "message": {**stored["text"], **way}}
    changed(folder / "sentence_bert_config.json", modality_config=modalities)
    with pytest.raises(UnsupportedModel, match=r"chat template \('message' in modality_config\).*take 'message' out"):
        ct.load(folder)


@pytest.mark.parametrize("kind", [None, "", "SparseEncoder"])
def test_a_folder_of_another_type_is_refused(kind: str | None, base: Path, tmp_path: Path) -> None:
    """sentence-transformers converts it then: the layer norm is left out, which says nothing of what was meant."""
    folder = saved(tmp_path / "st", base, pooling(), other("LayerNorm", 32))
    meant = ct.load(folder).embed(SENTENCES)
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": kind}))
    assert kind == "SparseEncoder" or np.abs(theirs(folder, SENTENCES) - meant).max() > 1e-2
    with pytest.raises(UnsupportedModel, match=f"says model_type {kind!r}"):
        ct.load(folder)
