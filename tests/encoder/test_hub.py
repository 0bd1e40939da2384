"""What a hub id leads to where the hub does not give it: one line, whatever huggingface_hub reaches it with."""

import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NoReturn

import huggingface_hub
import pytest
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

import classtoken as ct
from classtoken.encoder.locate import FETCHED
from classtoken.errors import HubError
from classtoken.tokens.wordpieces import VOCABULARIES


def _answering(error: BaseException) -> Any:
    def asked(*_: object, local_files_only: bool = False, **__: object) -> NoReturn:
        raise LocalEntryNotFoundError("not in the cache") if local_files_only else error

    return asked


@pytest.mark.parametrize("kind", HfHubHTTPError.__bases__)
def test_an_error_of_its_transport_is_one_line(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", _answering(kind("no route")))
    with pytest.raises(HubError, match=r"'some/model' is neither a local folder .* cannot be reached \(\w+\)"):
        ct.load("some/model")


def test_a_hub_id_needs_nothing_but_what_is_declared(tmp_path: Path) -> None:
    """In an environment without the libraries that only tests bring: its own transport is that of this version."""
    absent = {"httpx", "httpx2", "requests"} - {base.__module__.split(".")[0] for base in HfHubHTTPError.__bases__}
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({sorted(absent)}))\n"
        "from classtoken.encoder.locate import locate\n"
        "locate('some/model', None)"
    )
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "HubError: 'some/model' is neither a local folder nor in the cache" in done.stderr


def test_what_tokenizers_are_read_from_is_asked_for() -> None:
    """Whatever `tokens.wordpieces` looks for in a folder, and folders below it."""
    for pattern in VOCABULARIES:
        name = pattern.replace("vocab*", "vocab.txt").replace("*", "source")
        assert any(fnmatch(name, asked) for asked in FETCHED), name
    for name in ("0_Transformer/config.json", "1_Pooling/config.json", "2_Dense/model.safetensors"):
        assert any(fnmatch(name, asked) for asked in FETCHED), name
    assert not any(fnmatch(name, asked) for name in ("pytorch_model.bin", "model.onnx", "a.py") for asked in FETCHED)
