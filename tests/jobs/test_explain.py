"""`explain` on tiny models that transformers wrote: everything that a page shows is there and agrees with the model."""

import csv
import json
import math
import re
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests import folders
from tests.page.tiny import written

import classtoken as ct
from classtoken.cli import main
from classtoken.destination import OutputFile
from classtoken.embedder import Embedder, load
from classtoken.errors import OptionError, OutputError, TraceError
from classtoken.inputs import prepare_one
from classtoken.jobs.explain import explain
from classtoken.jobs.explain_data import explain_data
from classtoken.maps.integrated import mean_image
from classtoken.options import ExplainDataOptions, ExplainOptions, SourceOptions
from classtoken.report.explain import explanation_page
from classtoken.report.verdict import size_of_png
from classtoken.report.written import check_suffix, write_explanation, write_findings
from classtoken.results.explain import Explanation
from classtoken.results.explain_data import Findings
from classtoken.study.explanation import label_number
from classtoken.tokens.pixels import from_patches
from classtoken.values import Role


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return load(folders.tiny_vit(tmp_path_factory.mktemp("vit"), head=True))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return load(folders.tiny_bert(tmp_path_factory.mktemp("bert"), head=True))


@pytest.fixture(scope="module")
def seen(vit: Embedder) -> Explanation:
    return explain(vit, folders.pictures(1)[0], None, ExplainOptions())


@pytest.fixture(scope="module")
def read(bert: Embedder) -> Explanation:
    return explain(bert, folders.SENTENCES[2], None, ExplainOptions())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures with labels and masks (a mask covers the left half)."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    rows = [("id", "label")]
    for n, picture in enumerate(folders.pictures(10, (32, 32))):
        picture.save(folder / "images" / f"{n}.png")
        mask = np.zeros((32, 32), np.uint8)
        mask[:, :16] = 7
        Image.fromarray(mask).save(folder / "masks" / f"{n}.png")
        rows.append((f"{n}.png", str(n % 3)))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


@pytest.fixture(scope="module")
def findings(vit: Embedder, data: Path) -> Findings:
    options = SourceOptions(labels=data / "labels.csv", masks=data / "masks")
    return explain_data(
        vit, data / "images", None, ExplainDataOptions(source_options=options, faithful=4, quick=True, points=5)
    )


def test_an_image(seen: Explanation, vit: Embedder) -> None:
    logits = vit.logits(folders.pictures(1))[0]
    assert seen.target == int(logits.argmax())
    assert seen.before == pytest.approx(float(torch.tensor(logits).softmax(-1).max()), abs=1e-5)
    assert seen.grid == (4, 4)
    assert len(seen.content) == 16
    assert seen.tokens[0].role == Role.CLASS
    assert seen.tokens[seen.content[5]].cell == (1, 1)
    assert not [m.refused for m in seen.maps if m.refused]
    names = {m.name for m in seen.maps}
    assert {"attention", "rollout", "flow", "chefer", "integrated", "direct", "occlusion", "random", "edges"} <= names
    assert len(seen.weights) == 2
    assert all(math.isclose(sum(head), 1, abs_tol=1e-4) for layer in seen.weights for head in layer)
    for row in seen.layers:
        assert sum(masses[0] for masses in row.masses.values()) == pytest.approx(1, abs=1e-4)
        assert len(row.sizes) == 4
    assert seen.image is not None
    assert seen.image.startswith("data:image/png;base64,")


def test_curves_begin_at_the_answer(seen: Explanation, read: Explanation) -> None:
    for found in (seen, read):
        for m in found.maps:
            assert m.deletion_curve[0] == pytest.approx(found.before, abs=1e-5)
            assert m.insertion_curve[-1] == pytest.approx(found.before, abs=1e-5)
            assert m.deletion_curve[-1] == pytest.approx(m.insertion_curve[0], abs=1e-6)


def test_the_lens_ends_at_the_answer(seen: Explanation) -> None:
    assert [step.layer for step in seen.lens] == [0, 1, 2]
    assert seen.lens[-1].target == pytest.approx(seen.before, abs=1e-6)
    assert seen.lens[-1].best == seen.target_label


