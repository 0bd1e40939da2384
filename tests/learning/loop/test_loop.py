"""The loop: the next step after a kill is the one that would have been, and what goes wrong is said."""

import csv
import random
import signal
from pathlib import Path

import pytest
import torch
from tests.learning.small import loop, network, pictures

from classtoken.errors import ManifestMismatch, TrainingError
from classtoken.learning.loop import resume
from classtoken.learning.model import set_regularisation
from classtoken.learning.objectives.supervised import Supervised
from classtoken.learning.recipe import AugmentOptions, LoopOptions, OptimiserOptions
from classtoken.values import Progress

AUGMENT = AugmentOptions(pad_crop=1, flip=True, mixup=0.4, cutmix=0.4, randaugment=1)
KINDS = ("adamw", "sgd", "muon")


def prepared(folder: Path, kind: str, precision: str = "fp32", report=None):
    """A run in which everything is drawn that can be drawn: order, augmentation, mixing, dropout, dropped paths."""
    net = network()
    set_regularisation(net.encoder, LoopOptions(drop_path=0.2, dropout=0.1))
    return loop(
        folder,
        objective=Supervised(net, "single", smoothing=0.1),
        data=pictures(augment=AUGMENT),
        options=LoopOptions(epochs=4, batch=24, ema=0.9, precision=precision, accumulate=2),
        optimiser=OptimiserOptions(kind=kind, learning_rate=3e-3, matrix_learning_rate=5e-3),
        report=report,
    )


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_was_cut_ends_bit_equal(tmp_path: Path, kind: str) -> None:
    whole = prepared(tmp_path / "whole", kind)
    outcome = whole.run()
    assert outcome.steps == 12
    cut_at = random.Random(kind).randrange(1, 11)
    prepared(tmp_path / "cut", kind).run(until=cut_at)
    second = prepared(tmp_path / "cut", kind)
    again = second.run()
    assert same(whole.objective.state_dict(), second.objective.state_dict())
    assert [e["loss"] for e in again.evaluations] == [e["loss"] for e in outcome.evaluations]
    kept = [torch.load(tmp_path / name / resume.NAME, weights_only=True) for name in ("whole", "cut")]
    assert same(kept[0]["average"], kept[1]["average"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_processor_without_bf16_learns_in_fp32(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("loop", "muon"):
        monkeypatch.setattr(f"classtoken.learning.loop.{name}.multiplies_bf16", lambda device: False)
    runs = [prepared(tmp_path / precision, kind, precision) for precision in ("fp32", "bf16")]
    for run in runs:
        run.run()
    assert same(*(run.objective.state_dict() for run in runs))


def test_ctrl_c_ends_after_the_step_and_the_run_goes_on_bit_equal(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    whole = prepared(tmp_path / "whole", "adamw")
    whole.run()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job begins with it ignored
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    pressed = prepared(tmp_path / "pressed", "adamw")
    loss, calls = pressed.objective.loss, []

    def watched(batch):
        calls.append(1)
        if len(calls) == 9:  # in the first of two parts of step 5
            signal.raise_signal(signal.SIGINT)
        return loss(batch)

    pressed.objective.loss = watched
    with pytest.raises(KeyboardInterrupt, match="stopped at step 5 of 12; the same command goes on"):
        pressed.run()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    second = prepared(tmp_path / "pressed", "adamw")
    assert second.run().steps == 12
    assert same(whole.objective.state_dict(), second.objective.state_dict())


def test_the_log_of_a_run_that_was_cut_is_the_whole_run_s(tmp_path: Path) -> None:
    """Rows written after the last checkpoint belong to work that was undone: they are written anew, and the loss that
    is followed slowly goes on from where it was."""
    prepared(tmp_path / "whole", "adamw").run()
    prepared(tmp_path / "cut", "adamw").run(until=7)
    with (tmp_path / "cut" / "log.csv").open("a") as file:
        file.write("11,3.7,0.1,0.1,,,9.9\n")
    prepared(tmp_path / "cut", "adamw").run()
    whole, cut = (rows_of(tmp_path / name / "log.csv") for name in ("whole", "cut"))
    assert cut == whole
    assert [int(row["step"]) for row in cut if row["loss"]] == list(range(1, 13))


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a log, without their times."""
    with path.open() as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def test_a_half_written_checkpoint_is_never_read(tmp_path: Path) -> None:
    first = prepared(tmp_path, "adamw")
    first.run(until=3)
    (tmp_path / f".{resume.NAME}.unfinished").write_bytes(b"cut off")
    assert prepared(tmp_path, "adamw").run().steps == 12


def test_another_run_is_refused_by_name(tmp_path: Path) -> None:
    loop(tmp_path).run(until=2)
    with pytest.raises(ManifestMismatch, match="another run"):
        loop(tmp_path, fingerprint="other").run()


def test_a_broken_checkpoint_says_what_to_do(tmp_path: Path) -> None:
    tmp_path.joinpath(resume.NAME).write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="Delete it"):
        loop(tmp_path).run()


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    class Breaks(Supervised):
        def loss(self, batch):
            self.steps = getattr(self, "steps", 0) + 1
            return super().loss(batch) * (float("nan") if self.steps == 6 else 1.0)

    options = LoopOptions(epochs=4, batch=24, checkpoint_steps=2)
    run = loop(tmp_path, objective=Breaks(network(), "single"), options=options)
    with pytest.raises(TrainingError, match=r"nan at step 6 of 12.*Lower the learning rate"):
        run.run()
    kept = torch.load(tmp_path / resume.NAME, weights_only=True)
    assert kept["state"]["step"] == 4
    assert all(v.isfinite().all() for v in kept["objective"].values() if v.is_floating_point())


def test_stopping_early_keeps_the_best_evaluation(tmp_path: Path) -> None:
    """With a learning rate of 0 no evaluation is better than the first: after `patience` more the run stops."""
    options = LoopOptions(epochs=50, batch=24, patience=3)
    run = loop(tmp_path, options=options, optimiser=OptimiserOptions(learning_rate=0.0, weight_decay=0.0))
    outcome = run.run()
    assert outcome.stopped_early
    assert len(outcome.evaluations) == 4
    assert outcome.best_step == 3


def test_parts_of_a_batch_give_the_gradient_of_the_whole(tmp_path: Path) -> None:
    """Gradient accumulation changes memory, not the result (to rounding)."""
    runs = []
    for accumulate in (1, 3):
        options = LoopOptions(epochs=1, batch=24, accumulate=accumulate)
        run = loop(
            tmp_path / str(accumulate), options=options, optimiser=OptimiserOptions(kind="sgd", learning_rate=0.1)
        )
        run.run()
        runs.append(run.objective.state_dict())
    for name, value in runs[0].items():
        assert torch.allclose(value, runs[1][name], atol=1e-6), name


def test_a_run_learns_and_its_average_is_what_is_judged(tmp_path: Path) -> None:
    options, moving = LoopOptions(epochs=15, batch=24, ema=0.8), OptimiserOptions(learning_rate=1e-2)
    outcome = loop(tmp_path, options=options, optimiser=moving).run()
    assert outcome.best > 0.9  # chance 0.33; a loop that does not move the weights stays there
    assert {"loss", "accuracy", "step"} <= set(outcome.evaluations[-1])


def test_bf16_learns_too(tmp_path: Path) -> None:
    options = LoopOptions(epochs=15, batch=24, precision="bf16")
    assert loop(tmp_path, options=options, optimiser=OptimiserOptions(learning_rate=1e-2)).run().best > 0.8


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_gradient_that_is_not_finite_stops_before_it_is_applied(tmp_path: Path, clip: float) -> None:
    """The loss may be finite and its gradient not: no checkpoint ever holds a weight that is not finite."""

    class Steep(Supervised):
        def loss(self, batch):
            self.steps = getattr(self, "steps", 0) + 1
            flat = self.model.head.output.bias.sum() * 0.0
            return super().loss(batch) + (flat.sqrt() if self.steps == 6 else 0.0)  # the slope of sqrt at 0

    options = LoopOptions(epochs=4, batch=24, checkpoint_steps=1)
    run = loop(tmp_path, objective=Steep(network(), "single"), options=options, optimiser=OptimiserOptions(clip=clip))
    with pytest.raises(TrainingError, match=r"gradient's norm became nan at step 6 of 12.*last good checkpoint"):
        run.run()
    kept = torch.load(tmp_path / resume.NAME, weights_only=True)
    assert kept["state"]["step"] == 5
    assert all(value.isfinite().all() for value in kept["objective"].values())


def test_a_step_leaves_the_random_state_as_it_was(tmp_path: Path) -> None:
    seen: list[Progress] = []
    run = prepared(tmp_path, "adamw", report=seen.append)
    before = torch.get_rng_state()
    run.run()
    assert torch.equal(torch.get_rng_state(), before)
    assert [(now.done, now.total) for now in seen] == [(step, 12) for step in range(1, 13)]


def test_a_run_that_was_cut_reports_what_was_done_before(tmp_path: Path) -> None:
    prepared(tmp_path, "adamw").run(until=4)
    seen: list[Progress] = []
    prepared(tmp_path, "adamw", report=seen.append).run()
    assert {now.before for now in seen} == {4}


def test_weights_that_a_step_has_made_infinite_are_in_no_checkpoint(tmp_path: Path) -> None:
    """The loss before the last step was finite, and so were its gradients; no loss comes after it."""
    net = network()
    objective = Supervised(net, "single")
    run = loop(tmp_path, objective=objective, options=LoopOptions(epochs=1, batch=24, checkpoint_steps=2))

    def overflow(part: float) -> None:
        if part == 1.0:
            next(net.parameters()).data.fill_(float("inf"))

    objective.stepped = overflow  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match=r"weights became infinite at step 3 of 3, .* The last good checkpoint is "):
        run.run()
    kept = torch.load(tmp_path / resume.NAME, weights_only=True)
    assert kept["state"]["step"] == 2
    assert all(bool(value.isfinite().all()) for value in kept["objective"].values())
