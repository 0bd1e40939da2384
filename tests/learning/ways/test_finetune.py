"""A published model trained further."""

from pathlib import Path

import numpy as np
import torch
from tests.folders import tiny_vit
from tests.learning.training import told, train

from classtoken.embedder import load


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
