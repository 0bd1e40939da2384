"""Every objective: a task that a broken version fails (formulas stand beside other people's in tests/references)."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score
from sklearn.neighbors import NearestNeighbors
from tests.learning.small import network, pictures, shape

from classtoken.encoder.encoder import Encoder
from classtoken.encoder.shape import BlockShape, Shape, TextStem
from classtoken.head import make_head
from classtoken.learning.data.batches import Batches, Feed, TrainingBatch
from classtoken.learning.loop.loop import Loop
from classtoken.learning.model import Network, set_regularisation
from classtoken.learning.objectives.base import Objective, score_of
from classtoken.learning.objectives.clip import Clip
from classtoken.learning.objectives.contrast import SentenceContrast
from classtoken.learning.objectives.dino import Dino, MultiCrop
from classtoken.learning.objectives.distillation import (
    Distillation,
    precomputed,
    precomputed_several,
)
from classtoken.learning.objectives.masked import UNTOUCHED, MaskedTokens, hide
from classtoken.learning.objectives.similarity import ScoredPairs
from classtoken.learning.objectives.supervised import (
    Supervised,
    class_weights,
    classification_loss,
    classification_scores,
)
from classtoken.learning.recipe import LoopOptions, OptimiserOptions
from classtoken.pooling.spec import parse
from classtoken.readout.readout import Readout
from classtoken.tensors import Tokens
from classtoken.values import TEXT_POOLED, Role

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3], [-1.0, 3.0, 0.0]])


# --- supervised ----------------------------------------------------------------------------------------------------


def test_labels_that_no_row_has_are_left_out_of_the_mean_precision() -> None:
    rng = np.random.default_rng(0)
    scores, truth = rng.integers(0, 6, (40, 3)) / 5, rng.random((40, 3)) < 0.3
    truth[:, 1] = False
    found = classification_scores(torch.tensor(scores), torch.tensor(truth).double(), "multi")
    expected = np.mean([average_precision_score(truth[:, c], scores[:, c]) for c in (0, 2)])
    assert found["mean_average_precision"] == pytest.approx(expected)


def test_a_label_that_is_neither_there_nor_found_is_no_failure() -> None:
    """A classifier that is right about everything has F1 = 1, whatever labels the held-out rows happen to lack."""
    truth = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    right = classification_scores(truth * 8 - 4, truth, "multi")
    assert (right["macro_f1"], right["mean_average_precision"], right["exact_match"]) == (1.0, 1.0, 1.0)
    found = torch.tensor([[4.0, -4.0, 4.0], [-4.0, 4.0, -4.0]])
    assert classification_scores(found, truth, "multi")["macro_f1"] == pytest.approx(2 / 3)  # one given for nothing
    nothing = classification_scores(torch.full((2, 3), -4.0), torch.zeros(2, 3), "multi")
    assert nothing["macro_f1"] == 1.0


def test_balanced_and_smoothed_weighs_each_row_by_its_own_label() -> None:
    """torch's cross_entropy would weigh each class of the smoothed target by its own weight."""
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 0, 0, 0, 1, 2])
    weights = class_weights(targets, 3)
    rows, of_row = F.cross_entropy(logits, targets, label_smoothing=0.2, reduction="none"), weights[targets]
    expected = float((rows * of_row).sum() / of_row.sum())
    assert float(classification_loss(logits, targets, "single", 0.2, weights)) == pytest.approx(expected, rel=1e-6)
    theirs = float(F.cross_entropy(logits, targets, weight=weights, label_smoothing=0.2))
    assert theirs != pytest.approx(expected, rel=0.01)


def test_several_labels_and_a_token_per_class_learn(tmp_path) -> None:
    data = pictures(of=shape(class_tokens=3))
    data = replace(data, targets=torch.nn.functional.one_hot(data.targets, 3).float())
    made = network(shape(class_tokens=3), pooling="cls(0)+cls(1)+cls(2)", head="per_token")
    assert run(tmp_path, Supervised(made, "multi"), data, epochs=20) > 0.9


# --- distillation --------------------------------------------------------------------------------------------------


