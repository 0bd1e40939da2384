"""The encoder gives what the golden trace says; web/tests/maths.test.ts says the same of the page's own maths."""

from typing import Any

import numpy as np
import torch
from tests.page import reference as ref
from tests.page.fixture import TOY, picture

from classtoken.encoder.encoder import Encoder
from classtoken.encoder.shape import BlockShape, ImageStem, Shape
from classtoken.tensors import Recorder, Tokens, names_of_trace
from classtoken.values import Role


def test_python_and_typescript_share_one_golden_trace() -> None:
    weights = ref.random_weights(TOY, 7)
    stem = ImageStem(patch=TOY.patch, image=(6, 6), channels=1, class_tokens=1)
    block = BlockShape(heads=TOY.heads, feedforward_size=TOY.feedforward, norm_eps=TOY.eps)
    encoder = Encoder(Shape(hidden_size=TOY.hidden, depth=TOY.depth, stem=stem, block=block)).eval()

    def put(module: Any, values: dict[str, np.ndarray]) -> None:
        module.weight.copy_(torch.from_numpy(values["weight"]).view_as(module.weight))
        module.bias.copy_(torch.from_numpy(values["bias"]))

    with torch.no_grad():
        start: Any = encoder.stem
        put(start.patch, weights["stem"])
        start.class_token.copy_(torch.from_numpy(weights["class_token"])[None])
        start.position.copy_(torch.from_numpy(weights["positions"]))
        put(encoder.final_norm, weights["final_norm"])
        for i, values in enumerate(weights["blocks"]):
            b = encoder.block(i)
            a, f = b.attention, b.feedforward
            parts = {"norm1": b.attention_norm, "query": a.query, "key": a.key, "value": a.value, "output": a.output}
            for name, module in {**parts, "norm2": b.feedforward_norm, "up": f.up, "down": f.down}.items():
                put(module, values[name])
        pixels = picture(TOY, 1, "disc")
        roles = torch.tensor([[int(Role.CLASS)] + [int(Role.CONTENT)] * 9])
        recorder = Recorder(names_of_trace(TOY.depth))
        encoder(Tokens(roles, pixels=torch.from_numpy(pixels).float()[None], grid=(3, 3)), trace=recorder)
    golden = ref.forward(TOY, weights, pixels)
    for i, layer in enumerate(golden.layers):
        for name in ("scores", "weights", "values", "heads", "attention", "feedforward"):
            np.testing.assert_allclose(recorder.kept[f"blocks.{i}.{name}"][0], layer[name], atol=2e-5)
        np.testing.assert_allclose(recorder.kept[f"blocks.{i}.states"][0], layer["output"], atol=2e-5)
    np.testing.assert_allclose(recorder.kept["final"][0], golden.final, atol=2e-5)
