"""A folder is of one training: half of another one is opened by nobody, and is made whole by the same command."""

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.folders import tiny_vit
from tests.learning.training import train

import classtoken as ct
from classtoken.destination import entries
from classtoken.embedder import load
from classtoken.errors import ManifestMismatch, ModelError, OutputError
from classtoken.learning import work
from classtoken.learning.loop.log import TrainingLog
from classtoken.learning.recipe import Recipe
from classtoken.model_folder import LEARNED

TUNED = {"unfreeze": "last-1", "loop": {"epochs": 1.0, "batch": 12}, "optimiser": {"learning_rate": 1e-3}}


def of_epochs(epochs: float) -> Recipe:
    return Recipe.from_dict({**TUNED, "loop": {**TUNED["loop"], "epochs": epochs}})  # type: ignore[dict-item]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors") | load_file(folder / "classtoken.safetensors")


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("where", ["learning.folder.write.write_saved", "jobs.train.with_errors"])
def test_what_a_full_disk_cuts_off_is_not_opened_and_the_same_command_makes_it_whole(
    tmp_path: Path, squares: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The weights of the longer run stand beside the head of the shorter one, or everything but the page of errors."""
    vit, out = tiny_vit(tmp_path / "vit"), tmp_path / "out"
    train(squares, out, model=vit, recipe=of_epochs(1.0))
    before = load(out).embed(sorted(squares.rglob("*.png"))[:2])

    def full(*given: Any, **more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(f"classtoken.{where}", full)
    with pytest.raises(OSError, match="No space"):
        train(squares, out, model=vit, recipe=of_epochs(2.0))
    with pytest.raises(ModelError, match=r"half written: .* Give that `train` again"):
        load(out)
    monkeypatch.undo()
    train(squares, out, model=vit, recipe=of_epochs(2.0))
    assert (out / "_meta/errors.html").is_file()
    after = load(out).embed(sorted(squares.rglob("*.png"))[:2])
    assert not (before == after).all()
    assert "finished before" in str(train(squares, out, model=vit, recipe=of_epochs(2.0)))


def test_a_training_that_has_not_finished_says_so_where_its_model_is_asked_for(tmp_path: Path, squares: Path) -> None:
    vit, out = tiny_vit(tmp_path / "vit"), tmp_path / "out"

    def press(progress: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(squares, out, model=vit, recipe=of_epochs(2.0), report=press)
    with pytest.raises(ModelError, match=r"holds a training that has not finished: .* Give that `train` again"):
        load(out)
    train(squares, out, model=vit, recipe=of_epochs(2.0))
    (out / "config.json").unlink()
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        load(out)


def test_overwriting_trains_anew_and_takes_up_no_step(tmp_path: Path, squares: Path) -> None:
    """Also where the folder holds fewer epochs of the same work, which would be gone on from without it."""
    vit = tiny_vit(tmp_path / "vit")
    ct.train(vit, squares, tmp_path / "fresh", recipe=of_epochs(3.0).to_dict())
    ct.train(vit, squares, tmp_path / "out", recipe=of_epochs(1.0).to_dict())
    ct.train(vit, squares, tmp_path / "out", recipe=of_epochs(3.0).to_dict(), overwrite=True)
    assert same(tmp_path / "fresh", tmp_path / "out")


@pytest.mark.slow
def test_a_kill_while_results_are_removed_leaves_a_folder_that_is_known(
    tmp_path: Path, squares: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, vit = tmp_path / "out", tiny_vit(tmp_path / "vit")
    ct.train(vit, squares, out)
    (out / work.FEATURES).rename(tmp_path / "kept")  # their number would only make this long
    unlink, gone = Path.unlink, 0

    def cut(path: Path, missing_ok: bool = False) -> None:
        nonlocal gone
        if path.exists():
            gone += 1
            if gone == 2:  # one is removed, then the process dies
                raise KeyboardInterrupt
        unlink(path, missing_ok)

    cuts = 0
    while True:
        gone = 0
        monkeypatch.setattr(Path, "unlink", cut)
        try:
            work._remove(out, work._ours(out))
        except KeyboardInterrupt:
            cuts += 1
        else:
            break
        finally:
            monkeypatch.undo()
        work.check_training(out, overwrite=True)  # nothing there is taken for a stranger's
        with pytest.raises(ModelError):
            load(out)
    assert cuts > 8
    assert entries(out) == {"_meta"}
    assert entries(out / "_meta") == {"work.json"}  # the next work is written in its place


@pytest.mark.slow
def test_a_folder_that_holds_only_what_a_kill_left_is_empty(tmp_path: Path, squares: Path) -> None:
    """As where the disk was full when the first file was to be written."""
    out = tmp_path / "out"
    (out / "_meta").mkdir(parents=True)
    (out / "_meta/.work.json.unfinished").touch()
    assert entries(out) == set()
    train(squares, out, model=tiny_vit(tmp_path / "vit"))
    (tmp_path / "theirs/below/deep").mkdir(parents=True)
    (tmp_path / "theirs/below/deep/notes.txt").touch()
    with pytest.raises(OutputError, match="it holds 'below'"):
        train(squares, tmp_path / "theirs", model=tiny_vit(tmp_path / "vit"))


@pytest.mark.slow
def test_what_one_training_has_written_down_is_not_copied_into_the_next(tmp_path: Path, squares: Path) -> None:
    """Else the list of the first one's files would be taken for that of the second."""
    first, second = tmp_path / "first", tmp_path / "second"
    ct.train(tiny_vit(tmp_path / "vit"), squares, first)
    train(squares, second, model=first, recipe=of_epochs(1.0))
    assert set(json.loads((second / work.FILES).read_text())) == entries(second)
    assert "finished before" in str(train(squares, second, model=first, recipe=of_epochs(1.0)))


def test_what_a_copy_has_cut_off_is_made_again_by_the_same_command(tmp_path: Path, squares: Path) -> None:
    """And not said to be finished; nor does anything end in an error of our own."""
    vit, whole = tiny_vit(tmp_path / "vit"), tmp_path / "whole"
    train(squares, whole, model=vit, recipe=of_epochs(1.0))
    for name in ("model.safetensors", "classtoken.safetensors", "classtoken.json", work.FILES, "log.csv"):
        out = tmp_path / Path(name).name
        shutil.copytree(whole, out)
        content = (whole / name).read_bytes()
        (out / name).write_bytes(content[: len(content) - 12])
        train(squares, out, model=vit, recipe=of_epochs(1.0))
        assert same(whole, out)
        assert (out / name).stat().st_size >= len(content) - 12 * (name == "log.csv")
        ct.train(vit, squares, out, recipe=of_epochs(1.0).to_dict(), overwrite=True)
        assert same(whole, out)


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path, squares: Path) -> None:
    vit, out = tiny_vit(tmp_path / "vit"), tmp_path / "out"
    train(squares, out, model=vit)
    (out / "classtoken.safetensors").unlink()
    with pytest.raises(ModelError, match=r"classtoken\.safetensors is not there, and classtoken\.json needs it"):
        load(out)
    (out / "classtoken.safetensors").mkdir()
    with pytest.raises(ModelError, match=r"classtoken\.safetensors cannot be read \(it is a folder\)"):
        load(out)
    (out / work.FILES).unlink()
    (out / work.FILES).mkdir()
    with pytest.raises(OutputError, match=r"files\.json' cannot be read, which lists what in '\S+' is the training's"):
        ct.train(vit, squares, out, overwrite=True)


