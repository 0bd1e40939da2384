"""One comparison with everything in it: learned poolings and controls, layers, clusters, an audit, leaks, a report."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.folders import SENTENCES, coloured_squares, tiny_bert, tiny_vit

import classtoken as ct
from classtoken.comparison import learned
from classtoken.comparison.describing import shape_of
from classtoken.errors import OptionError
from classtoken.options import SourceOptions
from classtoken.results.compare import CompareResult


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> CompareResult:
    folder = tmp_path_factory.mktemp("whole")
    tiny_vit(folder / "vit")
    coloured_squares(folder / "squares", 12)
    rows = ["image,label,shop,product"]
    photos = sorted((folder / "squares").rglob("*.png"))
    rows += [f"{path},{path.parent.name},{'ab'[i % 2]},{i // 2}" for i, path in enumerate(photos)]
    (folder / "table.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learned, "STEPS", 4)
        return ct.compare(
            folder / "vit",
            folder / "table.csv",
            folder / "report.html",
            pooling="cls,mean,map,queries(2)",
            by_layer=True,
            whiten=True,
            dim=[8],
            cluster="product",
            group="shop",
            folds=2,
            seeds=2,
            draws=2,
            shots=2,
        )


@pytest.mark.slow
def test_learned_poolings_have_controls_of_as_many_parameters(found: CompareResult) -> None:
    by_name = {one.name: one for one in found.candidates}
    for name in ("map", "queries(2)"):
        control = by_name[f"mean, hidden layer as large as {name}"]
        assert control.role == "control"
        assert control.cost.own_parameters == pytest.approx(by_name[name].cost.own_parameters, rel=0.02)
        assert by_name[name].metrics["accuracy"].draws == 2
    assert found.best.role == "candidate"
    assert "AdamW" in found.protocol.settings["learned poolings and their controls"]


def test_attention_over_all_layers_is_a_probe_and_never_advised(found: CompareResult) -> None:
    probe = next(one for one in found.candidates if one.role == "probe")
    assert probe.name == "map over the class token and mean of all layers"
    assert probe.pooling is None
    assert probe.metrics["accuracy"].draws == 2
    assert probe.name not in found.advice
    assert f"{probe.name} (probe)" in str(found)


def test_lengths_and_places_looked_at_are_told(found: CompareResult) -> None:
    assert {(row.role, row.tokens) for row in found.lengths} == {("class token", 36), ("content", 36 * 16)}
    assert [(one.value, one.pictures) for one in found.overlooked] == [("a", 18), ("b", 18)]
    for one in found.overlooked:
        assert sum(one.share) == pytest.approx(1, abs=1e-4)
        assert len(one.share) == one.grid[0] * one.grid[1]
    assert not found.position  # pictures


def test_layers_are_a_curve_and_a_candidate(found: CompareResult) -> None:
    curves = {curve.pooling: curve for curve in found.by_layer}
    assert curves["mean"].layers == (0, 1, 2)
    assert curves["cls"].layers == (1, 2)  # a class token knows nothing before the first block
    for pooling in ("cls", "mean"):
        name = f"{pooling} at its best layer"
        if name in found.left_out:  # on so few items the best layer may give what the last one gives
            assert found.left_out[name] == f"it gives on every item what {pooling} gives"
            continue
        chosen = next(one for one in found.candidates if one.name == name)
        assert chosen.pooling is not None
        assert chosen.pooling.startswith(f"{pooling}@")
        assert chosen.setting.startswith("layer ")


def test_shortened_and_whitened_vectors_are_candidates(found: CompareResult) -> None:
    by_name = {one.name: one for one in found.candidates}
    assert by_name["cls first 8"].cost.size == 8
    assert by_name["mean whitened"].cost.size == 32


def test_clusters_and_groups_are_told(found: CompareResult) -> None:
    assert (found.items, found.units) == (36, 18)
    assert found.clusters == "equal 'product'"
    assert found.narrower > 0
    off = found.narrower
    said = f"{off:.2f} times too narrow" if off >= 1 else f"{1 / off:.2f} times too wide"
    assert any(said in note for note in found.notes)
    assert found.audited == "shop"
    assert all(set(one.parts) == {"a", "b"} for one in found.candidates)
    gap = found.gaps[0]
    score = next(one for one in found.candidates if one.name == gap.candidate).parts
    assert gap.value == pytest.approx(score[gap.best].value - score[gap.worst].value)
    assert 0 < gap.p <= 1


def test_what_is_lost_and_what_leaks_is_told(found: CompareResult) -> None:
    shaped = {one.name: one.shape for one in found.candidates if one.shape is not None}
    assert 1 <= shaped["mean"].effective_rank <= 32
    assert found.alike["mean"]["mean"] == pytest.approx(1)
    assert found.overlap is not None
    assert found.overlap.checked == 36
    assert found.neighbours
    assert found.confusion is not None
    assert sum(map(sum, found.confusion.counts)) == 36
    assert CompareResult.from_json(found.to_json()).to_json() == found.to_json()


def test_equal_items_on_both_sides_are_found(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(40, 6)).astype(np.float32)
    lines = ["text,label"] + [f"text {i % 20},{'ab'[i % 2]}" for i in range(40)]
    (tmp_path / "twice.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    x[20:] = x[:20]
    np.save(tmp_path / "v.npy", x)
    found = ct.compare(None, tmp_path / "twice.csv", vectors=[str(tmp_path / "v.npy")], draws=2)
    assert found.overlap is not None
    assert found.overlap.equal >= 20
    assert found.overlap.score != found.overlap.score_without
    assert any("judged items are equal to one that was learned from" in note for note in found.notes)
    whole = tmp_path / "whole.npy"
    np.save(whole, np.concatenate([x, x]))
    leaked = ct.compare(None, tmp_path / "twice.csv", vectors=[str(whole)], test=str(tmp_path / "twice.csv"), draws=2)
    assert any("40 of 40 judged items are equal" in note and "no item is left" in note for note in leaked.notes)


def test_notes_say_what_the_data_did_to_the_protocol(tmp_path: Path) -> None:
    """Classes of three records leave three folds; clusters of one record each are none."""
    x = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    np.save(tmp_path / "v.npy", x)
    rows = [f"text {i},{i // 3},{i}" for i in range(30)]
    (tmp_path / "a.csv").write_text("text,label,own\n" + "\n".join(rows) + "\n", encoding="utf-8")
    found = ct.compare(None, tmp_path / "a.csv", vectors=[str(tmp_path / "v.npy")], cluster="own", draws=2)
    assert any(note.startswith("3 folds instead of 5") for note in found.notes)
    assert not any("clusters (" in note for note in found.notes)


def test_the_hash_of_the_data_is_that_of_what_is_in_it(tmp_path: Path) -> None:
    """Wherever pictures lie; other pictures, labels or scores are other data."""
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32))
    stored = [str(tmp_path / "v.npy")]

    def hash_of(folder: Path) -> str:
        return ct.compare(None, folder, vectors=stored, draws=2, folds=2).protocol.data

    coloured_squares(tmp_path / "here", 4)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    known = hash_of(tmp_path / "here")
    assert hash_of(tmp_path / "there") == known
    first, last = sorted((tmp_path / "there").rglob("*.png"))[::11]
    first.write_bytes(last.read_bytes())
    assert hash_of(tmp_path / "there") != known


def test_odd_lengths_are_counted() -> None:
    x = np.random.default_rng(0).normal(size=(100, 16))
    x[:3] *= 30
    assert shape_of(x, None).norm_outliers == 3


def test_learned_poolings_need_labels(tmp_path: Path, squares: Path) -> None:
    with pytest.raises(OptionError, match="nothing is learned for clustering"):
        ct.compare(tiny_vit(tmp_path / "vit"), squares, task="clustering", pooling="mean,map")
    with pytest.raises(OptionError, match="leave its layer out"):
        ct.compare(tmp_path / "vit", squares, pooling="mean,map@1")
    with pytest.raises(OptionError, match="two values with 12 judged items"):
        ct.compare(tmp_path / "vit", squares, pooling="mean", group="id")


def test_columns_that_group_are_named_as_the_source_names_them(tmp_path: Path) -> None:
    """The column of labels, ids or groups is no other column: it is a part of the record, under its own name."""
    rows = [f"t{i},text {i},{'ab'[i % 2]},{i // 2}" for i in range(24)]
    table = tmp_path / "a.csv"
    table.write_text("Ticket,Message,Team,Customer\n" + "\n".join(rows) + "\n")
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32))
    named = SourceOptions(id_column="Ticket", text_column="Message", label_column="Team", group_column="Customer")

    def found(**more: Any) -> CompareResult:
        stored = [str(tmp_path / "v.npy")]
        return ct.compare(None, table, vectors=stored, draws=2, folds=2, source_options=named, **more)

    assert set(found(group="Team").candidates[0].parts) == {"a", "b"}
    assert found(cluster="Customer").clusters == found().clusters == "equal 'Customer'"
    with pytest.raises(
        OptionError, match=r"in the column 'Shop' \(`group`\); they have Customer, Message, Team, Ticket"
    ):
        found(group="Shop")


def test_pairs_have_the_columns_that_a_model_was_trained_on(tmp_path: Path) -> None:
    model = tiny_bert(tmp_path / "bert")
    data = {"text_columns": ["Question A", "Question B"], "score_column": "alike"}
    told = {"result": {"called": {"text": "Question A"}}, "recipe": {"data": data}}
    (model / "training.json").write_text(json.dumps(told))
    rows = [f"{a},{b},{i},{i // 4}" for i, (a, b) in enumerate(itertools.permutations(SENTENCES, 2))]
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("Question A,Question B,alike,shop\n" + "\n".join(rows) + "\n")
    found = ct.compare(model, pairs, task="similarity", pooling="mean", cluster="Question A")
    assert found.clusters == "equal 'Question A'"
    turned = SourceOptions(text_column="Question B,Question A", label_column="alike")
    named = ct.compare(model, pairs, task="similarity", pooling="mean", source_options=turned)
    assert named.candidates[0].metrics["spearman"].value == found.candidates[0].metrics["spearman"].value
