"""The verb `predict`."""

from pathlib import Path

from tests.folders import tiny_vit
from tests.learning.training import predict, train


def test_labels_that_the_model_does_not_have_are_named(tmp_path: Path, squares: Path) -> None:
    train(squares, tmp_path / "model", model=tiny_vit(tmp_path / "vit"))
    (squares / "red").rename(squares / "crimson")
    (squares / "crimson/broken.png").write_bytes(b"no image")
    predicted = predict(squares, tmp_path / "out", model=tmp_path / "model")
    assert predicted.unknown == ("crimson",)
    assert predicted.accuracy is not None
    assert predicted.accuracy < 0.7
    assert "the model has no label crimson" in str(predicted)
    assert f"{tmp_path}/out/quarantine.parquet" in str(predicted)
    assert (tmp_path / "out/quarantine.parquet").is_file()
    assert "crimson/broken.png: crimson" not in str(predicted)
