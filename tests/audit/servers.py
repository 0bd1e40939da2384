"""Other people's ways to turn texts into vectors with one model folder, most of them wrong in one thing.

Written with transformers alone, so that nothing here is the code that is under test.
"""

import copy
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers


@dataclass(frozen=True)
class Runtime:
    """How a runtime does it; the defaults are right for all-MiniLM-L6-v2."""

    pooling: str = "mean"
    unit: bool = True
    prompt: str = ""
    longest: int = 256
    end: bool = True
    layer: int = -1
    half: bool = False
    eight: bool = False


def vectors(folder: Path, how: Runtime, dense: Callable[[torch.Tensor], torch.Tensor] | None = None) -> Any:
    """texts -> (texts, size)."""
    tokenizer, model = opened(folder)
    if how.eight or how.half:
        model = copy.deepcopy(model)
    if how.eight:
        round_weights(model)
    if how.half:
        model = model.bfloat16()

    def embed(texts: Sequence[str]) -> np.ndarray:
        found = []
        for text in texts:
            ids = tokenizer(how.prompt + text, truncation=True, max_length=how.longest)["input_ids"]
            ids = ids if how.end else ids[:-1]
            with torch.no_grad():
                out = model(input_ids=torch.tensor([ids]), output_hidden_states=True)
            states = out.hidden_states[how.layer][0].float()
            vector = {"mean": states.mean(0), "cls": states[0], "last": states[-1], "max": states.amax(0)}[how.pooling]
            vector = vector if dense is None else dense(vector)
            found.append((vector / vector.norm() if how.unit else vector).numpy())
        return np.stack(found)

    return embed


@lru_cache
def opened(folder: Path) -> tuple[Any, torch.nn.Module]:
    """A folder as transformers opens it, once."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    return transformers.AutoTokenizer.from_pretrained(folder), model


def round_weights(model: torch.nn.Module) -> None:
    """Every matrix as 8-bit numbers with one scale a row, and activations rounded too."""

    def rounded(values: torch.Tensor) -> torch.Tensor:
        scale = values.abs().amax(-1, keepdim=True).clamp(min=1e-9) / 127
        return (values / scale).round() * scale

    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.weight.data = rounded(module.weight.data)
            module.register_forward_pre_hook(lambda _, given: (rounded(given[0]),))


class FakeService:
    """A service on a free loopback port that answers in one way."""

    def __init__(self, embed: Callable[[Sequence[str]], np.ndarray], way: str, *, refuse_longer: int | None = None):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer({"data": [{"id": "a-model"}]} if (way, self.path) == ("openai", "/v1/models") else None)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                path = {"openai": "/v1/embeddings", "tei": "/embed", "ollama": "/api/embed"}[way]
                if self.path != path:
                    return self.answer(None)
                texts = body["inputs" if way == "tei" else "input"]
                if refuse_longer is not None and any(len(text.split()) > refuse_longer for text in texts):
                    return self.answer({"error": "too long"}, 413)
                rows = embed(texts).tolist()
                data = [{"index": place, "embedding": row} for place, row in enumerate(rows)]
                answers: dict[str, Any] = {"openai": {"data": data[::-1]}, "tei": rows, "ollama": {"embeddings": rows}}
                self.answer(answers[way])

            def answer(self, value: Any, status: int | None = None) -> None:
                raw = json.dumps(value).encode()
                self.send_response(status or (404 if value is None else 200))
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def __enter__(self) -> "FakeService":
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