def test_probabilities_of_a_teacher_are_its_logits_again() -> None:
    teacher = torch.tensor([[1.0, -2.0, 0.5], [-1.0, 0.2, 4.0], [3.0, -1.0, -1.0]])
    given = TrainingBatch((), None, torch.arange(3), teacher.double().sigmoid())
    assert torch.allclose(precomputed_several(given), teacher.double(), atol=1e-6)


def test_a_student_learns_several_labels_from_a_teacher_alone(tmp_path) -> None:
    """As below, with any number of labels a row: those rows have none of their own (nan)."""
    data = pictures()
    teacher = torch.nn.functional.one_hot(data.targets, 3).float() * 0.94 + 0.02
    data = replace(data, targets=torch.nn.functional.one_hot(data.targets, 3).float())
    blind = Taught(data, teacher, torch.full((len(data), 3), float("nan")))
    objective = Distillation(network(), precomputed_several, mode="soft", weight=0.5, task="multi")
    feed, held = Feed(blind, torch.arange(72), 24, 0), Feed(data, torch.arange(72, 96), 24, 0)
    options, moving = LoopOptions(epochs=15, batch=24, evaluate_every=5), OptimiserOptions(learning_rate=1e-2)
    outcome = Loop(objective, feed, held, options, moving, folder=tmp_path, fingerprint="x", depth=2).run()
    assert outcome.best > 0.9  # mean average precision; chance 0.33


def test_the_distillation_token_learns_the_teacher_and_the_class_token_the_label() -> None:
    """The two are kept apart: the teacher's gradient does not reach the label's head, nor the other way round."""
    made = network(shape(distillation=1), pooling="cls+dist", head="distilled")
    data = pictures(24, of=shape(distillation=1))
    batch = data.plain(torch.arange(24))
    teacher = torch.nn.functional.one_hot((batch.targets + 1) % 3, 3).float() * 9
    for weight, learns, rests in ((1.0, "distillation", "output"), (0.0, "output", "distillation")):
        made.zero_grad()
        Distillation(made, lambda _: teacher, weight=weight).loss(batch).backward()
        assert made.head.get_submodule(learns).weight.grad.abs().sum() > 0
        gradient = made.head.get_submodule(rests).weight.grad
        assert gradient is None or gradient.abs().sum() == 0


def test_a_student_learns_from_a_teacher_alone(tmp_path) -> None:
    """Its rows have no labels (-1): only the teacher tells, and only through its probabilities."""
    data = pictures()
    teacher = torch.nn.functional.one_hot(data.targets, 3).float() * 0.94 + 0.02
    blind = Taught(data, teacher, torch.full((len(data),), -1))
    objective = Distillation(network(), precomputed, mode="soft", weight=0.5)
    feed = Feed(blind, torch.arange(72), 24, 0)
    held = Feed(data, torch.arange(72, 96), 24, 0)
    options, moving = LoopOptions(epochs=30, batch=24, evaluate_every=5), OptimiserOptions(learning_rate=1e-2)
    outcome = Loop(objective, feed, held, options, moving, folder=tmp_path, fingerprint="x", depth=2).run()
    assert outcome.best > 0.9


class Taught:
    """Pictures with a teacher's probabilities and other targets."""

    def __init__(self, data, teacher, targets):
        self.data, self.teacher, self.targets = data, teacher, targets

    def __len__(self) -> int:
        return len(self.data)

    def plain(self, rows) -> TrainingBatch:
        batch = self.data.plain(rows)
        return TrainingBatch(batch.views, self.targets[rows], rows, self.teacher[rows])

    def train(self, rows, generator) -> TrainingBatch:
        return self.plain(rows)


# --- DINO ----------------------------------------------------------------------------------------------------------


