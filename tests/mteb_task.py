"""A task of mteb's on sentences of our own: nothing is downloaded."""

from typing import Any

from datasets import Dataset, DatasetDict
from mteb.abstasks.sts import AbsTaskSTS
from mteb.abstasks.task_metadata import TaskMetadata

PAIRS = [
    ("the cat sits on a mat", "a cat sits on the mat", 5.0),
    ("a dog runs", "the dog runs far away", 4.0),
    ("the red bird", "the blue house", 1.0),
    ("a cat", "a dog runs far away", 0.5),
    ("the bird sits under the house", "a bird sits under a house", 5.0),
    ("red and blue", "a mat", 0.0),
]


class LocalSimilarity(AbsTaskSTS):
    """Pairs of sentences with a score, as STSBenchmark has them."""

    min_score = 0
    max_score = 5
    metadata = TaskMetadata(
        name="LocalSimilarity",
        dataset={"path": "local", "revision": "1"},
        description="Sentences of tests.",
        type="STS",
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="cosine_spearman",
    )

    def load_data(self, *_: Any, **__: Any) -> None:
        rows = [{"sentence1": a, "sentence2": b, "score": score} for a, b, score in PAIRS]
        self.dataset = DatasetDict({"test": Dataset.from_list(rows)})
        self.data_loaded = True


def local_task() -> LocalSimilarity:
    """The task, ready to be evaluated."""
    return LocalSimilarity()
