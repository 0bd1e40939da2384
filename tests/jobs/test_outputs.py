"""Nothing that is there is lost: every verb that writes, on every kind of place."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.folders import coloured_squares, tiny_bert, tiny_vit
from tests.page.fixture import TOY
from tests.page.fixture import walkthrough as toy_walkthrough

import classtoken as ct
from classtoken.cli import VERBS, main
from classtoken.errors import OutputError
from classtoken.jobs import walkthrough as walkthrough_job


def run_verb(arguments: list[str]) -> tuple[int, str]:
    """A command's exit code and what it says on stdout."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = main(arguments)
    return code, said.getvalue()


PLACES = ("empty", "same", "other", "stranger's", "file", "read-only", "inside model", "inside source", "lost link")


@dataclass(frozen=True)
class Writer:
    """A verb and what it reads: `run(out)` is one piece of work, `run(out, other=True)` another one."""

    run: Callable[..., Any]
    model: Path
    source: Path
    suffix: str = ""
    """of the file that it writes; none for a folder"""

    def place(self, folder: Path) -> Path:
        return folder / f"out{self.suffix}"


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models and sources."""
    folder = tmp_path_factory.mktemp("read")
    tiny_bert(folder / "bert", head=True)
    tiny_vit(folder / "vit", head=True)
    coloured_squares(folder / "squares", 6)
    ct.embed(folder / "vit", folder / "squares", folder / "vectors")
    return folder


WRITERS = (
    *("embed", "predict", "train", "explain", "explain_png", "explain_data", "walkthrough", "save"),
    *(
        "export",
        "export_file",
        "compare",
        "search",
        "search_explain",
        "duplicates",
        "duplicates_table",
        "outliers",
        "atlas",
    ),
)


def test_every_verb_with_an_output_is_a_writer() -> None:
    """What has no `--out` writes nothing, or into the folder that it is about."""
    for verb in VERBS:
        code, text = run_verb(["help", verb])
        assert code == 0
        assert (" --out " in text) == (verb in WRITERS), verb


@pytest.fixture(params=WRITERS)
def writer(request: pytest.FixtureRequest, read: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    bert, vit, squares, vectors = read / "bert", read / "vit", read / "squares", read / "vectors"
    if request.param == "walkthrough":  # what is on the page is none of this test's business
        monkeypatch.setattr(walkthrough_job, "Engine", lambda *_, **__: None)
        monkeypatch.setattr(walkthrough_job, "document_of", lambda *_: toy_walkthrough(TOY))
    saved = ct.load(bert)

    def embed(out: Path, other: bool = False, **options: Any) -> None:
        ct.embed(vit, squares, out, pooling="mean" if other else "cls", **options)

    def predict(out: Path, other: bool = False, **options: Any) -> None:
        ct.predict(vit, squares, out, limit=2 if other else 3, **options)

    def train(out: Path, other: bool = False, **options: Any) -> None:
        ct.train(vit, squares, out, pooling="mean" if other else "cls", **options)

    def explain(out: Path, other: bool = False, **options: Any) -> None:
        ct.explain(bert, "a dog runs" if other else "the cat sits", out, quick=True, methods=["attention"], **options)

    def explain_png(out: Path, other: bool = False, **options: Any) -> None:
        item = squares / "red" / f"0{int(other)}.png"
        ct.explain(vit, item, out, quick=True, methods=["attention"], **options)

    def explain_data(out: Path, other: bool = False, **options: Any) -> None:
        more = {"limit": 2 if other else 3, "methods": ["attention"], "faithful": 0}
        ct.explain_data(vit, squares, out, quick=True, **more, **options)

    def walkthrough(out: Path, other: bool = False, **options: Any) -> None:
        ct.walkthrough(bert, ["a dog"] if other else ["the cat"], out, data=str(squares), **options)

    def export(out: Path, other: bool = False, **options: Any) -> None:
        ct.export(vit, out, pooling="mean" if other else "cls", **options)

    def compare(out: Path, other: bool = False, **options: Any) -> None:
        ct.compare(vit, squares, out, pooling="cls,mean", seed=int(other), folds=2, draws=2, **options)

    def search(out: Path, other: bool = False, **options: Any) -> None:
        ct.search(vectors, out=out, id="red/00.png", k=2 if other else 3, **options)

    def search_explain(out: Path, other: bool = False, **options: Any) -> None:
        ct.search(vectors, explain=out, id=f"red/0{int(other)}.png", k=1, model=vit, **options)

    def duplicates(out: Path, other: bool = False, **options: Any) -> None:
        ct.duplicates(vectors, out, above=0.5 if other else 0.9, **options)

    def outliers(out: Path, other: bool = False, **options: Any) -> None:
        ct.outliers(vectors, out, k=2 if other else 3, **options)

    def atlas(out: Path, other: bool = False, **options: Any) -> None:
        ct.atlas(vectors, out, seed=int(other), **options)

    def save(out: Path, other: bool = False, overwrite: bool = False) -> None:
        saved.save(out)

    return {
        "embed": Writer(embed, vit, squares),
        "predict": Writer(predict, vit, squares),
        "train": Writer(train, vit, squares),
        "explain": Writer(explain, bert, bert, ".html"),
        "explain_png": Writer(explain_png, vit, squares / "red" / "00.png", ".png"),
        "explain_data": Writer(explain_data, vit, squares, ".json"),
        "walkthrough": Writer(walkthrough, bert, squares, ".html"),
        "save": Writer(save, bert, bert),
        "export": Writer(export, vit, vit),
        "export_file": Writer(export, vit, vit, ".onnx"),
        "compare": Writer(compare, vit, squares, ".html"),
        "search": Writer(search, vectors, vectors, ".html"),
        "search_explain": Writer(search_explain, vit, vectors, ".html"),
        "duplicates": Writer(duplicates, vectors, vectors, ".html"),
        "duplicates_table": Writer(duplicates, vectors, vectors, ".parquet"),
        "outliers": Writer(outliers, vectors, vectors, ".html"),
        "atlas": Writer(atlas, vectors, vectors, ".html"),
    }[request.param]


def everything(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its bytes, and every folder."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def prepared(place: str, writer: Writer, folder: Path) -> Path:
    """A place of some kind, and what is there beforehand."""
    out = writer.place(folder)
    if place == "empty" and not writer.suffix:
        out.mkdir()
    if place in ("same", "other"):
        writer.run(out, other=place == "other")
    if place == "stranger's":
        if writer.suffix:
            out.write_text("my own thesis")
        else:
            out.mkdir()
            for name in ("config.json", "README.md", "predictions.csv"):
                (out / name).write_text("mine")
    if place == "file":
        out.mkdir() if writer.suffix else out.write_text("a file")
    if place == "lost link":
        out.symlink_to("lost")
    if place == "read-only":
        return writer.place(Path("/proc"))
    if place == "inside model":
        return writer.place(writer.model)
    if place == "inside source":
        return writer.source if writer.source.is_file() else writer.place(writer.source)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_place_is_empty_or_of_the_same_work_or_refused(
    place: str, writer: Writer, tmp_path: Path, read: Path, request: pytest.FixtureRequest
) -> None:
    out = prepared(place, writer, tmp_path)
    saves = "save" in request.node.callspec.id
    if place == "empty" or (place == "same" and not saves):
        writer.run(out)
        assert out.exists()
        return
    before = everything(tmp_path), everything(read)
    with pytest.raises(OutputError, match=r"\bout|/proc|00\.png"):
        writer.run(out)
    assert (everything(tmp_path), everything(read)) == before
    if saves or place == "same":
        return
    if place == "other":  # ours: replaced, once that is said
        writer.run(out, overwrite=True)
        writer.run(out)
        return
    with pytest.raises(OutputError):
        writer.run(out, overwrite=True)
    assert (everything(tmp_path), everything(read)) == before


def test_a_folder_is_not_called_like_a_file(writer: Writer, tmp_path: Path) -> None:
    """Who names a file means one: no verb makes a folder of that name."""
    if writer.suffix:
        return
    for name in ("out.parquet", "Out.CSV", "out.index"):
        with pytest.raises(OutputError, match="is named like a file, and a folder is written"):
            writer.run(tmp_path / name)
    assert everything(tmp_path) == {}


@pytest.mark.slow
def test_what_a_user_put_among_our_results_is_not_replaced_with_them(writer: Writer, tmp_path: Path) -> None:
    if writer.suffix:
        return
    out = writer.place(tmp_path)
    writer.run(out)
    (out / "notes.txt").write_text("mine")
    before = everything(tmp_path)
    with pytest.raises(OutputError, match=r"notes\.txt|holds something"):
        writer.run(out, other=True, overwrite=True)
    assert everything(tmp_path) == before


@pytest.mark.slow
def test_files_have_the_mode_of_the_umask(writer: Writer, tmp_path: Path) -> None:
    out = writer.place(tmp_path)
    writer.run(out)
    modes = {p.name: oct(p.stat().st_mode & 0o777) for p in (out, *out.rglob("*")) if p.is_file()}
    assert modes
    assert set(modes.values()) == {"0o644"}, modes


@pytest.mark.parametrize("text", ["", "  "])
@pytest.mark.parametrize("verb", ["explain", "walkthrough"])
def test_an_empty_text_is_no_folder_that_is_written_into(
    verb: str,
    text: str,
    read: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The folder that one stands in is not what is read."""
    monkeypatch.chdir(tmp_path)
    assert main([verb, text, "--model", str(read / "bert"), "--out", "page.html"]) == 2
    assert "the text is empty" in capsys.readouterr().err
