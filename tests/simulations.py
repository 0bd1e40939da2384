"""What intervals and tests promise, simulated where the truth is known; `python -m tests.simulations` writes the tables
of docs/trust.md. The tests run the same in small, and in full as soak tests."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from scipy.stats import binom
from tests.probe.subjects import ClassState, images
from tools.generated import into, wrapped

from classtoken.comparison.classification import Classification
from classtoken.comparison.task import Choices
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.shape import BlockShape, ImageStem, Shape
from classtoken.maps.faithfulness import random_scores
from classtoken.maps.table import Method, Setting, available
from classtoken.measure.paired import Units, intervals, pair_tests
from classtoken.measure.scores import precision_items
from classtoken.measure.statistics import LEAST, compare, exact, mean_interval
from classtoken.options import ExplainOptions
from classtoken.probe.subject import Linear, Subject
from classtoken.probe.traced import trace
from classtoken.results.explain import KnockOut
from classtoken.study.control import controls_for, values_of
from classtoken.study.explanation import relevance_maps, removal_of
from classtoken.study.knockouts import Bench, by_layer
from classtoken.study.unseen import LEAST as LEAST_PLACES
from classtoken.study.unseen import coverage
from classtoken.values import Record

SIZES = (2, 4, 8, 12, 16, 24, 32, 48, 64)
Bounds = tuple[float, float] | None
DRAWN: dict[str, tuple[Callable[[Generator, int], np.ndarray], float, Bounds]] = {
    "normal": (lambda g, n: g.normal(size=n), 0.0, None),
    "heavy tails (t, 3)": (lambda g, n: g.standard_t(3, size=n), 0.0, None),
    "skewed (exponential)": (lambda g, n: g.exponential(size=n), 1.0, None),
    "very skewed (lognormal)": (lambda g, n: g.lognormal(size=n), float(np.exp(0.5)), None),
    "0 in nine of ten": (lambda g, n: (g.random(n) < 0.1) * g.exponential(size=n), 0.1, None),
    "hits, nine of ten": (lambda g, n: (g.random(n) < 0.9).astype(float), 0.9, (0.0, 1.0)),
    "1 in nine of ten, else less": (lambda g, n: 1 - (g.random(n) < 0.1) * g.random(n), 0.95, (0.0, 1.0)),
}
OFTEN = ("normal", "heavy tails (t, 3)", "skewed (exponential)", "very skewed (lognormal)")
"""from `LEAST` examples on there is always an interval"""
SHARES = (0.02, 0.1, 0.5, 0.9, 0.99)
# 2 x 2 heads; layers of small and large models; 24 to 36 heads; patches of small and large grids
CUTS = [(4, 2), (12, 6), (6, 3), (5, 2), (12, 4), (24, 1), (36, 1), (22, 1), (25, 1), (196, 19), (16, 2), (64, 6)]
PAGE = Path(__file__).parents[1] / "docs" / "trust.md"


def covered(kind: str, n: int, runs: int) -> tuple[int, int]:
    """How many samples have an interval of the mean that holds the true mean, and how many have one at all."""
    draw, truth, bounds = DRAWN[kind]
    generator = np.random.default_rng(n)
    found = [mean_interval(draw(generator, n), resamples=999, seed=seed, bounds=bounds) for seed in range(runs)]
    given = [each for each in found if each.known]
    return sum(truth in each for each in given), len(given)


def coverage_cell(held: int, given: int, runs: int) -> str:
    """The share that holds, and of how many where not all have an interval."""
    if not given:
        return "none given"
    return percent(held / given) + ("" if given == runs else f" (of the {round(100 * given / runs)} % given)")


def covered_share(p: float, n: int) -> float:
    """The same for the interval of a share, exactly: the probability of the counts whose interval holds p."""
    return float(sum(binom.pmf(k, n, p) for k in range(n + 1) if p in exact(k, n)))


def knocked(effects: np.ndarray, tested: tuple[int, ...], seed: int, tests: int = 1) -> KnockOut:
    """A knock-out in a model where each thing adds its effect."""
    controls = controls_for(range(len(effects)), tested, tests=tests, seed=seed)
    after = float(effects[list(tested)].sum())
    null = values_of(controls, lambda sets: [float(effects[list(s)].sum()) for s in sets], before=0.0, after=after)
    return KnockOut("x", "zero", tested, 0.0, after, null, controls.possible)


def wrong_cuts(things: int, size: int, runs: int) -> int:
    """How often a cut like all others is called needed, or in its way."""
    generator, wrong = np.random.default_rng(things * 31 + size), 0
    for seed in range(runs):
        tested = tuple(sorted(generator.choice(things, size, replace=False).tolist()))
        wrong += knocked(generator.normal(size=things), tested, seed).verdict in ("needed", "in its way")
    return wrong


LOOKED, USED, MARK, AGAINST, ANSWER = range(5)
MODELS = {
    "even": "looks at all patches almost alike, and uses what it reads",
    "unread": "looks at few patches, and its answer uses nothing of what it reads",
    "needed": "looks at few patches, and its answer is what they hold",
    "in its way": "the same, with the sign turned round: they speak against the answer",
}


@torch.no_grad()
def simulated(kind: str) -> Subject:
    """A ViT of four layers and 5x5 patches whose weights are written down so that what is needed is known.

    Of a patch's 16 numbers, all drawn at random, one is what the class token looks for and another one what it takes
    from there; each layer adds that to a number of its own, which alone the classifier reads. `needed`, `in its way`:
    it takes what it looked for, in the third layer only.
    """
    stem = ImageStem(patch=4, image=(20, 20), class_tokens=1, positions="none")
    block = BlockShape(heads=1, feedforward_size=4, norm_eps=1e-6)
    encoder = Encoder(Shape(hidden_size=16, depth=4, stem=stem, block=block)).double().eval()
    for name, parameter in encoder.named_parameters():
        parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
    planted = kind in ("needed", "in its way")
    weight = torch.empty(16, 48, dtype=torch.float64).normal_(generator=torch.Generator().manual_seed(0)) / 48**0.5
    weight[[MARK, AGAINST, ANSWER]] = 0.0
    encoder.stem.patch.weight.copy_(weight.view_as(encoder.stem.patch.weight))
    encoder.stem.class_token[..., MARK] = 4.0
    encoder.stem.class_token[..., AGAINST] = -4.0
    encoder.stem.class_token[..., ANSWER] = 3.0 if kind == "in its way" else 0.0
    for i in range(4):
        attention = encoder.block(i).attention
        attention.query.weight[0, MARK] = 0.004 if kind == "even" else 3.0
        attention.key.weight[0, LOOKED] = 1.0
        attention.value.weight[0, LOOKED if planted else USED] = 1.0
        if not planted or i == 2:
            attention.output.weight[ANSWER, 0] = {"unread": 0.0, "in its way": -0.5}.get(kind, 1.0)
        if kind == "unread":  # the mean stays 0, so that the norm leaves the answer alone
            attention.output.weight[[USED, MARK], 0] = torch.tensor([1.0, -1.0], dtype=torch.float64)
    head = torch.nn.Linear(16, 2).double()
    for parameter in head.parameters():
        parameter.zero_()
    head.weight[0, ANSWER] = 1.0
    return Subject(encoder, ClassState(), head, linear=Linear(head.weight, head.bias))


def judged(kind: str, runs: int) -> list[set[str]]:
    """What is said of the layers of a simulated model, for each of `runs` inputs: what the walkthrough shows."""
    subject, found = simulated(kind), []
    for seed in range(runs):
        traced = trace(subject, images(subject.encoder.shape, 1, seed))
        target = int(traced.answers_BC[0].argmax())
        found.append({k.found.verdict for k in by_layer(traced, 0, target, heads=False, seed=seed)})
    return found


def said(kind: str, runs: int, *verdicts: str) -> int:
    """For how many inputs one of these is said of a layer at least."""
    return sum(bool(each & set(verdicts)) for each in judged(kind, runs))


def blind(number: int) -> Method:
    """A map that knows nothing."""
    return Method(
        f"blind {number}", f"blind {number}", "", lambda t, y, o: random_scores(t.tokens, 100 * o.seed + number)
    )


BLIND = tuple(blind(number) for number in range(9))
TAKEN_AWAY = {
    ("even", True): "uses all patches, and nine maps are random numbers",
    ("unread", False): "uses nothing of what it reads; `explain`'s own maps",
    ("needed", False): "its answer is what few patches hold; `explain`'s own maps",
}


def taken_away(kind: str, runs: int, *, blindly: bool) -> int:
    """For how many inputs `explain` finds that the answer needs what the best tested map calls most important."""
    subject, found = simulated(kind), 0
    for seed in range(runs):
        tokens = images(subject.encoder.shape, 1, seed)
        own = tuple(m for m in available(subject, tokens) if not m.control and not m.by_removal)
        methods = BLIND if blindly else own
        traced = trace(subject, tokens, gradients=any(m.needs_gradients for m in methods))
        target = int(traced.answers_BC[0].argmax())
        setting = Setting(patch=4, seed=seed)
        maps, _ = relevance_maps(traced.explaining(target), target, methods, setting, ExplainOptions())
        removal = removal_of(Bench(traced, target, seed=seed), maps)
        found += removal is not None and removal.knockout.verdict == "needed"
    return found


def wrong_comparisons(n: int, runs: int) -> int:
    """How often two ways that are equally good on n examples differ with p at most 0.05."""
    generator = np.random.default_rng(n)
    return sum(compare(*generator.normal(size=(2, n)), resamples=499).p <= 0.05 for _ in range(runs))


def never_said(n: int, runs: int) -> float:
    """How many of 100 places that attention falls on evenly are called places that it never looks at, at most."""
    generator = torch.Generator().manual_seed(n)
    return max(len(coverage(torch.rand(n, 100, generator=generator), "all", (10, 10)).never) for _ in range(runs))


def told_apart(n: int, runs: int, *, alike: float) -> tuple[int, int]:
    """How often two vectors of n records that are equally good differ with p at most 0.05, each judged by heads in
    five folds; and how often the interval of their difference leaves out 0. A part `alike` of their variance is the
    same, as of two vectors of one model."""
    generator, wrong, left_out = np.random.default_rng(n), 0, 0
    for _ in range(runs):
        labels = generator.permutation(np.arange(n) % 2)
        signal, shared = labels[:, None] * np.eye(2, 8)[1] * 1.5, generator.normal(size=(n, 8)) * alike**0.5
        vectors = [signal + shared + generator.normal(size=(n, 8)) * (1 - alike) ** 0.5 for _ in range(2)]
        records = [Record(id=str(i), text=f"t{i}", label=f"c{label}") for i, label in enumerate(labels)]
        task = Classification(records, None, Choices(draws=1))
        right = np.stack([task.judge(each, only="accuracy").values["accuracy"] for each in vectors])
        wrong += bool(pair_tests(right, task.units, resamples=999).p[0, 1] <= 0.05)
        (between,) = intervals(right[:1] - right[1:], task.units, differences=True, resamples=999)
        left_out += 0 not in between
    return wrong, left_out


def precision_covered(n: int, positives: float, apart: float, runs: int) -> int:
    """How often the 95 % interval of an average precision holds the true one: normal scores, `apart` for positives."""

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        true = generator.random(count) < positives
        return true * apart + generator.normal(size=count), true

    generator = np.random.default_rng(n)
    truth, held, done = precision_items(*draw(400_000))[1].mean(), 0, 0
    while done < runs:
        scores, true = draw(n)
        if min(true.sum(), (~true).sum()) < 10:  # so few are refused
            continue
        (found,) = intervals(precision_items(scores, true)[1][None], Units.each(n), resamples=999)
        held, done = held + (truth in found), done + 1
    return held


RANKED = ((100, 0.12, 1.5), (100, 0.5, 2.0), (100, 0.5, 3.0), (300, 0.5, 3.5))
ALIKE = {"have nothing in common": 0.0, "share nine tenths, as two poolings of one model may": 0.9}


def folds_report(runs: int) -> str:
    """How often two equally good vectors are told apart in folds."""
    rows = []
    for says, alike in ALIKE.items():
        for n in (60, 120):
            wrong, left_out = told_apart(n, runs, alike=alike)
            rows.append((says, str(n), percent(wrong / runs), percent(left_out / runs)))
    ranked = [
        (str(n), f"{100 * share:g} %", str(apart), percent(precision_covered(n, share, apart, runs) / runs))
        for n, share, apart in RANKED
    ]
    return wrapped(
        "**How often `compare` tells two equally good vectors apart that are judged in folds** (two classes, heads of "
        f"8 numbers; {runs} pairs each, give or take a point; 5 % is meant: tests and intervals of differences take "
        "records as independent, though their heads share most of what they learned from):\n\n"
        + table(("the two vectors", "records", "p at most 0.05", "0 outside the interval"), rows)
        + "\n\n**How often the 95 % interval of an average precision holds the true one** (`--test`; normal scores, "
        f"those of positives so many deviations higher; {runs} samples each): too seldom near the best that can be, "
        "and with few positives.\n\n" + table(("records", "positive", "apart", "held"), ranked)
    )


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(value: float | None) -> str:
    """A share, or that there is none."""
    return "none given" if value is None else f"{100 * value:.1f} %"


def report(runs: int) -> str:
    """All tables."""
    means = [(kind, *(coverage_cell(*covered(kind, n, runs), runs) for n in SIZES)) for kind in DRAWN]
    shares = [(f"{100 * p:g} %", *(percent(covered_share(p, n)) for n in SIZES)) for p in SHARES]
    cuts = [(f"{size} of {things}", percent(wrong_cuts(things, size, 3 * runs) / (3 * runs))) for things, size in CUTS]
    pairs = [(str(n), percent(wrong_comparisons(n, runs) / runs)) for n in (3, 5, 8, 16, 64)]
    places = [(str(n), f"{never_said(n, 100):g}") for n in (5, LEAST_PLACES, 60)]
    numbers = tuple(f"n = {n}" for n in SIZES)
    return wrapped(
        "\n\n".join(
            [
                f"**How often the 95 % interval of a mean holds the true mean** ({runs} samples each; none is given "
                f"below {LEAST} examples, nor where hardly any differs, but between known bounds):",
                table(("examples are", *numbers), means),
                "**How often the 95 % interval of a share (an accuracy) holds the true share** (exactly):",
                table(("true share", *numbers), shares),
                f"**How often a cut that is like all others is called needed, or in its way** ({3 * runs} cuts each; "
                "5 % is allowed, give or take 1 point):",
                table(("cut", "called so"), cuts),
                f"**How often two equally good ways differ with p at most 0.05** ({runs} pairs each; 5 % is allowed):",
                table(("examples", "called different"), pairs),
                "**Places out of 100, looked at evenly, that are said never to be looked at** (the most in 100 "
                "surveys):",
                table(("inputs", "said"), places),
            ]
        )
    )


def layers_report(runs: int) -> str:
    """How often a layer of a simulated model is called what."""
    verdicts = ("needed", "in its way")
    rows = [
        (says, *(percent(sum(verdict in each for each in found) / runs) for verdict in verdicts))
        for kind, says in MODELS.items()
        if (found := judged(kind, runs))
    ]
    explained = [
        (says, percent(taken_away(kind, runs, blindly=blindly) / runs)) for (kind, blindly), says in TAKEN_AWAY.items()
    ]
    return wrapped(
        f"**How often a layer is called needed, or in its way** ({runs} inputs of a model of four layers whose weights "
        "are written down, so that the truth is known; verdicts as the walkthrough shows them, corrected over layers. "
        "5 % is allowed in the first two, 80 % asked for in the others):\n\n"
        + table(("the model", *verdicts), rows)
        + "\n\n**How often `explain` says that the answer needs what its best tested map calls most important** "
        f"({runs} inputs each, of the same models; p is corrected for having chosen the map by the same test. 5 % is "
        "allowed in the first two, 80 % asked for in the third):\n\n" + table(("the model", "needed"), explained)
    )


if __name__ == "__main__":
    page, asked = PAGE.read_text(), sys.argv[1:] or ["1000"]
    if asked == ["layers"]:
        page = into(page, "python -m tests.simulations layers", layers_report(200))
    elif asked == ["folds"]:
        page = into(page, "python -m tests.simulations folds", folds_report(600))
    else:
        page = into(page, "python -m tests.simulations", report(int(asked[0])))
    PAGE.write_text(page)
