"""Fingerprints: equal for the same making, and saying what differs."""

import dataclasses
from pathlib import Path

from classtoken.fingerprint import Fingerprint, hash_file

ONE = Fingerprint("w", "c", "p", "text", ("cls",), None, "fp32")


def test_every_field_counts() -> None:
    others = {"poolings": ("mean",), "normalize": True, "numbers": 99}
    hashes = {ONE.hash()}
    fields = [field.name for field in dataclasses.fields(Fingerprint) if field.name not in ("spaces", "version")]
    for name in fields:
        other = dataclasses.replace(ONE, **{name: others.get(name, "other")})
        assert len(ONE.differences(other)) == 1
        assert ONE.differences(other)[0].startswith(f"{name} ")
        hashes.add(other.hash())
    assert len(hashes) == 1 + len(fields)
    assert ONE.differences(dataclasses.replace(ONE)) == ()


def test_another_version_that_gives_the_same_vectors_is_no_other_making() -> None:
    newer = dataclasses.replace(ONE, version="9.9")
    assert newer == ONE
    assert newer.hash() == ONE.hash()
    assert ONE.differences(newer) == ()


def test_it_goes_to_json_and_back() -> None:
    one = dataclasses.replace(ONE, spaces={"cls": "s"}, prompt="query: ")
    assert Fingerprint.from_json(one.to_json()) == one


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"1" * 3_000_000)
    b.write_bytes(b"1" * 3_000_000)
    before = hash_file(a)
    assert hash_file(b) == before
    b.write_bytes(b"1" * 2_999_999 + b"2")
    assert hash_file(b) != before
