"""Names that are no model: one line says what is there instead, and the way that it names leads to a model."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests import folders

import classtoken as ct
from classtoken.errors import ClasstokenError

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 123\n"


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.tiny_bert(tmp_path_factory.mktemp("base"))


def copied(bert: Path, to: Path) -> Path:
    shutil.copytree(bert, to)
    return to


def without_weights(bert: Path, to: Path, name: str = "") -> Path:
    """A copy whose weights are called otherwise, or gone."""
    weights = copied(bert, to) / "model.safetensors"
    weights.rename(weights.with_name(name)) if name else weights.unlink()
    return to


def folder_of_weights(bert: Path, to: Path) -> Path:
    (without_weights(bert, to) / "model.safetensors").mkdir()
    return to


def pipe_for_a_config(bert: Path, to: Path) -> Path:
    (copied(bert, to) / "config.json").unlink()
    os.mkfifo(to / "config.json")
    return to


def config_with(bert: Path, to: Path, **values: object) -> Path:
    file = copied(bert, to) / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
    return to


def linked_to_nothing(bert: Path, to: Path) -> Path:
    (without_weights(bert, to) / "model.safetensors").symlink_to(to / "blobs" / "gone")
    return to


def no_tensors(bert: Path, to: Path) -> Path:
    save_file({}, copied(bert, to) / "model.safetensors", metadata={"format": "pt"})
    return to


def written(bert: Path, to: Path, name: str, content: str | bytes) -> Path:
    (copied(bert, to) / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return to


def inside(bert: Path, to: Path, *names: str) -> Path:
    for name in names:
        copied(bert, to / name)
    return to


def half_downloaded(bert: Path, to: Path) -> Path:
    place = to / "models--org--name" / "snapshots" / "abc"
    place.mkdir(parents=True)
    shutil.copy(bert / "config.json", place)
    return place


def packed(bert: Path, to: Path) -> Path:
    return Path(shutil.make_archive(str(to), "zip", bert))


def a_file(to: Path, name: str) -> Path:
    to.mkdir()
    (to / name).write_bytes(b"GGUF")
    return to / name


ODD: dict[str, tuple[Callable[[Path, Path], Path | str], str]] = {
    "a file of a model": (lambda bert, to: bert / "model.safetensors", "is named by its folder: '"),
    "a file alone": (lambda bert, to: a_file(to, "my.safetensors"), "Put config.json and the"),
    "a zip": (packed, "Unpack it"),
    "a gguf": (lambda bert, to: a_file(to, "x.gguf"), "llama.cpp; get the model that it was made from"),
    "a folder around": (lambda bert, to: inside(bert, to, "inner"), r"There are models in it: '\S+inner'. Name that"),
    "checkpoints": (lambda bert, to: inside(bert, to, "checkpoint-1", "checkpoint-2"), "Name one of them"),
    "the hub's folder": (lambda bert, to: inside(bert, to, "snapshots/abc"), "snapshots/abc'. Name that"),
    "half downloaded": (half_downloaded, "the download was not finished"),
    "cut off": (lambda bert, to: without_weights(bert, to, "model.safetensors.incomplete"), "a download that was cut"),
    "a link to nothing": (linked_to_nothing, r"leads to nothing \(\S+gone\)"),
    "TensorFlow's": (lambda bert, to: without_weights(bert, to, "tf_model.h5"), "tf_model.h5: TensorFlow's weights"),
    "another name": (lambda bert, to: without_weights(bert, to, "best.safetensors"), "call the file model.safetensors"),
    "no weights": (without_weights, "Name a folder with weights in safetensors"),
    "a folder for weights": (folder_of_weights, "holds no model.safetensors: model.safetensors is a folder"),
    "a pipe for a config": (pipe_for_a_config, "config.json is no file, but a folder, a pipe or a device"),
    "no tensors": (no_tensors, "37 missing"),
    "an empty file": (lambda bert, to: written(bert, to, "model.safetensors", b""), "cannot be read"),
    "weights of Git LFS": (lambda bert, to: written(bert, to, "model.safetensors", POINTER), "git lfs pull"),
    "a config of Git LFS": (lambda bert, to: written(bert, to, "config.json", POINTER), "git lfs pull"),
    "NaN": (lambda bert, to: config_with(bert, to, layer_norm_eps=float("nan")), "holds NaN, which is no number"),
    "deep": (lambda bert, to: written(bert, to, "config.json", "[" * 100_000), "no readable JSON file"),
    "too many blocks": (lambda bert, to: config_with(bert, to, num_hidden_layers=10**12), "no model is that deep"),
    "an adapter without its settings": (
        lambda bert, to: written(bert, to, "adapter_model.safetensors", b"x"),
        "no adapter_config.json that says how it is merged",
    ),
    "depth as text": (lambda bert, to: config_with(bert, to, num_hidden_layers="2"), "holds a value that cannot be"),
    "below nothing": (lambda bert, to: config_with(bert, to, vocab_size=-9), "must be 1 or more, not -9; copy it"),
    "epsilon below nothing": (lambda bert, to: config_with(bert, to, layer_norm_eps=-1.0), "0 or more, not -1; copy"),
    "a flag as text": (
        lambda bert, to: config_with(bert, to, is_decoder="false"),
        "is_decoder must be true or false, not 'false'",
    ),
    "too wide": (lambda bert, to: config_with(bert, to, hidden_size=10**9), "of another shape"),
    "no type": (lambda bert, to: config_with(bert, to, model_type=""), "names no model_type"),
    "an unknown type": (lambda bert, to: config_with(bert, to, model_type="newbert"), "Update transformers"),
    "nothing": (lambda bert, to: "", "there is no folder ''"),
    "two lines": (lambda bert, to: "a\nb", r"there is no folder 'a\\nb'"),
    "a name that is too long": (lambda bert, to: "x" * 5000, "there can be no folder"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_there_instead_is_said_in_one_line(name: str, bert: Path, tmp_path: Path) -> None:
    make, says = ODD[name]
    model = make(bert, tmp_path / "model")
    for verb in (ct.load, ct.inspect):
        with pytest.raises(ClasstokenError, match=says) as refusal:
            verb(model)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["a file of a model", "a folder around", "checkpoints", "the hub's folder"])
def test_the_folder_that_is_named_opens(name: str, bert: Path, tmp_path: Path) -> None:
    with pytest.raises(ClasstokenError) as refusal:
        ct.load(ODD[name][0](bert, tmp_path / "model"))
    paths = [path for path in re.findall("'([^']+)'", str(refusal.value)) if (Path(path) / "config.json").is_file()]
    assert np.array_equal(ct.load(paths[0]).embed("the cat"), ct.load(bert).embed("the cat"))


def test_a_key_that_only_speaks_of_layers_counts_none(bert: Path, tmp_path: Path) -> None:
    folder = config_with(bert, tmp_path / "model", vocab_size_per_layer_input=262_144)
    assert np.array_equal(ct.load(folder).embed("the cat"), ct.load(bert).embed("the cat"))


def test_pickled_weights_open_once_they_are_converted_as_the_refusal_says(bert: Path, tmp_path: Path) -> None:
    from transformers import BertModel

    folder = without_weights(bert, tmp_path / "model")
    torch.save(load_file(bert / "model.safetensors"), folder / "pytorch_model.bin")
    with pytest.raises(ClasstokenError, match=r"save_pretrained\(..., safe_serialization=True\)"):
        ct.load(folder)
    BertModel.from_pretrained(folder).save_pretrained(folder, safe_serialization=True)
    assert np.array_equal(ct.load(folder).embed("the cat"), ct.load(bert).embed("the cat"))


def test_a_link_and_links_to_files_are_the_model(bert: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(bert)
    (tmp_path / "files").mkdir()
    for file in bert.iterdir():
        (tmp_path / "files" / file.name).symlink_to(file)
    wanted = ct.load(bert).embed("the cat")
    assert all(np.array_equal(ct.load(tmp_path / name).embed("the cat"), wanted) for name in ("link", "files"))


def test_a_model_opens_where_neither_its_folder_nor_the_cache_can_be_written(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = config_with(bert, tmp_path / "model", strange_key=3)  # asks the reference, whose answer is kept elsewhere
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CLASSTOKEN_CACHE", str(tmp_path / "file" / "cache"))
    for path in (*folder.iterdir(), folder):
        path.chmod(0o555)
    try:
        assert np.array_equal(ct.load(folder).embed("the cat"), ct.load(bert).embed("the cat"))
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize("kind", ["folder", "built in", "address"])
def test_a_revision_is_of_models_on_the_hub(kind: str, tmp_path: Path) -> None:
    folder = folders.tiny_bert(tmp_path / "bert")
    name, there = {
        "folder": (str(folder), "is a folder here"),
        "built in": ("builtin:toy", "comes with the package"),
        "address": ("s3://bucket/model", "is an address"),
    }[kind]
    with pytest.raises(ct.errors.OptionError, match=f"`revision` \\('main'\\).*{there}; leave it out"):
        ct.load(name, revision="main")


def test_the_token_that_is_the_vector_stands_in_every_text(tmp_path: Path) -> None:
    """CLIP pools its end token by number; where no text has it, transformers pools the first token, always the same."""
    folder = folders.tiny_clip(tmp_path / "clip")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 9
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ct.errors.ModelError, match=r"token 9 \(eos_token_id.*puts \[CLS\] \(2\), \[SEP\] \(3\) around one"
    ):
        ct.load(folder)
