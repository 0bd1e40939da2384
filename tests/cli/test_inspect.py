"""`classtoken inspect`: what a person reads, what a program reads, and one line for every bad input."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from tests import folders

from classtoken.cli import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["inspect", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folders.tiny_vit(tmp_path / "vit", head=True)
    code, out, _ = run(capsys, str(folder))
    assert code == 0
    assert "layout    1 class + 4x4 patch = 17" in out
    assert f'Python    ct.load("{folder}").embed(["photo.jpg"])' in out
    assert f"shell     classtoken embed PHOTOS --model {folder} --out VECTORS" in out
    assert "refused: pooler (its weights are not in the file)" in out
    assert "6 experiments on the loaded model; all of them agree with" in out
    assert "doubtful" not in out
    assert len(out.splitlines()) < 20
    code, out, _ = run(capsys, str(folder), "--evidence")
    assert "x pooler" in out
    assert "RANDOM in transformers" in out
    code, out, _ = run(capsys, str(folder), "--evidence", "--no-verify")
    assert "model.safetensors:" in out
    assert "RANDOM in transformers" not in out  # that takes an experiment


def test_json_is_one_object_with_frozen_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, str(folders.tiny_bert(tmp_path / "bert")), "--json", "--no-verify")
    found = json.loads(out)
    assert code == 0
    assert list(found) == ["format", "model", "towers", "labels", "verified", "notes", "against"]
    assert list(found["towers"][0]) == [
        "modality",
        "family",
        "paper",
        "layout",
        "depth",
        "heads",
        "hidden_size",
        "parameters",
        "contract",
        "vectors",
        "claims",
        "preprocessing",
        "good_for",
        "not_for",
        "advice",
        "gaps",
        "refused",
        "python",
        "command",
        "route",
        "usual",
    ]
    assert list(found["towers"][0]["contract"]) == [
        "pooling",
        "size",
        "before",
        "after",
        "unit_length",
        "reason",
        "source",
        "prompt",
        "include_prompt",
        "max_length",
    ]


def test_what_is_not_settled_is_said_without_a_line_to_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A causal model whose files name no pooling: the reason stands under `doubtful`, and no vector is promised."""
    from transformers import GPT2Config, GPT2Model

    folder = folders.tiny_bert(tmp_path / "gpt")
    (folder / "model.safetensors").unlink()
    config = GPT2Config(vocab_size=200, n_embd=32, n_layer=1, n_head=2, n_positions=64, bos_token_id=2, eos_token_id=3)
    GPT2Model(config).save_pretrained(folder)
    code, out, _ = run(capsys, str(folder))
    assert code == 0
    assert "nothing before a pooling is named" in out
    assert "Name a `pooling`: 'last' or 'mean'" in " ".join(out.split())
    assert "ct.load" not in out
    assert "classtoken embed" not in out


def test_a_note_concerns_this_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a family's notes say of parts that this checkpoint lacks is not printed."""
    said = "pooler_output is tanh(W LN(class token) + b)"
    assert said in run(capsys, str(folders.tiny_vit(tmp_path / "with", pooler=True)), "--no-verify")[1]
    assert said not in run(capsys, str(folders.tiny_vit(tmp_path / "without", pooler=False)), "--no-verify")[1]


def empty(folder: Path) -> None:
    (folder / "config.json").unlink()


def unknown_family(folder: Path) -> None:
    edit(folder, model_type="nonesuch")


def remote_code(folder: Path) -> None:
    edit(folder, model_type="nonesuch", auto_map={"AutoModel": "modeling.Model"})


def truncated(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-500])


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def mismatching(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["encoder.layer.0.output.strange"] = weights.pop("encoder.layer.0.output.dense.bias")
    name = "encoder.layer.1.output.dense.bias"
    weights[name] = weights[name][:-1].clone()
    save_file(weights, path)


def no_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def broken_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def edit(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (empty, ["holds no config.json"]),
        (unknown_family, ["nonesuch"]),
        (remote_code, ["code of its own", "auto_map"]),
        (truncated, ["cannot be read"]),
        (pickle_only, ["pickle weights", "safe_serialization"]),
        (
            mismatching,
            ["1 missing", "feedforward.down.bias", "1 left over", "strange", "1 of another shape", "31 instead of 32"],
        ),
        (no_tokenizer, ["tokenizer"]),
        (broken_json, ["no readable JSON"]),
    ],
)
def test_every_bad_folder_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], harm: object, words: list[str]
) -> None:
    folder = folders.tiny_bert(tmp_path / "model")
    harm(folder)  # type: ignore[operator]
    code, out, err = run(capsys, str(folder))
    assert (code, out) == (2, "")
    assert err.startswith("classtoken: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("./nothing", "there is no folder './nothing'"),
        ("some/model-on-a-hub", "nor in the cache"),
        ("builtin:nonesuch", "there is no built-in model 'nonesuch'. There are:"),
    ],
)
def test_names_that_lead_nowhere(capsys: pytest.CaptureFixture[str], model: str, words: str) -> None:
    code, out, err = run(capsys, model)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_two_models_are_held_beside_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "builtin:toy", "builtin:scenes"]) == 0
    two = capsys.readouterr().out
    assert main(["inspect", "builtin:toy", "--against", "builtin:scenes"]) == 0
    assert capsys.readouterr().out == two
    assert main(["inspect", "builtin:toy", "builtin:scenes", "--against", "builtin:photos"]) == 2
    assert "two other models: give one" in capsys.readouterr().err


def test_the_built_in_models_are_listed_with_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "builtin:"]) == 2
    said = capsys.readouterr().err
    assert "builtin:photos (a ViT with a class token that tells ten kinds of photographs apart);" in said
    assert "builtin:sentiment (a text encoder with a class token that says whether an English sentence" in said
