"""Conditions mean what SQL means by them, and what is no condition is said to be none."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from classtoken.errors import OptionError
from classtoken.nearest.where import parse

TABLE = pa.table(
    {
        "price": [1, 20, None, 7, 30],
        "label": ["shirt", "hat", "shirt", None, "it's"],
        "odd name": [1.5, -2.0, 0.0, 1e3, None],
        "sold": [True, False, None, True, False],
        "large": [2**60 + 1, 2**60, -(2**62), None, 3],
        "most": [2**63 - 1, -(2**63), 0, None, 1],
        "unsigned": pa.array([2**64 - 1, 2**63, 0, None, 1], pa.uint64()),
        "day": pa.array([0, 19_753, None, 19_754, 19_755], pa.date32()),
        "time": pa.array([0, 1_706_700_000, None, 1_706_745_600, 1_706_832_000], pa.timestamp("s")),
    }
)


@pytest.mark.parametrize(
    "text",
    [
        "price < 20 and label = 'shirt'",
        "price < 20 AND NOT label = 'shirt'",
        "price >= 7 or label == 'shirt' and price <> 1",
        "(price >= 7 or label = 'shirt') and price != 1",
        "label in ('hat', 'shirt')",
        "label not in ('hat')",
        "price between 2 and 20",
        "price not between 2 and 20",
        "label like 's%t' or label like 'h_t'",
        "label is null",
        "label is not null and price is not null",
        "label = 'it''s'",
        '"odd name" <= -2e0 or "odd name" > 1.25',
        "sold = true",
        "not (sold = true or price = 20)",
        "not not price = 1",
        "price > 1.5",
        "large = 1152921504606846977",
        "large < 1152921504606846977",
        "large > 1.5 or large < -99999999999999999999",
        "large <= 99999999999999999999",
        "most = 9223372036854775808",
        "most < 9223372036854775808",
        "most > -9999999999999999999",
        "most <= -9223372036854775809",
        "unsigned = 18446744073709551615",
        "unsigned < 18446744073709551616",
        "unsigned > -9999999999999999999",
        "unsigned in (9223372036854775808, 99999999999999999999)",
        '"odd name" > -9999999999999999999',
        "day >= '2024-01-31'",
        "day = '2024-02-01' or day < '1970-01-02'",
        "day between '2024-01-31' and '2024-02-01'",
        "time > '2024-01-31' and time <= '2024-02-01 00:00:00'",
        "time in ('1970-01-01', '2024-02-01T00:00:00')",
    ],
)
def test_as_duckdb_reads_it(text: str) -> None:
    there = TABLE.append_column("row", pa.array(range(len(TABLE))))
    wanted = duckdb.from_arrow(there).filter(text.replace("==", "=")).project("row").fetchall()
    found = np.flatnonzero(parse(text, TABLE.column_names).holds(TABLE))
    assert found.tolist() == sorted(row for (row,) in wanted)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it ends where the name of a column should be"),
        ("price", "it ends where =, !="),
        ("price <", "it ends where a number"),
        ("price < 20 price", "'price' stands where 'and', 'or' or the end"),
        ("cost < 20", "no column 'cost'; there are price, label"),
        ("price < '20'", "holds int64, which cannot be compared with '20'"),
        ("label > 3", "holds string, and not only numbers"),
        ("label = true", "holds string, which"),
        ("day > 3", "dates as 2024-01-31"),
        ("time > 'soon'", "dates as 2024-01-31"),
        ("price like 'a'", "holds int64"),
        ("label = shirt", "'shirt' stands where a number"),
        ("price < 20; drop table x", "cannot be read at '; drop"),
        ("__import__('os')", "no column '__import__'"),
        ("(price < 20", "it ends where ')'"),
        ("price not 3", "in, between or like"),
        ("label in ()", "where a number"),
        ("label = 'open", "cannot be read"),
        ("(" * 500 + "price = 1" + ")" * 500, "more than 100 parentheses"),
        ("not " * 500 + "price = 1", "more than 100"),
    ],
)
def test_what_is_no_condition_is_said(text: str, said: str) -> None:
    with pytest.raises(OptionError, match=r"`where`.*") as raised:
        parse(text, TABLE.column_names).holds(TABLE)
    assert said in str(raised.value)


def test_texts_that_are_numbers_are_compared_as_numbers() -> None:
    texts = pa.table({"price": ["9", " 10", "", None, "-2"], "size": ["1.5", "20", "3", "1e2", ""]})

    def holds(text: str) -> list[int]:
        found: list[int] = np.flatnonzero(parse(text, texts.column_names).holds(texts)).tolist()
        return found

    assert holds("price < 10") == [0, 4]
    assert holds("price in (10, -2)") == [1, 4]
    assert holds("price is null") == [3]
    assert holds("not price > 9") == [0, 4]
    assert holds("size > 2 and size < 99.5") == [1, 2]
    assert holds("price = '9'") == [0]


def test_a_time_without_a_zone_is_one_of_the_columns() -> None:
    kind = pa.timestamp("s", tz="Europe/Berlin")
    table = pa.table({"taken": pa.array([1_706_738_400, 1_706_742_000], kind)})  # 22:00 and 23:00 UTC
    assert parse("taken >= '2024-02-01'", ["taken"]).holds(table).tolist() == [False, True]
    assert parse("taken >= '2024-01-31 22:00:00Z'", ["taken"]).holds(table).tolist() == [True, True]