def test_knock_outs_have_their_null(seen: Explanation) -> None:
    assert [k.mode for k in seen.knockouts] == ["renormalise", "zero"] * 2
    for knock in seen.knockouts:
        assert knock.before == pytest.approx(seen.before, abs=1e-5)
        assert len(knock.null) == 119  # two of 16 patches are cut, and each other pair once
        assert knock.together == 4
        assert knock.p is not None
        assert knock.p_together is not None
        assert 1 / 120 <= knock.p <= knock.p_together <= 1
        assert knock.verdict in ("needed", "in its way", "no more than chance")


def test_a_text(read: Explanation) -> None:
    assert read.modality == "text"
    assert [t.text for t in read.tokens][:3] == ["[CLS]", "the", "red"]
    assert read.tokens[-1].role == Role.END
    assert "direct" not in {m.name for m in read.maps}  # a pooler stands between: no linear split
    assert "edges" not in {m.name for m in read.maps}
    assert read.grid is None
    assert read.image is None
    assert read.unseen is not None
    assert set(read.unseen.least) <= set(read.content)


def test_the_page_ends_with_a_command_that_runs_as_it_stands(seen: Explanation, vit: Embedder, tmp_path: Path) -> None:
    picture = tmp_path / "a folder" / "cat.png"
    picture.parent.mkdir()
    folders.pictures(1)[0].save(picture)
    found = explain(vit, picture, None, ExplainOptions(quick=True, methods=("attention",)))
    command = f"classtoken walkthrough '{picture}' --model {vit.spec.model} --out page.html"
    assert f"<pre>{escape(command)}</pre>" in explanation_page(found)
    assert "classtoken walkthrough" not in explanation_page(seen)  # a picture of a program has no name to give
    assert "the only map that was drawn" in explanation_page(found)
    assert "corrected for choosing" not in found.conclusion
    assert "the class token's attention" not in str(found)  # quick
    assert "raw attention, last layer (attention)" in str(found)


def test_a_vector_without_a_classifier(tmp_path: Path) -> None:
    model = folders.sentence_transformer(tmp_path / "st")
    found = explain(str(model), folders.SENTENCES[0], None, ExplainOptions(methods=("attention", "occlusion")))
    assert found.outcome == "along"
    assert found.answers == ()
    assert "not the class token's" in " ".join(found.notes)
    assert found.before > 0
    with pytest.raises(OptionError, match="has no classes"):
        explain(str(model), folders.SENTENCES[0], None, ExplainOptions(target=1))


def test_results_come_back_from_json(seen: Explanation, read: Explanation, findings: Findings) -> None:
    assert Explanation.from_json(seen.to_json()) == seen
    assert Explanation.from_json(read.to_json()) == read
    assert Findings.from_json(findings.to_json()) == findings
    assert str(seen)
    assert str(read)
    assert str(findings)


def test_files(seen: Explanation, read: Explanation, findings: Findings, tmp_path: Path) -> None:
    for found in (seen, read):
        for suffix in ("html", "json", "png"):
            path = tmp_path / f"a.{suffix}"
            write_explanation(found, OutputFile(path))
            assert path.stat().st_size > 1000
    for suffix in ("html", "json"):
        write_findings(findings, OutputFile(tmp_path / f"b.{suffix}"))
    page = (tmp_path / "b.html").read_text()
    assert "random weights" in page
    assert "Which maps are right?" in page
    with pytest.raises(OptionError, match=r"ends in '\.pdf'"):
        check_suffix(tmp_path / "a.pdf")
    with pytest.raises(OutputError, match="there is no folder"):
        check_suffix(tmp_path / "none" / "a.html")


