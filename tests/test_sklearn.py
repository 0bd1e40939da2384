"""The scikit-learn transformer: in pipelines, cloned, pickled, with tables."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from tests import folders

import classtoken as ct
from classtoken.errors import OptionError
from classtoken.sklearn import ClassTokenTransformer


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(folders.tiny_bert(tmp_path_factory.mktemp("bert")))


def test_vectors_are_those_of_embed(bert: str) -> None:
    transformer = ClassTokenTransformer(bert, pooling="cls,mean")
    vectors = transformer.fit_transform(folders.SENTENCES)
    expected = ct.load(bert).embed(folders.SENTENCES, pooling="cls,mean")
    np.testing.assert_array_equal(vectors, np.hstack([expected["cls"], expected["mean"]]))
    names = transformer.get_feature_names_out()
    assert (len(names), names[0], names[-1]) == (64, "cls_0", "mean_31")
    assert transformer.transform([]).shape == (0, 64)
    assert ct.sklearn.ClassTokenTransformer is ClassTokenTransformer


def test_in_a_pipeline_with_a_search_over_poolings(bert: str) -> None:
    texts = ["the cat sits", "a cat", "cat on the mat", "red house", "a house far away", "the house"] * 3
    labels = [0, 0, 0, 1, 1, 1] * 3
    pipeline = make_pipeline(ClassTokenTransformer(bert), LogisticRegression(max_iter=1000))
    search = GridSearchCV(pipeline, {"classtokentransformer__pooling": ["cls", "mean"]}, cv=3).fit(texts, labels)
    assert search.best_score_ == 1.0


def test_cloned_and_pickled_without_weights(bert: str) -> None:
    transformer = ClassTokenTransformer(bert, pooling="mean", normalize=True).fit(folders.SENTENCES)
    assert clone(transformer).get_params() == transformer.get_params()
    pickled = pickle.dumps(transformer)
    assert len(pickled) < 5_000
    np.testing.assert_array_equal(
        pickle.loads(pickled).transform(folders.SENTENCES), transformer.transform(folders.SENTENCES)
    )


def test_columns_of_tables(bert: str) -> None:
    texts = np.array(folders.SENTENCES)
    expected = ClassTokenTransformer(bert).fit_transform(folders.SENTENCES)
    for column in (texts, texts[:, None], texts.astype(object)[:, None]):
        np.testing.assert_array_equal(ClassTokenTransformer(bert).fit_transform(column), expected)
    table = np.stack([texts, texts[::-1]], axis=1).astype(object)
    chosen = ColumnTransformer([("text", ClassTokenTransformer(bert), [0])]).fit_transform(table)
    np.testing.assert_array_equal(chosen, expected)
    with pytest.raises(OptionError, match="X has 2 columns"):
        ClassTokenTransformer(bert).fit_transform(table)
    with pytest.raises(OptionError, match="X is one text"):
        ClassTokenTransformer(bert).fit_transform("one")


def test_images(tmp_path: Path) -> None:
    folder = folders.tiny_vit(tmp_path / "vit")
    images = [Image.new("RGB", (40, 30), colour) for colour in ("red", "green", "blue")]
    vectors = ClassTokenTransformer(str(folder)).fit_transform(images)
    np.testing.assert_array_equal(vectors, ct.load(folder).embed(images))


def test_not_fitted(bert: str) -> None:
    with pytest.raises(NotFittedError):
        ClassTokenTransformer(bert).transform(["a"])


def test_a_loaded_model_is_refused_by_name() -> None:
    """It has weights, and a transformer that is cloned and pickled has none."""
    with pytest.raises(OptionError, match="`model` is of type Embedder; here it is named by a folder, a hub id"):
        ClassTokenTransformer(ct.load("builtin:sentiment")).fit(["a text"])  # type: ignore[arg-type]


def test_parameters_set_on_a_fitted_one_hold_at_once_and_where_it_is_unpickled(bert: str) -> None:
    for changed in ({"pooling": "cls,mean"}, {"normalize": True}, {"prompt_text": "the red "}):
        transformer = ClassTokenTransformer(bert, pooling="cls").fit(folders.SENTENCES).set_params(**changed)
        expected = clone(transformer).fit_transform(folders.SENTENCES)
        for one in (pickle.loads(pickle.dumps(transformer)), transformer):
            assert len(one.get_feature_names_out()) == expected.shape[1] == one.transform([]).shape[1]
            np.testing.assert_array_equal(one.transform(folders.SENTENCES), expected)


@pytest.mark.parametrize(
    "one", [np.zeros((6, 64)), np.zeros((6, 5, 3), np.uint8), pd.DataFrame(np.zeros((6, 2))), folders.pictures(1)[0]]
)
def test_what_is_one_item_is_not_rows(one: object, tmp_path: Path) -> None:
    """A table of numbers is a picture to `embed`: here it gave one vector for all of its rows."""
    transformer = ClassTokenTransformer(str(folders.tiny_vit(tmp_path / "vit", pooler=False))).fit([])
    with pytest.raises(OptionError, match="which is one item and not rows; give a list"):
        transformer.transform(one)  # type: ignore[arg-type]


def test_texts_of_numpys_own_string_type(bert: str) -> None:
    expected = ClassTokenTransformer(bert).fit_transform(folders.SENTENCES)
    texts = np.array(folders.SENTENCES, dtype=np.dtypes.StringDType())
    for given in (texts, texts[:, None]):
        np.testing.assert_array_equal(ClassTokenTransformer(bert).fit_transform(given), expected)
