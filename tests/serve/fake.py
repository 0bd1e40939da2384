"""A backend without a model, and a real server around it."""

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from tests.page.fixture import TOY, walkthrough

from classtoken.errors import OptionError
from classtoken.page.document import Walkthrough
from classtoken.page.example import Example, Experiments
from classtoken.serve.local import address_of, bound
from classtoken.serve.walkthrough import Opener, ServerLimits, app_of

KEY = "a-key-for-tests"


class FakeBackend:
    """A backend without a model: remembers what it was given and how many worked at once."""

    modality = "image"

    def __init__(self, name: str = "fixture") -> None:
        self.page = walkthrough(TOY, name=name)
        self.seen: list[bytes | str] = []
        self.now = self.most = 0
        self.pause = 0.0
        self.lock = threading.Lock()

    def add(self, content: bytes | str) -> Example:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.pause)
        self.seen.append(content)
        with self.lock:
            self.now -= 1
        return replace(self.page.examples[0], id=f"yours-{len(self.seen)}", origin="yours")

    def attention(self, example: str, layer: int, head: int) -> Any:
        if layer > 1:
            raise OptionError(f"there is no layer {layer}")
        return np.eye(3, dtype=np.float32)

    def experiments(self, example: str) -> Experiments:
        found = self.page.examples[0]
        return Experiments(found.knockouts, found.removals, ())

    def pair(self, one: str, other: str) -> str:
        if "nobody" in (one, other):
            raise OptionError("there is no input 'nobody'")
        return f"<!doctype html><title>why</title><style>h1 {{ color: rgb(1, 2, 3) }}</style><h1>{one} and {other}</h1>"

    def what_if(self, example: str, change: dict[str, Any]) -> Any:
        if example == "boom":
            raise RuntimeError("secret detail")
        return np.array([0.5], dtype=np.float32)


class Running:
    """A real server on a free loopback port, in a thread."""

    def __init__(
        self,
        backend: Any,
        limits: ServerLimits,
        page: Walkthrough | None = None,
        others: Mapping[str, Opener] | None = None,
    ):
        import uvicorn

        self.socket = bound("127.0.0.1", 0)
        self.url = address_of(self.socket, KEY).split("#")[0].rstrip("/")
        config = uvicorn.Config(
            app_of(page or backend.page, backend, KEY, limits, others),
            log_level="critical",
            ws="none",
            lifespan="off",
            http="h11",
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.socket.close()