def test_the_teacher_is_the_average_and_no_gradient_reaches_it() -> None:
    objective = Dino(network(head="linear"), 16, prototypes=8, momentum=0.9)
    before = objective.teacher.state_dict()["encoder.stem.class_token"].clone()
    with torch.no_grad():
        objective.model.encoder.stem.class_token.add_(1.0)
    objective.stepped(0.0)
    assert torch.allclose(objective.teacher.state_dict()["encoder.stem.class_token"], before + 0.1, atol=1e-6)
    crops = MultiCrop(pictures(12), 1, (8, 8), 4)
    objective.loss(crops.train(torch.arange(12), torch.Generator().manual_seed(0))).backward()
    assert all(p.grad is None for p in objective.teacher.parameters())
    assert objective.model.encoder.stem.class_token.grad.abs().sum() > 0
    assert objective.centre.abs().sum() > 0


@pytest.mark.slow
def test_dino_finds_classes_without_labels_and_uses_its_prototypes(tmp_path) -> None:
    """Neighbours by the teacher's vectors share their class more often than before, and no prototype takes all."""
    data = pictures(192)
    objective = Dino(network(seed=1), 16, prototypes=16, momentum=0.9, seed=1)
    crops = MultiCrop(data, 2, (8, 8), 4, large=(0.8, 1.0), small=(0.4, 0.8))
    feed, held = Feed(crops, torch.arange(128), 32, 0), Feed(crops, torch.arange(128, 192), 64, 0)
    options, moving = (
        LoopOptions(epochs=25, batch=32, keep="last", evaluate_every=25),
        OptimiserOptions(learning_rate=2e-3),
    )
    outcome = Loop(objective, feed, held, options, moving, folder=tmp_path, fingerprint="x", depth=2).run()
    assert outcome.evaluations[-1]["used"] > 0.3  # a collapsed teacher has 0 (one prototype)
    assert outcome.evaluations[-1]["neighbours"] > 0.5  # chance 0.33


def test_dino_without_labels_keeps_the_last_weights(tmp_path) -> None:
    """The entropy of the prototypes is largest before anything is learned: as a metric it kept the worst teacher."""
    data = replace(pictures(96), targets=None)
    objective = Dino(network(seed=1), 16, prototypes=16, momentum=0.9, seed=1, labelled=False)
    crops = MultiCrop(data, 2, (8, 8), 4, large=(0.8, 1.0), small=(0.4, 0.8))
    feed, held = Feed(crops, torch.arange(64), 32, 0), Feed(crops, torch.arange(64, 96), 32, 0)
    moving = OptimiserOptions(learning_rate=2e-3)
    run = Loop(
        objective, feed, held, LoopOptions(epochs=4, batch=32), moving, folder=tmp_path, fingerprint="x", depth=2
    )
    used = [scores["used"] for scores in run.run().evaluations]
    assert max(used[:-1]) > used[-1]
    kept = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["objective"]
    assert all(torch.equal(value, kept[name]) for name, value in objective.state_dict().items())


# --- contrast ------------------------------------------------------------------------------------------------------


def test_simcse_learns_to_know_a_sentence_again(tmp_path) -> None:
    """Two views of a row share four of their five words: after training the partner is the nearest."""
    objective = SentenceContrast(text_network())
    data = Pairs(32)
    objective.eval()
    with torch.no_grad():
        before = objective.score(iter([data.plain(torch.arange(32))]))["top_match"]
    assert run(tmp_path, objective, data, epochs=150, rows=32) > max(0.7, before + 0.3)


def test_simcse_learns_and_keeps_its_last_weights(tmp_path) -> None:
    """Without dropout every sentence finds itself at the first evaluation: a match of 1.0 that nothing can exceed."""
    made = text_network()
    set_regularisation(made.encoder, LoopOptions(dropout=0.1))
    objective, data = SentenceContrast(made, paired=False), Single(64)
    options = LoopOptions(epochs=30, batch=32, dropout=0.1)
    feed, held = Feed(data, torch.arange(48), 24, 0), Feed(data, torch.arange(48, 64), 16, 0)
    moving = OptimiserOptions(learning_rate=3e-3)
    run = Loop(objective, feed, held, options, moving, folder=tmp_path, fingerprint="x", depth=1)
    seen = run.run().evaluations
    assert seen[0]["loss"] > seen[-1]["loss"] > 0
    kept = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["objective"]
    assert all(torch.equal(value, kept[name]) for name, value in objective.state_dict().items())


