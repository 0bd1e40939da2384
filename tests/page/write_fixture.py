"""Write fixtures for looking at the page: `python -m tests.page.write_fixture FOLDER`."""

import sys
from pathlib import Path

from tests.page.fixture import PHOTO, TOY, walkthrough

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
(folder / "toy.json").write_text(walkthrough(TOY).to_json(), encoding="utf-8")
(folder / "photo.json").write_text(walkthrough(PHOTO, toy=False).to_json(), encoding="utf-8")
