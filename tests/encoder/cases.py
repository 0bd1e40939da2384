"""Every family's tiny reference models: at least one case for each row of the table."""

from tests.encoder.cases_image import IMAGE_CASES
from tests.encoder.cases_text import TEXT_CASES
from tests.encoder.cases_towers import TOWER_CASES
from tests.encoder.parity import Case

CASES: tuple[Case, ...] = TEXT_CASES + IMAGE_CASES + TOWER_CASES