def test_a_damaged_note_is_named(tmp_path: Path, squares: Path) -> None:
    vit, out = tiny_vit(tmp_path / "vit"), tmp_path / "out"
    train(squares, out, model=vit)
    (out / LEARNED).write_bytes(b"\x93NUMPY")
    with pytest.raises(ModelError, match=r"learned\.npy', which says what the model has learned from, cannot be read"):
        ct.predict(out, squares, tmp_path / "labelled")
    (out / work.FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestMismatch, match=r"what '.*work\.json' says of it cannot be read"):
        train(squares, out, model=vit, recipe=of_epochs(1.0))
    (out / work.FILE).unlink()
    with pytest.raises(OutputError, match=r"holds a trained model without '_meta/work\.json'"):
        train(squares, out, model=vit)


def test_a_log_that_was_cut_off_anywhere_is_gone_on_with(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path, 8, 4)
    log.rewind(0)
    for step in range(1, 5):
        log.step(step, 0.5, 0.1, 1.0)
    log.evaluation(4, {"loss": 0.25})
    whole = log.path.read_bytes()
    for length in range(len(whole) + 1):
        log.path.write_bytes(whole[:length])
        TrainingLog(tmp_path, 8, 4).rewind(4)
        left = log.path.read_bytes()
        assert whole.startswith(left)
        assert left.count(b"\n") == max(1, whole[:length].count(b"\n"))