def test_findings(findings: Findings, vit: Embedder, data: Path) -> None:
    assert findings.n == 10
    entropy = findings.by_layer("relative_entropy")
    assert len(entropy.values) == len(entropy.control) == 2
    assert all(v.low <= v.estimate <= v.high and v.n == 10 for v in entropy.values)
    measures = {s.measure for s in findings.ranking[0].scores}
    assert measures == {"deletion", "insertion", "saco", "pointing", "mass/area", "iou", "precision"}
    areas = [m.score("deletion").value.estimate for m in findings.ranking]  # type: ignore[union-attr]
    assert areas == sorted(areas)
    random = next(m for m in findings.ranking if m.name == "random")
    assert random.score("pointing").over_random is None  # type: ignore[union-attr]
    labels = np.array([n % 3 for n in range(10)])
    files = [data / "images" / f"{n}.png" for n in range(10)]
    right = float((vit.logits(files).argmax(1) == labels).mean())
    assert findings.accuracy is not None
    assert findings.accuracy.estimate == pytest.approx(right)
    assert findings.lens[-1].estimate == pytest.approx(right)
    if findings.swap:  # the class token before layer 0 is everybody's, after the last it is all that is read
        assert findings.swap[0].estimate == 1
        assert findings.swap_donor[-1].estimate == 1
    assert findings.coverage[0].grid == (4, 4)
    assert sum(findings.coverage[0].mean) == pytest.approx(1, abs=1e-3)


