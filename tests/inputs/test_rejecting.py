"""What is a record's own fault, and threads that keep the order, the bound and the errors."""

import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from classtoken.errors import BadRecord, EmptyRow, ModelError, OptionError
from classtoken.inputs.rejecting import attempt, computed, each, in_order, rejected
from classtoken.testing.stages import FakeBatch
from classtoken.tokens.decode import decode
from classtoken.values import Record, Rejected


class Panic(BaseException):
    """As pyo3 raises it when a tokenizer in Rust panics."""


@pytest.mark.parametrize("error", [ValueError("odd"), MemoryError("large"), RecursionError("deep"), Panic("in Rust")])
def test_whatever_one_record_provokes_is_that_records_fault(error: BaseException) -> None:
    def work(item: str) -> str:
        if item == "bad":
            raise error
        return item.upper()

    assert attempt(work, "fine") == "FINE"
    found = attempt(work, "bad")
    assert isinstance(found, BadRecord)
    assert found.reason == f"cannot be prepared ({type(error).__name__}: {error}); leave it out"


@pytest.mark.parametrize("error", [OptionError("an option"), KeyboardInterrupt()])
def test_what_is_no_records_fault_is_raised(error: BaseException) -> None:
    def work(item: str) -> str:
        raise error

    with pytest.raises(type(error)):
        attempt(work, "fine")
    with pytest.raises(type(error)):
        list(in_order(work, ["a", "b", "c"], threads=3))


def test_each_works_in_order_and_rejects_with_the_id_beside_the_reason() -> None:
    def work(record: Record) -> str:
        time.sleep(0.002 * (int(record.id) % 3))
        if record.text is None:
            raise BadRecord("is\n  odd", record.id)
        return record.text

    records = [Record(str(i), text=None if i in (3, 7) else f"t{i}") for i in range(20)]
    rejected: dict[int, Rejected] = {}
    found = list(each(work, enumerate(records), rejected.__setitem__, threads=4))
    assert found == [(i, f"t{i}") for i in range(20) if i not in (3, 7)]
    assert rejected == {3: Rejected("3", "is odd"), 7: Rejected("7", "is odd")}


def test_threads_work_side_by_side_and_never_far_ahead() -> None:
    taken, meet = [], threading.Barrier(3, timeout=10)

    def items():  # type: ignore[no-untyped-def]
        for number in range(60):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        if number < 3:
            meet.wait()  # passes only when three threads are at work at once
        return -number

    for done, value in enumerate(in_order(work, items(), threads=3), 1):
        assert value == -(done - 1)
        assert len(taken) - done <= 3 * 4


def test_what_is_left_is_not_worked_on_when_nobody_asks_any_more() -> None:
    begun = []

    def work(number: int) -> int:
        begun.append(number)
        time.sleep(0.01)
        return number

    stream = in_order(work, range(1000), threads=2)
    assert next(stream) == 0
    stream.close()  # type: ignore[attr-defined]
    assert len(begun) < 20
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("classtoken-inputs")]


@pytest.mark.parametrize(
    "error", [IndexError("out of range"), ModelError("too long."), EmptyRow("nothing to pool."), MemoryError("large")]
)
def test_what_one_record_does_to_a_batch_costs_that_record_only(error: Exception) -> None:
    def work(batch: FakeBatch) -> list[str]:
        if "bad" in batch.tokens:
            raise error
        return [text.upper() for text in batch.tokens]

    assert list(computed(work, FakeBatch((4, 2), ["a", "b"], 0))) == [(FakeBatch((4, 2), ["a", "b"], 0), ["A", "B"])]
    found = {batch.places: value for batch, value in computed(work, FakeBatch((4, 2, 7), ["a", "bad", "c"], 0))}
    assert found[(4,)] == ["A"]
    assert found[(7,)] == ["C"]
    why = found[(2,)]
    assert isinstance(why, BadRecord)
    assert why.__cause__ is error
    assert why.reason.startswith("cannot be computed (")
    assert why.reason.endswith("); leave it out")


class AcceleratorError(RuntimeError):
    """As torch calls a device that has broken down."""


@pytest.mark.parametrize("error", [OptionError("an option"), KeyboardInterrupt(), AcceleratorError("assert")])
def test_what_is_no_records_fault_stops_the_work(error: BaseException) -> None:
    def work(batch: FakeBatch) -> None:
        raise error

    with pytest.raises(type(error)):
        list(computed(work, FakeBatch((0, 1), ["a", "b"], 0)))


def test_what_lies_around_a_record_may_pass(tmp_path: Path) -> None:
    cut = tmp_path / "cut.png"
    Image.new("RGB", (9, 9)).save(cut)
    cut.write_bytes(cut.read_bytes()[:20])
    for path, passing in ((tmp_path / "missing.png", True), (tmp_path, True), (cut, False)):
        bad = attempt(decode, path)
        assert isinstance(bad, BadRecord)
        assert rejected("x", bad).passing is passing, path
