"""The verb: one pass for all candidates, results both ways, stored vectors, refusals."""

import json
import warnings
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.folders import tiny_vit

import classtoken as ct
from classtoken.cli import main
from classtoken.embedder import Embedder
from classtoken.errors import OptionError, OutputError
from classtoken.results.compare import CompareResult, pooling_of


@pytest.fixture
def vit(tmp_path: Path) -> Path:
    return tiny_vit(tmp_path / "vit")


def test_eight_candidates_come_out_of_one_pass(vit: Path, squares: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many forwards as `embed` makes for one pooling."""
    calls = []
    encode = Embedder._encode

    def counted(self: Embedder, *given: Any, **more: Any) -> Any:
        calls.append(1)
        return encode(self, *given, **more)

    monkeypatch.setattr(Embedder, "_encode", counted)
    ct.load(vit).embed(sorted(squares.rglob("*.png")), pooling="cls")
    alone = len(calls)
    calls.clear()
    found = ct.compare(
        vit, squares, task="classification", pooling="cls,mean,max,gem,cls+mean,cls@1,mean@1,mean@1n", draws=2
    )
    assert len(calls) == alone
    assert len(found.candidates) == 8


def test_a_result_goes_to_json_csv_and_html(vit: Path, squares: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    found = ct.compare(vit, squares, out, pooling="cls,mean", draws=2)
    assert found == CompareResult.from_json(found.to_json())
    plain = json.loads(found.to_json())
    assert {"candidates", "advice", "detectable", "protocol"} <= plain.keys()
    for one in plain["candidates"]:
        assert {"name", "group", "metrics"} <= one.keys()
        assert {"value", "low", "high"} <= one["metrics"]["accuracy"].keys()
    assert 0 < found.detectable_before < 1
    page = out.read_text()
    assert escape(found.advice) in page
    assert "<script" not in page
    ct.compare(vit, squares, tmp_path / "r.csv", pooling="cls,mean", draws=2)
    assert (tmp_path / "r.csv").read_text().startswith("candidate,group,role,metric,value,low,high")
    with pytest.raises(OutputError, match="another input or other options"):
        ct.compare(vit, squares, out, pooling="cls,max", draws=2)
    assert found.command.startswith("classtoken compare")
    assert "--pooling cls,mean" in found.command


@pytest.mark.slow
def test_reports_are_read_again_by_protocol_and_train_takes_the_best(
    vit: Path, squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reports").mkdir()
    found = ct.compare(vit, squares, tmp_path / "reports" / "a.json", pooling="cls,mean", draws=2)
    ct.compare(vit, squares, tmp_path / "reports" / "b.json", pooling="max", draws=2)
    ct.compare(vit, squares, tmp_path / "reports" / "c.json", task="retrieval", pooling="max")
    assert main(["compare", "--read", str(tmp_path / "reports")]) == 0
    said = capsys.readouterr().out
    assert said.count("ranked by accuracy") == said.count("ranked by ndcg@10") == 1
    assert "not comparable" in said
    assert pooling_of(f"best:{tmp_path / 'reports' / 'a.json'}") == found.use
    trained = ct.train(vit, squares, tmp_path / "trained", pooling=f"best:{tmp_path / 'reports' / 'a.json'}")
    assert trained.pooling == found.use
    assert pooling_of("cls") == "cls"
    with pytest.raises(OptionError, match="write best:REPORT"):
        pooling_of("best")
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(OptionError, match=r"is no comparison .* does not say"):
        pooling_of(f"best:{tmp_path / 'x.json'}")
    (tmp_path / "x.json").write_text('{"format": "classtoken.CompareResult/2"}')
    with pytest.raises(OptionError, match=r"it is a classtoken\.CompareResult/2"):
        pooling_of(f"best:{tmp_path / 'x.json'}")
    assert main(["compare"]) == 2


def test_what_no_pooling_gives_is_not_trained_on_in_silence(squares: Path, tmp_path: Path) -> None:
    """A report may advise stored vectors; `best` of it is then no pooling, and not the usual one either."""
    labels = [path.parent.name for path in sorted(squares.rglob("*.png"))]
    oracle = np.array([[name == label for name in sorted(set(labels))] for label in labels], dtype=np.float32)
    np.save(tmp_path / "theirs.npy", oracle)
    found = ct.compare(None, squares, tmp_path / "r.json", vectors=[str(tmp_path / "theirs.npy")], draws=2)
    assert (found.use, found.advised) == (None, "theirs")
    with pytest.raises(OptionError, match=r"advises 'theirs' .*, which no pooling gives"):
        pooling_of(f"best:{tmp_path / 'r.json'}")


def test_stored_vectors_are_shortened_and_whitened_as_a_models_are(vit: Path, squares: Path, tmp_path: Path) -> None:
    ct.embed(vit, squares, tmp_path / "stored", pooling="mean")
    fresh = ct.compare(vit, squares, pooling="mean", dim=[8], whiten=True, draws=2)
    again = ct.compare(None, squares, vectors=[str(tmp_path / "stored")], dim=[8], whiten=True, draws=2)
    assert {one.name: one.metrics for one in again.candidates} == {
        f"stored: {one.name}": one.metrics for one in fresh.candidates
    }
    short = next(one for one in again.candidates if one.name.endswith("first 8"))
    assert (short.pooling, short.dim, short.cost.size) == ("mean", 8, 8)
    with pytest.raises(OptionError, match="cannot be shortened"):
        ct.compare(None, squares, vectors=[str(tmp_path / "stored")], dim=[1000], draws=2)
    with pytest.raises(OptionError, match=r"`by_layer` is of a model's vectors"):
        ct.compare(None, squares, vectors=[str(tmp_path / "stored")], by_layer=True, draws=2)


def test_inspect_names_compare_where_a_contract_is_only_assumed(tmp_path: Path) -> None:
    found = ct.inspect(tiny_vit(tmp_path / "bare", pooler=False))
    assert any("classtoken compare" in line for line in found.advice)


def test_the_command_line_gives_the_same(vit: Path, squares: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["compare", str(squares), "--model", str(vit), "--pooling", "cls,mean", "--draws", "2", "--json"])
    said = capsys.readouterr()
    assert code == 0
    plain = json.loads(said.out)
    assert {one["name"] for one in plain["candidates"]} == {"cls", "mean"}
    assert "can show a difference of" in said.err


@pytest.mark.slow
def test_stored_vectors_are_candidates(vit: Path, squares: Path, tmp_path: Path) -> None:
    ct.embed(vit, squares, tmp_path / "stored", pooling="cls,mean")
    fresh = ct.compare(vit, squares, pooling="cls,mean", draws=2)
    again = ct.compare(None, squares, vectors=[str(tmp_path / "stored")], draws=2)
    for one in fresh.candidates:
        same = next(other for other in again.candidates if other.name == f"stored: {one.name}")
        assert same.metrics == one.metrics
        assert same.pooling == one.name  # so that what is advised can be trained on
    assert again.use in ("cls", "mean")
    ct.embed(vit, squares, tmp_path / "unit", pooling="cls", normalize=True)
    unit = ct.compare(None, squares, vectors=[str(tmp_path / "unit")], draws=2)
    assert (unit.use, unit.advised) == (None, "unit: cls")  # no pooling by itself gives those
    labels = [path.parent.name for path in sorted(squares.rglob("*.png"))]
    oracle = np.array([[name == label for name in sorted(set(labels))] for label in labels], dtype=np.float32)
    np.save(tmp_path / "oracle.npy", oracle)
    np.save(tmp_path / "short.npy", oracle[:5])
    both = ct.compare(vit, squares, vectors=[str(tmp_path / "oracle.npy")], pooling="mean", draws=2)
    perfect = next(one for one in both.candidates if one.name == "oracle")
    assert perfect.metrics["accuracy"].value == 1
    assert perfect.group == 1
    with pytest.raises(OptionError, match="shape \\(5, 3\\), and there are 60 records"):
        ct.compare(None, squares, vectors=[str(tmp_path / "short.npy")])


def test_vectors_of_others_and_several_encoders_stand_in_one_table(squares: Path, tmp_path: Path) -> None:
    small, other = tiny_vit(tmp_path / "small"), tiny_vit(tmp_path / "other")
    names = [path.relative_to(squares).as_posix() for path in sorted(squares.rglob("*.png"))]
    vectors = np.random.default_rng(0).normal(size=(len(names), 5)).astype(np.float32)
    order = np.random.default_rng(1).permutation(len(names))
    table = pa.table({"id": [names[i] for i in order], "theirs": list(vectors[order]), "note": ["x"] * len(names)})
    pq.write_table(table, tmp_path / "rows.parquet")
    np.save(tmp_path / "rows in order.npy", vectors)
    stored = [str(tmp_path / "rows.parquet"), str(tmp_path / "rows in order.npy")]
    found = ct.compare([small, other], squares, pooling="cls,mean", vectors=stored, draws=2)
    scores = {one.name: one.metrics for one in found.candidates}
    poolings = {f"{model}: {pooling}" for model in ("small", "other") for pooling in ("cls", "mean")}
    assert scores.keys() == poolings | {"rows: theirs", "rows in order"}
    assert scores["rows: theirs"] == scores["rows in order"]  # found by id, whatever their order
    assert scores["small: cls"] == scores["other: cls"]
    assert len(found.differences) == 15
    (tmp_path / "again").mkdir()
    np.save(tmp_path / "again" / "rows in order.npy", vectors)
    with pytest.raises(OptionError, match="two candidates are called 'rows in order'"):
        ct.compare(None, squares, vectors=[stored[1], str(tmp_path / "again" / "rows in order.npy")], draws=2)
    assert found.models == ("small", "other")


def test_ids_that_are_numbers_are_found_and_too_large_ones_do_not_warn(tmp_path: Path) -> None:
    rows = "".join(f"{'ab'[i % 2]},text {i}\n" for i in range(12))
    (tmp_path / "a.csv").write_text("label,text\n" + rows, encoding="utf-8")
    vectors = np.random.default_rng(0).normal(size=(12, 3))
    pq.write_table(
        pa.table({"id": range(12), "v": list(vectors), "huge": list(vectors * 1e300)}), tmp_path / "p.parquet"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ct.compare(None, tmp_path / "a.csv", vectors=[str(tmp_path / "p.parquet")], draws=2, folds=2)
    assert [one.name for one in found.candidates] == ["p: v"]
    assert "not finite" in found.left_out["p: huge"]


@pytest.mark.parametrize("seed", ["-1", "4294967296"])
def test_a_seed_that_no_generator_takes_is_refused(seed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "x.csv", "--model", "m", "--seed", seed]) == 2
    assert "--seed" in capsys.readouterr().err


def test_files_that_hold_no_vectors_are_refused(squares: Path, tmp_path: Path) -> None:
    (tmp_path / "text.npy").write_text("no numbers")
    np.save(tmp_path / "words.npy", np.array([["a"]] * 60))
    np.save(tmp_path / "complex.npy", np.ones((60, 2), complex))
    np.save(tmp_path / "objects.npy", np.array([object()] * 60), allow_pickle=True)
    names = [path.relative_to(squares).as_posix() for path in sorted(squares.rglob("*.png"))]
    pq.write_table(pa.table({"id": [*names, names[3]], "v": [[1.0]] * 61}), tmp_path / "twice.parquet")
    for name, said in {
        "text.npy": "cannot be read as a .npy file",
        "gone.npy": "cannot be read as a .npy file",
        "objects.npy": "cannot be read as a .npy file",
        "words.npy": "vectors of real numbers",
        "complex.npy": "vectors of real numbers",
        "twice.parquet": "has several vectors of",
    }.items():
        with pytest.raises(OptionError, match=said):
            ct.compare(None, squares, vectors=[str(tmp_path / name)], draws=2)


def test_candidates_that_cannot_be_judged_are_left_out_by_name(squares: Path, tmp_path: Path) -> None:
    good = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    broken = good.copy()
    broken[7, 1] = np.nan
    for name, array in {"good": good, "broken": broken, "constant": np.ones_like(good)}.items():
        np.save(tmp_path / f"{name}.npy", array)
    places = [str(tmp_path / f"{name}.npy") for name in ("good", "broken", "constant")]
    found = ct.compare(None, squares, vectors=places, draws=2)
    assert [one.name for one in found.candidates] == ["good"]
    name = sorted(squares.rglob("*.png"))[7].relative_to(squares).as_posix()
    assert found.left_out == {
        "broken": f"1 of 60 vectors hold numbers that are not finite ({name})",
        "constant": "all vectors are equal",
    }
    with pytest.raises(OptionError, match="no candidate can be judged; the first, broken"):
        ct.compare(None, squares, vectors=places[1:], draws=2)


def test_what_makes_no_sense_is_refused(vit: Path, squares: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="nothing is to be compared"):
        ct.compare(None, squares)
    with pytest.raises(OptionError, match="`test` would change nothing"):
        ct.compare(vit, squares, task="retrieval", test=str(squares))
    with pytest.raises(OptionError, match="belong together"):
        ct.compare(vit, squares, task="retrieval", queries=tmp_path / "q.csv")
    with pytest.raises(OptionError, match="two candidates are called 'vit'"):
        ct.compare([vit, vit], squares)
    two = tmp_path / "two"
    for name in ("a", "b"):
        (two / name).mkdir(parents=True)
        (two / name / "one.png").write_bytes(next(squares.rglob("*.png")).read_bytes())
    with pytest.raises(OptionError, match=r"0 records with 0 labels .*are left"):
        ct.compare(vit, two)


def test_a_record_that_cannot_be_read_costs_the_others_nothing(vit: Path, squares: Path) -> None:
    bad = next(squares.rglob("*.png"))
    bad.write_bytes(b"no picture")
    found = ct.compare(vit, squares, pooling="cls,mean", draws=2)
    assert found.items == 59
    assert [entry.id for entry in found.refused] == [bad.relative_to(squares).as_posix()]


def test_a_model_that_a_spec_describes_has_a_short_name(vit: Path, squares: Path, tmp_path: Path) -> None:
    models = [ct.ModelSpec(str(vit)), ct.ModelSpec(str(vit), normalize=True), ct.load(vit)]
    options = {"task": "classification", "pooling": "cls", "draws": 2}
    found = ct.compare(models[:2], squares, out=tmp_path / "r.json", **options)
    assert {one.name for one in found.candidates} == {"vit: cls", "vit (normalize True): cls"}
    with pytest.raises(OptionError, match="'vit'"):
        ct.compare([models[0], models[2]], squares, **options)


def test_what_only_python_can_ask_of_a_model_stands_beside_the_command(vit: Path, squares: Path) -> None:
    models = [str(vit), ct.load(vit, normalize=True)]
    found = ct.compare(models, squares, task="classification", pooling="cls", draws=2)
    assert {one.name for one in found.candidates} == {"vit: cls", "vit (normalize True): cls"}
    command, _, remark = found.command.partition("  # ")
    assert command.count("--model") == 2
    assert remark == f"in Python, by ModelSpec: {vit} with normalize True"
