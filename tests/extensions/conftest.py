"""A package of somebody else's, as pip installs one: a module and the names of what it adds."""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

Install = Callable[[str, str, Mapping[str, str]], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """install(module, its source, {"families": "NAME = module:VALUE"}): gone again when the test is over."""
    site, modules = tmp_path / "site", []

    def put(module: str, source: str, points: Mapping[str, str]) -> None:
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            "".join(f"[classtoken.{group}]\n{point}\n" for group, point in points.items())
        )
        (site / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(site)
        importlib.invalidate_caches()
        modules.append(module)

    yield put
    for module in modules:
        sys.modules.pop(module, None)