def test_clips_factor_can_come_back_from_its_limit() -> None:
    """open_clip's rule: the parameter is moved to ln 100, so that there is a gradient at the limit."""
    objective = Clip(network(seed=1), text_network())
    with torch.no_grad():
        objective.log_scale.fill_(9.0)
    objective.stepped(0.5)
    assert float(objective.log_scale.detach().exp()) == pytest.approx(100.0)
    objective.loss(ImageText().plain(torch.arange(3))).backward()
    assert abs(float(objective.log_scale.grad)) > 0


@pytest.mark.slow
def test_clip_brings_two_towers_together(tmp_path) -> None:
    """Images and texts of the same class match; held-out pairs of three classes, one row each."""
    data = ImageText()
    objective = Clip(network(seed=1), text_network())
    assert run(tmp_path, objective, data, epochs=150, rows=3) > 0.99  # chance 0.33


# --- masked tokens -------------------------------------------------------------------------------------------------


def test_masked_tokens_learn_what_follows_what(tmp_path) -> None:
    """In these rows every piece follows from its neighbours; chance is 1 in 12."""
    made = text_network()
    objective = MaskedTokens(made.encoder, 16, 17, 4, part=0.2)
    assert run(tmp_path, objective, Counting(128), epochs=100, rows=128) > 0.3


# --- what the tests share ------------------------------------------------------------------------------------------


def run(folder, objective, data, *, epochs: int, rows: int = 72) -> float:
    """Train; the best score on the held-out (or the same) rows."""
    held = torch.arange(72, 96) if rows == 72 else torch.arange(rows)
    batch = min(24 if rows == 72 else 64, rows)
    options = LoopOptions(epochs=epochs, batch=batch, evaluate_every=5)
    moving = OptimiserOptions(learning_rate=1e-2)
    feed, look = Feed(data, torch.arange(rows), batch, 0), Feed(data, held, batch, 0)
    return Loop(objective, feed, look, options, moving, folder=folder, fingerprint="x", depth=2).run().best


def text_network() -> Network:
    """A text encoder of 17 pieces (5 special), class token first."""
    of = Shape(
        hidden_size=16,
        depth=1,
        stem=TextStem(vocabulary=17, positions=16),
        block=BlockShape(heads=2, feedforward_size=32, norm_eps=1e-6),
    )
    encoder = Encoder(of).initialise(0)
    return Network(encoder, Readout(parse("cls"), 1, TEXT_POOLED, size=16), make_head("linear", 16, 2))


def texts(ids: torch.Tensor) -> Tokens:
    """[CLS] before every row."""
    ids = torch.cat((torch.full((len(ids), 1), 2), ids), dim=1)
    roles = torch.full_like(ids, int(Role.CONTENT))
    roles[:, 0] = Role.CLASS
    return Tokens(roles, ids_BL=ids)


class Rows:
    """Batches that are the same whether they are learned from or looked at."""

    count: int

    def __len__(self) -> int:
        return self.count

    def train(self, rows, generator) -> TrainingBatch:
        return self.plain(rows)

    def plain(self, rows) -> TrainingBatch:
        return TrainingBatch(self.views(rows), None, rows)


class Pairs(Rows):
    """A row's two views: the same six words, each view without another one of them."""

    def __init__(self, count: int):
        self.count = count
        self.words = torch.randint(5, 17, (count, 6), generator=torch.Generator().manual_seed(0))

    def views(self, rows) -> tuple[Tokens, ...]:
        return texts(self.words[rows][:, :5]), texts(self.words[rows][:, 1:])


class Single(Pairs):
    """A row as it is, once."""

    def views(self, rows) -> tuple[Tokens, ...]:
        return (texts(self.words[rows]),)


class ImageText(Rows):
    """Three pictures and the three texts that belong to them."""

    count = 3

    def views(self, rows) -> tuple[Tokens, ...]:
        return pictures(3).plain(rows).views[0], texts(5 + rows[:, None].repeat(1, 4))