def test_findings_of_either_side_of_a_model_of_two_towers(tmp_path: Path) -> None:
    """And of a text of a single word piece, on which no map can be tested."""
    clip = folders.tiny_clip(tmp_path / "clip")
    folders.coloured_squares(tmp_path / "squares", 1)
    (tmp_path / "texts.txt").write_text("the cat sits on a mat\ncat\na dog runs far away\n", encoding="utf-8")
    for source in ("squares", "texts.txt"):
        found = ct.explain_data(clip, tmp_path / source, methods=["attention"], quick=True, points=3)
        assert found.n == 3
        assert "projection" in found.readout
    rows = ("text,image", "a dog,squares/red/00.png", "a cat,squares/blue/00.png")
    (tmp_path / "both.csv").write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(OptionError, match="both have text and image; say which"):
        ct.explain_data(clip, tmp_path / "both.csv", quick=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": 7}, "class 7 does not exist: this model has classes 0 to 2"),
        ({"target": "horse"}, "there is no class 'horse'"),
        ({"methods": ("magic",)}, "there is no method 'magic'"),
        ({"methods": ("attention",), "points": 1}, "`points` must be"),
    ],
)
def test_bad_options(vit: Embedder, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        explain(vit, folders.pictures(1)[0], None, ExplainOptions(**options))


def test_methods_that_do_not_fit(bert: Embedder) -> None:
    with pytest.raises(OptionError, match="'edges' does not fit this model and input"):
        explain(bert, "the cat", None, ExplainOptions(methods=("edges",)))
    with pytest.raises(OptionError, match="one input is explained at a time"):
        explain(bert, ["the cat", "a dog"], None, ExplainOptions())


def test_the_command(bert: Embedder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["explain", "a dog runs far away", "--model", str(bert.folder), "--quick"]
    assert main([*command, "--methods", "attention,rollout,random", "--out", str(tmp_path / "x.html"), "--json"]) == 0
    out = capsys.readouterr()
    assert Explanation.from_json(out.out).map("rollout").scores
    assert "wrote" in out.err
    assert json.loads(out.out)["format"] == "classtoken.Explanation/1"
    assert main([*command, "--class", "9"]) == 2
    assert "class 9 does not exist" in capsys.readouterr().err
    assert main(["explain", "--model", str(bert.folder)]) == 2
    assert "give one INPUT, or --data SOURCE" in capsys.readouterr().err
    assert main([*command, "--out", str(tmp_path / "x.gif")]) == 2
    assert "name a file that ends in .html or .json or .png" in capsys.readouterr().err


def test_the_command_over_data(bert: Embedder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "texts.txt"
    source.write_text("\n".join(folders.SENTENCES[:3]) + "\n")
    command = ["explain", "--data", str(source), "--model", str(bert.folder), "--faithful", "2", "--quick"]
    assert main([*command, "--points", "3", "--out", str(tmp_path / "f.html"), "--json"]) == 0
    found = Findings.from_json(capsys.readouterr().out)
    assert found.n == 3
    source.write_text("\n".join([*folders.SENTENCES[:3], folders.SENTENCES[0]]) + "\n")
    assert main(command) == 0
    assert "note: 1 record held what an earlier one holds; left out" in capsys.readouterr().out
    source.write_text("the cat\nthe cat\n")
    assert main(command) == 2
    assert "gave 1, and 1 more that hold the same" in capsys.readouterr().err
    source.write_text("one\n")
    assert main(command) == 2
    assert "need at least two inputs" in capsys.readouterr().err


def test_an_image_without_a_class_token_model_says_so(vit: Embedder) -> None:
    found = explain(vit, folders.pictures(1)[0], None, ExplainOptions(methods=("attention",), pooling="mean"))
    assert "not the class token's" in " ".join(found.notes)


def test_no_attention_is_an_error(vit: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(vit.encoder), "gaps", ("scores", "weights", "values"))
    with pytest.raises(TraceError, match="an empty map is never drawn"):
        explain(vit, folders.pictures(1)[0], None, ExplainOptions())


def test_it_begins_with_the_verdict(seen: Explanation, read: Explanation) -> None:
    """What was taken away, what that did, what random cuts did: the same numbers in words, picture and JSON."""
    for found in (seen, read):
        removal = found.removal
        assert removal is not None
        best = found.map(removal.map)
        tested = [m for m in found.maps if not m.control and not m.by_removal]
        assert best.deletion == min(m.deletion for m in tested if m.deletion is not None)
        assert removal.candidates == len(tested)
        k = removal.knockout
        assert len(k.tokens) == max(1, round(0.1 * len(found.content)))
        strongest = sorted(range(len(found.content)), key=lambda i: -best.scores[i])[: len(k.tokens)]
        assert set(k.tokens) == {found.content[i] for i in strongest}
        assert k.p is not None
        assert k.p_together == pytest.approx(min(1.0, removal.candidates * k.p))
        assert found.conclusion.startswith(f"Taking away the {len(k.tokens)} of {len(found.content)}")
        assert removal.title in found.conclusion
        assert str(found).splitlines()[5] == found.conclusion
        assert f"{100 * k.after:.1f} %" in found.conclusion
        assert Explanation.from_json(found.to_json()).conclusion == found.conclusion
        page = explanation_page(found).partition("<main>")[2]
        assert page.index(found.conclusion[:40]) < page.index("Which parts of the input")
        assert page.index("Which parts of the input") < page.index('<details class="section">')
        assert page.count('<div class="two"><section') == 1  # the verdict beside the map, where there is room
        claims = ("The answer needs", "They stand", "That is more than chance")
        assert found.believed == (found._follows(removal).startswith(claims) and "too little" not in found.conclusion)
        assert ("is not shown: see the verdict" in page) == (not found.believed)
        assert found.brief == "\n".join(str(found).splitlines()[:6])


@pytest.mark.parametrize(
    ("after", "says", "believed"),
    [
        (0.5, "The answer needs them", True),
        (0.87, "more than chance (p = 0.01), and the answer hardly changes without them", True),
        (0.897, "more than chance (p = 0.01), and too little to matter", False),
        (0.8995, "too little to matter", False),
    ],
)
def test_what_is_rare_and_small_is_not_needed(seen: Explanation, after: float, says: str, believed: bool) -> None:
    removal = seen.removal
    assert removal is not None
    k = replace(removal.knockout, before=0.9, after=after, null=(0.9 - 1e-5,) * 99, possible=99, p_together=None)
    found = replace(seen, removal=replace(removal, candidates=1, knockout=replace(k, together=1)))
    assert found.removal is not None
    assert says in found.conclusion
    assert found.believed == believed


def test_logits_stand_as_they_become_probabilities(seen: Explanation) -> None:
    """Divided by the temperature they differ by the difference of the probabilities' logarithms."""
    found = replace(seen, temperature=0.5)
    assert "logit / 0.5, the temperature" in explanation_page(found)
    assert "temperature" not in explanation_page(replace(seen, temperature=1.0)).partition("All answers")[2][:400]
    one, two = seen.answers[:2]
    apart = (one.outcome - two.outcome) / seen.temperature
    assert apart == pytest.approx(math.log(one.probability / two.probability), abs=1e-4)


def test_every_folded_heading_has_its_result_beside_it(seen: Explanation, read: Explanation) -> None:
    for found in (seen, read):
        page = explanation_page(found)
        folded = page.count('<details class="section">')
        assert folded >= 6
        assert page.count('</h2><span class="result">') == folded
        k = found.knockouts[0]
        assert found.amount(k.before) in page
        if found.outcome == "probability":
            assert not re.search(r"\de-0\d", texts_of(page))  # points and per cent, no powers of ten


def texts_of(page: str) -> str:
    """What is read, without pictures and styles."""
    return re.sub(r"<[^>]*>", " ", re.sub(r"<(style|title)\b.*?</\1>", " ", page, flags=re.DOTALL))


def test_charts_are_read_on_a_phone(seen: Explanation, read: Explanation) -> None:
    """A chart is made as small as a screen of 360 pixels, and no word of it is below 9 pixels then."""
    for found in (seen, read):
        shrinks = r'<svg[^>]*viewBox="0 0 ([\d.]+)[^>]*max-width:100%[^>]*>(.*?)</svg>'
        charts = re.findall(shrinks, explanation_page(found), re.DOTALL)
        assert len(charts) > 5
        for width, inside in charts:
            sizes = [float(size) for size in re.findall(r'font-size="([\d.]+)"', inside)]
            assert min(1.0, 336 / float(width)) * min(sizes, default=12.0) >= 8.8


def test_what_is_removed_is_what_it_says(seen: Explanation, vit: Embedder) -> None:
    assert seen.removal is not None
    cut = "removed:" + ",".join(str(i) for i in seen.removal.knockout.tokens)
    again = explain(vit, folders.pictures(1)[0], None, ExplainOptions(cuts=(cut,), methods=("attention",)))
    assert again.knockouts[0].after == pytest.approx(seen.removal.knockout.after, abs=1e-6)


def test_maps_are_sorted_by_their_test_and_one_made_by_removal_is_marked(seen: Explanation) -> None:
    order = [m for m in seen.by_test if not m.refused]
    plain = [m.deletion for m in order if not m.control and not m.by_removal]
    assert plain == sorted(plain)
    assert [m.name for m in order][len(plain) :] == ["occlusion", *[m.name for m in order if m.control]]
    assert "occlusion *" in str(seen)
    assert "its figures flatter it" in str(seen)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [("Cat", None), ("dgo", "did you mean 'dog'"), ("bird ", None), ("zebra", "classes are cat, dog, bird")],
)
def test_a_class_is_found_by_nearly_its_name(vit: Embedder, wanted: str, said: str | None) -> None:
    options = ExplainOptions(target=wanted, methods=("attention",), quick=True)
    if said is None:
        assert explain(vit, folders.pictures(1)[0], None, options).target_label == wanted.strip().lower()
    else:
        with pytest.raises(OptionError, match=said):
            explain(vit, folders.pictures(1)[0], None, options)


def test_a_class_may_be_called_by_any_of_its_names() -> None:
    labels = ["tabby, tabby cat", "crane", "crane, lifting machine", "Egyptian cat"]
    assert label_number(labels, "Tabby Cat") == 0
    assert label_number(labels, "crane") == 1
    assert label_number(labels, "lifting machine") == 2
    with pytest.raises(OptionError, match="did you mean 'Egyptian cat'"):
        label_number(labels, "egiptian cat")
    with pytest.raises(OptionError, match="several classes are called 'CRANE': 'crane', 'crane, lifting machine'"):
        label_number(labels, "CRANE")


def test_a_picture_of_its_own_grid_is_one_of_patches(tmp_path: Path) -> None:
    """SigLIP 2: the picture is drawn, in its grid, without the padding of a batch."""
    picture = Image.effect_noise((60, 20), 90).convert("RGB")
    found = explain(str(written("grids", tmp_path / "model")), picture, None, ExplainOptions(methods=("rollout",)))
    assert found.grid is not None
    assert found.image is not None
    assert len(found.content) == len(found.tokens) == found.grid[0] * found.grid[1]
    assert "patches" in found.conclusion
    assert size_of_png(found.image) == (8 * found.grid[1], 8 * found.grid[0])
    assert not any("class token's rows are shown" in note for note in found.notes)


def test_a_flat_picture_of_patches_is_flat_in_every_colour(tmp_path: Path) -> None:
    """What integrated gradients start from does not depend on whether pixels come cut into patches."""
    prepare = ct.load(written("grids", tmp_path / "model")).tower().prepare
    tokens = prepare_one(prepare, Image.effect_noise((60, 20), 90).convert("RGB")).tokens
    assert tokens.pixels is not None
    flat = mean_image(tokens).pixels
    assert flat is not None
    whole = torch.from_numpy(from_patches(tokens.pixels[0].numpy(), tokens.grid or (0, 0)))
    assert torch.allclose(flat.unflatten(-1, (-1, 3)).mean((0, 1, 2)), whole.mean((1, 2)), atol=1e-6)
    assert float(flat.unflatten(-1, (-1, 3)).std((0, 1, 2)).max()) < 1e-6


def test_a_classifier_on_the_class_token_and_the_mean_of_patches(tmp_path: Path) -> None:
    """DINOv2's: without any patch there is no mean, so that a curve ends with the last one of them."""
    given = Image.effect_noise((60, 40), 90).convert("RGB")
    found = explain(str(written("registers", tmp_path / "model")), given, None, ExplainOptions())
    assert found.removal is not None
    assert found.curves is not None
    assert found.curves.fractions[-1] == pytest.approx(15 / 16)
    assert all(m.deletion is not None for m in found.maps if not m.refused)


def test_the_side_of_a_two_tower_model_is_told_by_the_input(tmp_path: Path) -> None:
    folder = str(folders.tiny_clip(tmp_path / "clip"))
    folders.pictures(1)[0].save(tmp_path / "cat.png")
    options = ExplainOptions(methods=("rollout",), quick=True)
    assert explain(folder, "a cat and a dog", None, options).modality == "text"
    assert explain(folder, tmp_path / "cat.png", None, options).modality == "image"
    assert explain(folder, folders.pictures(1)[0], None, options).modality == "image"


def test_words_that_are_written_alike_are_named_with_their_positions() -> None:
    """Which of two it was that a map calls the strongest cannot be told from the word alone."""
    found = explain("builtin:sentiment", "good film , good", None, ExplainOptions(quick=True))
    assert [found.token_name(i) for i in range(6)] == ["[CLS]", "good (1)", "film", ",", "good (4)", "[SEP]"]
    strongest = re.findall(r"strongest at ([^<]+)|most at ([^:]+):", explanation_page(found))
    assert "good" not in [name for pair in strongest for name in pair]
    assert not re.search(r" good$", str(found).split("knock-out")[0].split("strongest token")[1], re.MULTILINE)


def test_what_a_causal_model_says_of_its_class_token_is_of_the_vector_that_is_read(tmp_path: Path) -> None:
    import transformers

    config = transformers.GPT2Config(vocab_size=len(folders.WORDS), n_embd=32, n_layer=2, n_head=4, n_positions=32)
    folders.randomise(transformers.GPT2Model(config)).save_pretrained(tmp_path)  # type: ignore[operator]
    folders.bert_tokenizer(tmp_path)  # which puts [CLS] before a text
    said = {}
    for pooling in ("cls", "last", "mean"):
        found = ct.explain(tmp_path, "the cat", pooling=pooling, accept=["tokenizer_class"], quick=True)
        said[pooling] = " ".join(found.notes)
    assert "its vector is the same for every input" in said["cls"]
    for pooling in ("last", "mean"):
        assert "only the last one can hold the whole input" in said[pooling]
        assert "same for every input" not in said[pooling]
    assert "not the class token's: it reads END" in said["last"]
    assert "not the class token's alone: it reads CLASS, CONTENT, END" in said["mean"]
