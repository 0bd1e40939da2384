"""What `classtoken explain` refuses, or says, from the command line: exit code 2 and one line, or a note."""

from pathlib import Path

import pytest
import transformers as hf
from tests import folders
from tokenizers import Tokenizer, models, pre_tokenizers

from classtoken.cli import main
from classtoken.results.explain import Explanation
from classtoken.results.explain_data import Findings

WORDS = ("<pad>", "<unk>", "<s>", "the", "cat", "sits", "dog")


def words(folder: Path, *, leading: bool = False) -> None:
    """A tokenizer of whole words that adds nothing, or a class token in front."""
    from tokenizers import processors

    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"pad_token": "<pad>", "unk_token": "<unk>"}
    if leading:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 2)])
        names["cls_token"] = "<s>"
    fast = hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=32, **names)
    fast.save_pretrained(folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    folders.tiny_bert(folder / "bert", head=True)
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "intermediate_size": 48, "vocab_size": len(WORDS)}
    causal = hf.Qwen3Config(num_attention_heads=3, num_key_value_heads=3, head_dim=8, **sizes)
    models_ = {
        "causal": hf.Qwen3Model(causal),
        "leading": hf.Qwen3Model(causal),
        "fnet": hf.FNetModel(hf.FNetConfig(tpu_short_seq_length=32, **sizes)),
        "convnext": hf.ConvNextModel(hf.ConvNextConfig(image_size=32, hidden_sizes=[8, 16, 24, 32], depths=[1] * 4)),
    }
    for name, model in models_.items():
        folders.randomise(model).save_pretrained(folder / name)
        if name != "convnext":
            words(folder / name, leading=name == "leading")
    folders.image_processor(folder / "convnext")
    folders.pictures(1)[0].save(folder / "a.png")
    return folder


@pytest.mark.parametrize(
    ("item", "model", "more", "message"),
    [
        ("cat", "causal", [], "is one token: it attends to itself alone"),
        ("", "causal", [], "the text is empty; give one with words"),
        ("  ", "causal", [], "the text is empty; give one with words"),
        ("", "bert", [], "the text is empty; give one with words"),
        ("the cat", "fnet", [], "an empty map is never drawn"),
        ("a.png", "convnext", [], "an empty map is never drawn"),
        ("the cat", "bert", ["--class", "3"], "class 3 does not exist: this model has classes 0 to 2"),
        ("the cat", "bert", ["--class", "-1"], "class -1 does not exist: this model has classes 0 to 2"),
        ("the cat", "bert", ["--class", "zebra"], "there is no class 'zebra'; classes are LABEL_0, LABEL_1, LABEL_2"),
        ("the cat", "causal", ["--class", "0"], "this model has no classes"),
        ("the cat", "bert", ["--methods", "edges"], "'edges' does not fit this model and input"),
        ("nope.png", "convnext", [], "cannot be captured"),
    ],
)
def test_refused(
    item: str, model: str, more: list[str], message: str, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = str(made / item) if item.endswith(".png") else item
    capsys.readouterr()
    assert main(["explain", given, "--model", str(made / model), *more]) == 2
    out = capsys.readouterr()
    *before, said = out.err.strip().splitlines()
    assert message in said
    # of a foreign model, at its first load; and what is said to somebody who waits
    assert all("is new here: checking once" in line or line.startswith("explaining: ") for line in before)
    assert out.out == ""


def explained(capsys: pytest.CaptureFixture[str], *command: str) -> Explanation:
    capsys.readouterr()
    assert main(["explain", *command, "--quick", "--json"]) == 0
    return Explanation.from_json(capsys.readouterr().out)


def test_a_causal_model_without_a_class_token(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is read is the last token; the maps are its rows, not a mean over all."""
    found = explained(capsys, "the cat sits", "--model", str(made / "causal"), "--methods", "attention,rollout")
    assert "only the last one can hold the whole input" in " ".join(found.notes)
    assert "no class token" in " ".join(found.notes)
    assert found.layers == ()
    assert sum(found.map("attention").scores) == pytest.approx(1, abs=1e-5)  # one row of weights
    assert found.map("attention").deletion is not None


def test_a_leading_class_token_of_a_causal_model_holds_nothing(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(made / "leading")
    found = explained(capsys, "the cat sits", "--model", model, "--methods", "attention", "--pooling", "cls")
    assert "its leading class token sees nothing but itself" in " ".join(found.notes)
    assert all(head == pytest.approx(1) for row in found.layers for head in row.itself)
    assert found.map("attention").scores == pytest.approx((0.0,) * 3)


def test_no_methods_leaves_the_maps_out(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = explained(capsys, "the cat sits", "--model", str(made / "bert"), "--methods", "")
    assert found.maps == ()
    assert found.layers


def test_empty_texts_of_a_data_set_are_counted(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "texts.csv"
    source.write_text("text\nthe cat sits\n  \na dog runs\n")
    assert main(["explain", "--data", str(source), "--model", str(made / "bert"), "--faithful", "0", "--json"]) == 0
    found = Findings.from_json(capsys.readouterr().out)
    assert found.n == 2
    assert "1 of 3 records could not be read" in " ".join(found.notes)
