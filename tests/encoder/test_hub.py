"""What a hub id leads to where the hub does not give it: one line, whatever huggingface_hub reaches it with."""

import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import huggingface_hub
import pytest
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

import classtoken as ct
from classtoken.errors import HubError


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