class Counting(Rows):
    """Rows that count upwards around a circle of twelve pieces."""

    def __init__(self, count: int):
        self.count = count

    def views(self, rows) -> tuple[Tokens, ...]:
        return (texts(5 + (rows[:, None] + torch.arange(10)) % 12),)


class Scored(Pairs):
    """Two rows of six words that share 0 to 6 of them, and how many."""

    def plain(self, rows) -> TrainingBatch:
        shared = rows % 7
        other = self.words.roll(1, 0)[rows]
        second = torch.where(torch.arange(6) < shared[:, None], self.words[rows], other)
        return TrainingBatch((texts(self.words[rows]), texts(second)), shared.float(), rows)


class ClassesInWords(Rows):
    """Pictures of three classes, each with a text that names its class among words that mean nothing."""

    count = 108

    def views(self, rows) -> tuple[Tokens, ...]:
        words = torch.randint(8, 17, (self.count, 4), generator=torch.Generator().manual_seed(0))[rows]
        words[:, 1] = 5 + rows % 3
        return pictures(self.count).plain(rows).views[0], texts(words)


# --- scores that choose --------------------------------------------------------------------------------------------


FRESH = torch.arange(96, 108)
"""rows that are neither learned from nor held out; of random words, which nothing carries over to, learned ones"""
LEARNED = torch.arange(24, 36)


def right(objective: Objective, data: Batches) -> float:
    """The mean probability of the true label (or of the truth about every label) of fresh rows."""
    batch = data.plain(FRESH)
    logits = objective.model(batch.views[0])
    if batch.targets.dim() == 2:
        p = logits.sigmoid()
        return float((batch.targets * p + (1 - batch.targets) * (1 - p)).mean())
    return float(logits.softmax(-1).gather(1, batch.targets[:, None]).mean())


def rank(objective: Objective, data: Batches) -> float:
    """The mean reciprocal rank of the partner of fresh rows; of images and texts three at a time, one of each class."""
    found = []
    for rows in FRESH.split(3) if isinstance(objective, Clip) else [LEARNED]:
        first, second = (torch.nn.functional.normalize(x, dim=-1) for x in objective.outputs(data.plain(rows)))
        scores = first @ second.T
        found.append((1 / (scores >= scores.diagonal()[:, None]).sum(1)).mean())
    return float(torch.stack(found).mean())


def order(objective: Objective, data: Batches) -> float:
    """Of two fresh pairs that differ in their score, how often the cosines have the same order."""
    batch = data.plain(LEARNED)
    cosines = torch.cosine_similarity(*objective.outputs(batch))
    apart = batch.targets[:, None] < batch.targets[None, :]
    return float((cosines[:, None] < cosines[None, :])[apart].float().mean())


def pieces(objective: Objective, data: Batches) -> float:
    """The mean probability of the true piece where one is hidden, in fresh rows."""
    batch = data.plain(FRESH)
    hidden, targets = hide(batch.views[0], 0.2, 4, 17, torch.Generator().manual_seed(5))
    where = targets != UNTOUCHED
    return float(objective.logits(hidden, where).softmax(-1).gather(1, targets[where][:, None]).mean())


def neighbour(objective: Objective, data: Batches) -> float:
    """Of the held-out pictures, how often scikit-learn's nearest other one has the same label."""
    batch = data.plain(torch.arange(72, 96))
    vectors = objective.teacher.vectors(batch.views[0]).numpy()
    nearest = NearestNeighbors(n_neighbors=2, metric="cosine").fit(vectors).kneighbors(vectors)[1][:, 1]
    return float((batch.targets == batch.targets[torch.from_numpy(nearest)]).float().mean())


def several_labels() -> tuple[Objective, Batches]:
    data = pictures(108)
    return Supervised(network(), "multi"), replace(data, targets=torch.nn.functional.one_hot(data.targets, 3).float())


def taught() -> tuple[Objective, Batches]:
    data = pictures(108)
    answers = torch.nn.functional.one_hot(data.targets, 3).float() * 0.94 + 0.02
    return Distillation(network(), lambda batch: answers[batch.rows], mode="soft"), data


