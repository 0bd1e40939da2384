"""Theirs beside every vector that the model could have given: which one they are, or why that cannot be said."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from classtoken.audit.hypotheses import KNOWN_PROMPTS, Hypothesis, Limit, TextReader
from classtoken.audit.probes import LIMITS
from classtoken.measure.geometry import cosines
from classtoken.results.verify import Diagnosis, Resembling

#: Below this mean cosine no reading fits: 8-bit numbers stay above it (0.962 is the worst that was published).
FITS = 0.95
#: Below this one not even another readout of the same model is likely.
UNRELATED = 0.6
#: Part of what is left over that is the same for every text, from which on it is no noise of small numbers.
COMMON = 0.7
#: A mean cosine this near to 1 is explained by numbers of 16 bits; below it other prompts are tried, too.
PRECISE = 2e-4
#: What small numbers do to a mean cosine, in words.
DRIFTS = (
    (2e-6, "to the last digits"),
    (PRECISE, "as 16-bit numbers (fp16, bf16) differ"),
    (1.0, "as 8-bit numbers differ"),
)
#: How far a vector's length may be off: numbers of 16 bits are.
LENGTHS = 0.02
SHOWN = 5


@dataclass(frozen=True)
class Sample:
    """Texts and somebody's vectors of them: short ones, which nobody cuts, and long ones."""

    short: tuple[str, ...]
    vectors: np.ndarray
    long: tuple[str, ...] = ()
    long_vectors: np.ndarray | None = None
    notes: tuple[str, ...] = ()


def diagnose(reader: TextReader, sample: Sample, *, model: str, of: str) -> Diagnosis:
    """What the vectors of a sample really are."""
    return _Comparison(reader, sample).diagnosis(model, of)


