"""A published model trained further."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tests.folders import image_processor, tiny_vit
from tests.learning.training import MOVING, told, train

from classtoken.embedder import load
from classtoken.learning.folder.formats import at_size
from classtoken.learning.recipe import Recipe


def test_fine_tuning_moves_only_what_was_unfrozen(tmp_path: Path, squares: Path) -> None:
    import transformers

    vit = tiny_vit(tmp_path / "vit")
    recipe = told(unfreeze="last-1", epochs=6.0, batch=12, learning_rate=3e-3, augment=False)
    result = train(squares, tmp_path / "model", model=vit, recipe=recipe)
    assert result.scores["accuracy"] > 0.8
    before, after = (load(folder).encoder.state_dict() for folder in (vit, tmp_path / "model"))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith(("blocks.1.", "final_norm.")) for name in moved)
    model = load(tmp_path / "model")
    path = squares / "red/00.png"
    theirs = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / "model").eval()
    with torch.no_grad():
        expected = theirs(pixel_values=model.tokens(path).pixels).logits.numpy()
    assert np.abs(model.logits(path) - expected).max() < 1e-5 * max(1.0, np.abs(expected).max())


def test_fine_tuning_for_another_image_size(tmp_path: Path, squares: Path) -> None:
    """The folder prepares images as they were learned from, whatever size they were changed at."""
    import transformers

    vit = tiny_vit(tmp_path / "vit")
    patch = load(vit).tower("image").prepare.patch
    tuned = {"unfreeze": "all", "data": {"size": 3 * patch}, "augment": {"side": 2 * patch, "zoom": [0.7, 1.4]}}
    recipe = Recipe.from_dict({**tuned, "loop": {"epochs": 6.0, "batch": 12}, "optimiser": MOVING})
    result = train(squares, tmp_path / "model", model=vit, recipe=recipe)
    assert result.scores["accuracy"] > 0.8
    model = load(tmp_path / "model")
    path = squares / "red/00.png"
    assert model.tokens([path]).pixels.shape[2:] == (3 * patch, 3 * patch)
    assert model.layout.grid == (3, 3)
    theirs = transformers.AutoImageProcessor.from_pretrained(tmp_path / "model")
    expected = theirs(Image.open(path), return_tensors="pt")["pixel_values"]
    assert float((model.tokens([path]).pixels - expected).abs().max()) < 0.02
    assert model.tower().reading.encoder.shape.stem.grid == (3, 3)  # its positions, too: transformers takes this size
    whole = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / "model").eval()
    with torch.no_grad():
        logits = whole(pixel_values=model.tokens(path).pixels).logits.numpy()
    assert np.abs(model.logits(path) - logits).max() < 1e-5 * max(1.0, np.abs(logits).max())


def test_positions_that_are_kept_for_another_size_give_the_same_states(tmp_path: Path) -> None:
    vit = tiny_vit(tmp_path / "vit")
    image_processor(vit, size=48)
    embedder, picture = load(vit), np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    reading, grid = embedder.tower().reading, embedder.layout.grid
    assert reading.family is not None
    encoder: Any = reading.encoder
    fitted, config = at_size(encoder, reading.family, reading.config, grid)
    assert (fitted.shape.stem.grid, config["image_size"]) == ((6, 6), 48)
    tokens = embedder.tokens([picture])
    with torch.no_grad():
        torch.testing.assert_close(fitted(tokens).last_BLD, encoder(tokens).last_BLD)
    assert at_size(fitted, reading.family, config, grid) == (fitted, config)