def crops() -> tuple[Objective, Batches]:
    objective = Dino(network(seed=1), 16, prototypes=16, momentum=0.9, seed=1)
    return objective, MultiCrop(pictures(108), 2, (8, 8), 4, large=(0.8, 1.0), small=(0.4, 0.8))


CHOOSING = {
    "one label": (lambda: (Supervised(network(), "single"), pictures(108)), right, 24),
    "several labels": (several_labels, right, 24),
    "distillation": (taught, right, 24),
    "pairs": (lambda: (SentenceContrast(text_network()), Pairs(108)), rank, 240),
    "similarity": (lambda: (ScoredPairs(text_network()), Scored(108)), order, 60),
    "masked": (lambda: (MaskedTokens(text_network().encoder, 16, 17, 4, part=0.2), Counting(108)), pieces, 60),
    "clip": (lambda: (Clip(network(seed=1), text_network()), ClassesInWords()), rank, 24),
    "dino with labels": (crops, neighbour, 30),
}
"""objectives with a score that may choose; what is wanted of them, measured in another way; epochs"""


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOOSING)
def test_every_score_that_may_choose_grows_with_what_is_wanted(tmp_path, name: str) -> None:
    """On rows held out, from before the first step to the last, while what is wanted grows on rows that nobody chose
    by: else it would keep what knows least."""
    made, wanted, epochs = CHOOSING[name]
    objective, data = made()
    assert objective.chooses
    assert objective.metrics
    rows = {"clip": torch.arange(72, 75), "pairs": torch.arange(24), "similarity": torch.arange(24)}
    held = Feed(data, rows.get(name, torch.arange(72, 96)), 24, 0)

    def seen() -> tuple[dict[str, float], float]:
        objective.eval()
        with torch.no_grad():
            return objective.score(held.in_order()), wanted(objective, data)

    before, less = seen()
    options, moving = LoopOptions(epochs=epochs, batch=24, keep="last"), OptimiserOptions(learning_rate=3e-3)
    feed = Feed(data, torch.arange(72), 24, 0)
    Loop(objective, feed, None, options, moving, folder=tmp_path, fingerprint="x", depth=2).run()
    after, more = seen()
    grown = more > less
    assert grown
    for metric in objective.metrics:
        assert (score_of(after, metric) > score_of(before, metric)) == grown, metric


def test_one_record_that_is_held_out_alone_has_no_neighbour_and_chooses_nothing(tmp_path) -> None:
    """Its nearest row is itself, or its own partner: right at every evaluation, so that the first would be kept."""
    data = pictures()
    objective = Dino(network(seed=1), 16, prototypes=16, momentum=0.9, seed=1)
    assert objective.metric == "neighbours"
    crops = MultiCrop(data, 2, (8, 8), 4)
    feed, held = Feed(crops, torch.arange(72), 24, 0), Feed(crops, torch.tensor([72]), 24, 0)
    options, moving = LoopOptions(epochs=2, batch=24, patience=1), OptimiserOptions(learning_rate=1e-3)
    notes: list[str] = []
    outcome = Loop(
        objective,
        feed,
        held,
        options,
        moving,
        folder=tmp_path,
        fingerprint="x",
        depth=2,
        report=lambda p: notes.append(p.note),
    ).run()
    assert [set(one) for one in outcome.evaluations] == [{"step", "used"}] * 2
    assert (outcome.best_step, outcome.stopped_early) == (0, False)
    assert "neighbours" not in notes[-1]
    (one,) = held.in_order()
    paired = replace(one, views=one.views * 2, targets=torch.ones(1))
    contrast, scored = SentenceContrast(network()), ScoredPairs(network())
    with torch.no_grad():
        assert contrast.score(iter([paired])) == scored.score(iter([paired])) == {}


def test_what_has_no_such_score_keeps_its_last_weights() -> None:
    """Sentences alone, and pictures without labels: what they measure is largest before anything is learned."""
    assert not SentenceContrast(text_network(), paired=False).chooses
    assert not Dino(network(), 16, prototypes=8, labelled=False).chooses