class _Comparison:
    """One sample against every hypothesis."""

    def __init__(self, reader: TextReader, sample: Sample):
        self.reader, self.sample = reader, sample
        self.theirs = sample.vectors.astype(np.float64)
        self.size = self.theirs.shape[1]
        self.fits: dict[Hypothesis, np.ndarray] = {}
        self.contract = np.empty((0, 0))
        self._compare(reader.prompts)
        best = max(self.fits, key=lambda each: self.fits[each].mean(), default=None)
        if best is not None and 1 - self.fits[best].mean() > PRECISE:
            self._compare([prompt for prompt in KNOWN_PROMPTS if prompt not in reader.prompts])

    def _compare(self, prompts: Sequence[str]) -> None:
        """Every hypothesis with these prompts that has as many numbers, or whose first ones may be theirs."""
        whole = self.reader.contract_size()
        for hypothesis, vectors in self.reader.every(self.sample.short, prompts):
            if hypothesis == self.reader.meant:
                self.contract = vectors.astype(np.float64)
            if vectors.shape[1] == self.size or (whole == vectors.shape[1] > self.size):
                self.fits[hypothesis] = cosines(self.theirs, vectors[:, : self.size])

    def diagnosis(self, model: str, of: str) -> Diagnosis:
        meant = self.reader.meant
        ranked = sorted(self.fits, key=lambda each: -self.fits[each].mean())
        evidence = list(self.sample.notes)
        lengths = np.linalg.norm(self.theirs, axis=1)
        contract_mean = float(self.fits[meant].mean()) if meant in self.fits else None
        verdict, found, drift = "differs", "", ""
        differs: tuple[str, ...] = ("model",)
        best = self._simplest(ranked)
        zeros, same = int((~self.theirs.any(axis=1)).sum()), self._are_one()
        if zeros:
            evidence.append(f"{zeros} of the {len(self.theirs)} short texts have a vector of zeros")
        limit: Limit | None = None
        if best is None:
            evidence.append(f"they have {self.size} numbers, and no readout of this model has")
        elif same:
            evidence.append("all short texts have the same vector")
        elif self.fits[best].mean() < FITS:
            high = float(self.fits[best].mean())
            order = self._order()
            if order is not None:
                differs = ("order",)
            elif high >= UNRELATED and not zeros:
                verdict, differs = "unknown", ()
            evidence.append(order or f"no readout of this model comes nearer than a cosine of {high:.3f}")
        else:
            limit = self._limit(best, evidence)
            differs = self._axes(best, limit, lengths)
            left = self._common(best)
            if left is not None:
                evidence.append(left)
            verdict = "differs" if differs else "unknown" if left else "matches"
            drift = self._drift(best)
            found = self._words(best, limit, lengths)
        return Diagnosis(
            of=of,
            model=model,
            verdict=verdict,  # type: ignore[arg-type]
            differs_by=differs,
            cosine=contract_mean,
            meant=self._words(meant, self.reader.limit, None),
            found=found,
            found_cosine=float(self.fits[best].mean()) if best is not None else None,
            lowest=float(self.fits[best].min()) if best is not None else None,
            drift=drift,
            neighbours=self._neighbours(),
            texts=len(self.sample.short) + len(self.sample.long),
            size=self.size,
            part_of=self._whole() if found else None,
            evidence=tuple(evidence),
            nearest=tuple(
                Resembling(each.words(self.reader.steps), float(self.fits[each].mean())) for each in ranked[:SHOWN]
            ),
        )

    def _are_one(self) -> bool:
        """Whether all short texts have the same vector, which no encoder gives."""
        return len(self.theirs) > 1 and bool(np.allclose(self.theirs, self.theirs[0], rtol=1e-6, atol=0))

    def _order(self) -> str | None:
        """Where the vectors are those that are meant, each of another text: that, in words."""
        if self.contract.shape != self.theirs.shape:
            return None
        similar = unit(self.theirs) @ unit(self.contract).T
        whose = similar.argmax(1)
        moved = np.flatnonzero(whose != np.arange(len(whose)))
        if len(set(whose.tolist())) < len(whose) or not len(moved) or similar.max(1).mean() < FITS:
            return None
        first = int(moved[0])
        return (
            f"{len(moved)} of {len(whose)} short texts have another one's vector (cosine {similar.max(1).mean():.4f}): "
            f"{self.sample.short[first]!r} has that of {self.sample.short[whose[first]]!r}"
        )

    def _simplest(self, ranked: Sequence[Hypothesis]) -> Hypothesis | None:
        """Of those that fit as well as the best, the one that differs least from what is meant."""
        if not ranked:
            return None
        high = float(self.fits[ranked[0]].mean())
        near = [each for each in ranked if self.fits[each].mean() >= high - 1e-6 - 0.02 * (1 - high)]
        return min(near, key=lambda each: (len(each.differs_by(self.reader.meant)), -self.fits[each].mean()))

    def _axes(self, best: Hypothesis, limit: Limit | None, lengths: np.ndarray) -> tuple[str, ...]:
        words = list(best.differs_by(self.reader.meant))
        if self._scaled(best, lengths):
            words.append("normalization")
        if limit is not None and limit.tokens != self.reader.limit.tokens:
            words.append("truncation")
        if limit is not None and not limit.end_kept and "end_token" not in words:
            words.append("end_token")
        return tuple(words)

    def _scaled(self, best: Hypothesis, lengths: np.ndarray) -> bool:
        """Whether their lengths are not those that are meant: all 1, or the vector's own. Noise that leaves a cosine c
        makes a vector up to 1 / c times as long."""
        if self.reader.unit_length:
            return bool((np.abs(lengths - 1) > LENGTHS).any())
        own = np.linalg.norm(self._vectors_of(best), axis=1)
        times = float(np.median(lengths / np.where(own > 0, own, 1)))
        return abs(times - 1) > LENGTHS + 1 / float(self.fits[best].mean()) - 1

    def _limit(self, best: Hypothesis, evidence: list[str]) -> Limit | None:
        """Where long texts are cut; None where no text tells."""
        long, theirs, meant = self.sample.long, self.sample.long_vectors, self.reader.limit
        if not long or theirs is None:
            return None
        most = self.reader.reading.encoder.positions
        open_end = (most,) if most is not None else (None,)
        wanted = [meant, *(Limit(n, kept) for n in (meant.tokens, *LIMITS, *open_end) for kept in (True, False))]
        able = [each for each in dict.fromkeys(wanted) if each.tokens is not None or each.end_kept]
        able = [each for each in able if most is None or (each.tokens is not None and each.tokens <= most)]
        scores = {
            each: float(cosines(theirs, vectors[:, : self.size]).mean())
            for each, vectors in zip(able, self.reader.cut(long, best, able), strict=True)
        }
        chosen = max(scores, key=lambda each: scores[each])
        high = scores[chosen]
        near = [each for each in able if scores[each] >= high - 1e-6 - 0.02 * (1 - high)]
        chosen = meant if meant in near else chosen
        evidence.append(f"long texts: {chosen} (cosine {scores[chosen]:.4f}; {meant}: {scores[meant]:.4f})")
        return chosen

    def _common(self, best: Hypothesis) -> str | None:
        """What all texts' vectors have in common that the best hypothesis does not explain, in words."""
        ours = unit(self._vectors_of(best))
        theirs = unit(self.theirs)
        left = theirs - ours * (theirs * ours).sum(1, keepdims=True)
        part = np.linalg.norm(left.mean(0)) / max(float(np.sqrt((left**2).sum(1).mean())), 1e-12)
        mean = float(self.fits[best].mean())
        if 1 - mean < PRECISE or part < COMMON or len(theirs) < 8:
            return None
        return (
            f"every text is off in one direction (cosine {mean:.4f}): something is put before or behind it that is not "
            "known here"
        )

    def _vectors_of(self, best: Hypothesis) -> np.ndarray:
        """As many numbers as theirs have, at the length that they come in."""
        found = self.contract
        if best != self.reader.meant or found.shape[1] < self.size:
            found = dict(self.reader.every(self.sample.short, [best.prompt]))[best]
        first: np.ndarray = found[:, : self.size].astype(np.float64)
        return first

    def _drift(self, best: Hypothesis) -> str:
        off = 1 - float(self.fits[best].mean())
        return next(words for most, words in DRIFTS if off <= most)

    def _words(self, hypothesis: Hypothesis, limit: Limit | None, lengths: np.ndarray | None) -> str:
        said = [hypothesis.words(self.reader.steps)]
        if lengths is None:
            said.append("unit length" if self.reader.unit_length else "lengths as they come")
        else:
            ones = bool((np.abs(lengths - 1) < LENGTHS).all())
            said.append("unit length" if ones else f"lengths {lengths.min():.3g} to {lengths.max():.3g}")
            if self._whole() is not None:
                said.append(f"the first {self.size} numbers")
        if limit is not None:
            said.append(str(limit))
        return ", ".join(said)

    def _whole(self) -> int | None:
        """How many numbers what is meant has, where theirs are the first ones of it."""
        whole = self.contract.shape[1]
        return whole if self.contract.size and whole > self.size else None

    def _neighbours(self) -> float | None:
        """Part of the short texts whose nearest other text is the same by their vectors as by those that are meant."""
        if self.contract.size == 0 or len(self.theirs) < 8:
            return None
        return float((nearest(self.theirs) == nearest(self.contract)).mean())


def nearest(vectors: np.ndarray) -> np.ndarray:
    """For each row the other one of the highest cosine."""
    similar = unit(vectors) @ unit(vectors).T
    np.fill_diagonal(similar, -np.inf)
    return similar.argmax(1)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Each row at length 1; a row of zeros, which a service may give, stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    made: np.ndarray = vectors / np.where(lengths > 0, lengths, 1)
    return made
