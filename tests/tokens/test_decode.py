"""Every odd image has a clear outcome: the right pixels, or one line that says what is wrong."""

import io
import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from classtoken.errors import BadRecord, OptionError
from classtoken.tokens.decode import LOCAL_FORMATS, WEB_FORMATS, Decoding, decode

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def corners() -> Image.Image:
    """Red top left, green top right, blue bottom left, white bottom right; wider than high."""
    image = Image.new("RGB", (60, 40), WHITE)
    image.paste(RED, (0, 0, 30, 20))
    image.paste(GREEN, (30, 0, 60, 20))
    image.paste(BLUE, (0, 20, 30, 40))
    return image


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("form", LOCAL_FORMATS)
def test_formats(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{form.lower()}"
    path.write_bytes(encoded(corners(), form))
    with Image.open(path) as file:
        expected = np.asarray(file.convert("RGB"))
    for item in (path, str(path), path.read_bytes()):
        image = decode(item)
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(image), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    """The camera was turned: the stored pixels are turned back, as transformers' load_image does."""
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = corners() if back is None else corners().transpose(Image.Transpose(back))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = encoded(stored, exif=exif)
    image = decode(file)
    np.testing.assert_array_equal(np.asarray(image), np.asarray(corners()))
    np.testing.assert_array_equal(np.asarray(image), np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file)))))
    turned = Image.open(io.BytesIO(file))
    decode(turned)
    assert turned.size == stored.size  # the caller's image stays as it is


def test_greyscale_with_and_without_alpha_and_one_bit() -> None:
    grey = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    with_alpha = grey.copy()
    with_alpha.putalpha(7)
    for image in (grey, with_alpha):
        assert image.mode in ("L", "LA")
        pixels = np.asarray(decode(encoded(image)))
        np.testing.assert_array_equal(pixels, np.repeat(np.asarray(grey)[..., None], 3, 2))
    assert np.unique(np.asarray(decode(encoded(grey.convert("1"))))).tolist() == [0, 255]


def test_alpha_is_dropped_as_convert_does_or_laid_on_white() -> None:
    image = Image.new("RGBA", (2, 1), (10, 20, 30, 0))
    image.putpixel((1, 0), (200, 100, 0, 128))
    dropped = np.asarray(decode(encoded(image)))
    assert dropped.tolist() == [[[10, 20, 30], [200, 100, 0]]]
    white = np.asarray(decode(encoded(image), Decoding(alpha="white")))
    assert white[0, 0].tolist() == [255, 255, 255]
    np.testing.assert_allclose(white[0, 1], [227, 177, 127], atol=1)


def test_palette_with_transparency() -> None:
    palette = corners().quantize(4)
    plain = np.asarray(palette.convert("RGB"))
    file = encoded(palette, transparency=bytes([0, 128, 255, 255]))
    np.testing.assert_array_equal(np.asarray(decode(file)), plain)
    hidden = plain[0, 0] if palette.getpixel((0, 0)) == 0 else plain[np.asarray(palette) == 0][0]
    white = np.asarray(decode(file, Decoding(alpha="white")))
    assert (white[np.asarray(palette) == 0] == 255).all()
    assert not (hidden == 255).all() or (plain[np.asarray(palette) == 0] == 255).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bit_greyscale_is_scaled_not_clipped(form: str) -> None:
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    pixels = np.asarray(decode(encoded(Image.fromarray(values), form)))
    np.testing.assert_array_equal(pixels, np.rint(values / 257).astype(np.uint8)[..., None].repeat(3, 2))
    clipped = np.asarray(Image.fromarray(values).convert("L"))
    assert (clipped == 255).mean() > 0.9  # what Pillow alone would have given


@pytest.mark.parametrize("brightest", [1, 255, 256, 65535])
@pytest.mark.parametrize("kind", ["P5", "P2"])
def test_a_picture_of_sixteen_bits_stays_one_however_dark_it_is(kind: str, brightest: int) -> None:
    """Pillow opens such a PPM in 32 bits: its values alone would not say how many it has."""
    values = np.linspace(0, brightest, 64).astype(">u2").reshape(8, 8)
    body = values.tobytes() if kind == "P5" else " ".join(map(str, values.ravel())).encode()
    file = f"{kind}\n8 8\n65535\n".encode() + body
    wanted = np.rint(values / 257).astype(np.uint8)[..., None].repeat(3, 2)
    turned = Image.Exif()
    turned[0x112] = 3
    for item in (file, Image.open(io.BytesIO(file)), encoded(Image.fromarray(values.astype(np.uint16)), "PNG")):
        np.testing.assert_array_equal(np.asarray(decode(item)), wanted)
    upside_down = encoded(Image.fromarray(values.astype(np.uint16)), "PNG", exif=turned)
    np.testing.assert_array_equal(np.asarray(decode(upside_down)), wanted[::-1, ::-1])
    thirty_two = encoded(Image.fromarray(np.arange(256, dtype=np.int32).reshape(16, 16)), "TIFF")
    assert np.asarray(decode(thirty_two)).max() == 255  # which may hold anything: what its values say


def tiff(values: np.ndarray, *, bits: int, turned: int = 1, zero_is_white: bool = False) -> bytes:
    """A grey TIFF, not compressed, as scanners write it; 12 bits stand one behind the other."""
    body = values.astype(np.uint8 if bits == 8 else "<u2").tobytes()
    if bits == 12:
        each = "".join(f"{value:012b}" for value in values.ravel())
        body = int(each, 2).to_bytes(len(each) // 8, "big")
    high, wide = values.shape
    tags = {256: wide, 257: high, 258: bits, 259: 1, 262: int(not zero_is_white), 274: turned, 277: 1, 278: high}
    tags |= {273: 8 + 2 + 12 * (len(tags) + 2) + 4, 279: len(body)}
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + table + struct.pack("<I", 0) + body


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("turned", [3, 6, 8])
def test_a_grey_scan_that_is_turned_is_the_same_picture_as_a_path_and_as_bytes(
    bits: int, turned: int, tmp_path: Path
) -> None:
    """Pillow maps the file of a path into memory, and then takes its rows for as long as those of the turned one."""
    upright = np.arange(20 * 30).reshape(20, 30) % 251
    stored = np.rot90(upright, {3: 2, 6: 1, 8: 3}[turned])
    file = tmp_path / "scan.tif"
    file.write_bytes(tiff(stored if bits == 8 else stored * 257, bits=bits, turned=turned))
    opened = Image.open(file)
    for item in (file, file.read_bytes(), opened, opened):
        np.testing.assert_array_equal(np.asarray(decode(item))[..., 0], upright)
    assert opened.filename == str(file)


@pytest.mark.parametrize(("bits", "zero_is_white"), [(8, True), (12, False), (16, False), (16, True)])
def test_a_tiff_says_how_its_greys_are_to_be_read(bits: int, zero_is_white: bool) -> None:
    """12 bits are no dark 16, and a scan in which 0 is white is no negative."""
    grey = np.arange(256).reshape(16, 16)
    most = 2**bits - 1
    values = np.rint((255 - grey if zero_is_white else grey) * (most / 255)).astype(int)
    file = tiff(values, bits=bits, zero_is_white=zero_is_white)
    for item in (file, Image.open(io.BytesIO(file))):
        np.testing.assert_array_equal(np.asarray(decode(item)), grey[..., None].repeat(3, 2))


def test_cmyk_of_adobe_and_of_others() -> None:
    """Inks in a JPEG are stored inverted, as Adobe began it, with or without Adobe's marker; in TIFF they are not."""
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    adobe = encoded(ink, "JPEG", quality=100)
    assert b"Adobe" in adobe
    np.testing.assert_allclose(np.asarray(decode(adobe))[8, 8], RED, atol=3)
    begin = adobe.index(b"\xff\xee")
    plain = adobe[:begin] + adobe[begin + 16 :]
    assert b"Adobe" not in plain
    np.testing.assert_allclose(np.asarray(decode(plain))[8, 8], RED, atol=3)
    np.testing.assert_allclose(np.asarray(decode(encoded(ink, "TIFF")))[8, 8], RED, atol=3)


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    for form in ("GIF", "WEBP"):
        options = {"lossless": True} if form == "WEBP" else {}
        file = encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
        assert decode(file).getpixel((4, 4)) == RED


def test_arrays_of_every_kind() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    expected = grey[..., None].repeat(3, 2)
    same = [
        grey,
        grey[..., None],
        expected,
        np.concatenate([expected, np.zeros((3, 4, 1), np.uint8)], -1),
        (grey / 255).astype(np.float32),
        grey.astype(np.float64),
        grey.astype(np.int64),
        grey.astype(np.uint16) * 257,
    ]
    for array in same:
        np.testing.assert_array_equal(np.asarray(decode(array)), expected)
    assert np.asarray(decode(np.array([[True, False]])))[0].tolist() == [[255] * 3, [0] * 3]
    premultiplied = Image.fromarray(np.full((2, 2, 4), 255, np.uint8)).convert("RGBa")
    assert decode(premultiplied).getpixel((0, 0)) == WHITE


@given(st.integers(0, 255))
def test_zero_to_one_gives_the_eight_bits_back(value: int) -> None:
    array = np.array([[value, 255]], dtype=np.float32) / np.float32(255)
    assert decode(array).getpixel((0, 0)) == (value,) * 3


@pytest.mark.parametrize("scale", [1, 255])
def test_what_arithmetic_leaves_beyond_a_range_is_rounded(scale: int) -> None:
    array = np.array([[-1e-7, 0.5, 1 + 1e-7]]) * scale
    assert [decode(array).getpixel((x, 0))[0] for x in range(3)] == [0, 128, 255]


def bomb() -> bytes:
    """A PNG of a few bytes that claims 100000 x 100000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


BROKEN = {
    "empty": (b"", r"the file is empty \(0 bytes\)"),
    "text": (b"hello, I am no image", r"not an image in one of the formats JPEG, .*begins with b'hello, I am no i'"),
    "cut JPEG": (encoded(corners(), "JPEG")[:-200], "broken or cut short"),
    "cut PNG": (encoded(Image.effect_noise((64, 64), 50))[:800], "broken or cut short"),
    "JPEG's first bytes": (b"\xff\xd8\xff\xe0", "broken or cut short"),
    "bomb": (bomb(), r"100000x100000 is 10,000,000,000 pixels, more than the 178,956,970 allowed; make it smaller$"),
    "no channels last": (np.zeros((3, 5, 5), np.uint8), "channels last"),
    "one dimension": (np.zeros(5, np.uint8), r"must be \(H, W\)"),
    "no pixels": (np.zeros((0, 5), np.uint8), "has no pixels"),
    "NaN": (np.array([[np.nan, 1.0]]), r"floating point pixels from nan to nan; allowed are 0..1 or 0..255"),
    "too bright": (np.array([[0.0, 300.0]]), "from 0 to 300"),
    "beyond 0..1": (
        np.array([[0.0, 1.01]]),
        r"from 0 to 1.01: beyond 0..1, and all black as 0..255; clip them to 0..1",
    ),
    "below 0..1": (np.array([[-0.01, 1.0]]), "from -0.01 to 1; allowed"),
    "negative": (np.array([[-1, 3]]), "integer pixels from -1 to 3"),
    "words": (np.array([["a", "b"]]), "pixels of type"),
    "number": (7, "value of type int: not an image"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_images_are_one_line(case: str) -> None:
    item, message = BROKEN[case]
    with pytest.raises(BadRecord, match=message) as caught:
        decode(item)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match=r"nowhere\.png: there is no such file"):
        decode(tmp_path / "nowhere.png")
    with pytest.raises(BadRecord, match="this is a folder"):
        decode(tmp_path)
    with pytest.raises(BadRecord, match="no file or folder can be called 'aaa"):
        decode("a" * 300)
    os.mkfifo(tmp_path / "pipe.png")  # to open it would wait for somebody who writes
    with pytest.raises(BadRecord, match=r"pipe\.png: this is a pipe, not an image"):
        decode(tmp_path / "pipe.png")
    with pytest.raises(BadRecord, match="this is a device, not an image"):
        decode("/dev/zero")  # never ends


def test_limits_are_the_callers() -> None:
    file = encoded(corners(), "BMP")
    with pytest.raises(BadRecord, match="formats JPEG, PNG, WEBP; begins with"):
        decode(file, Decoding(formats=WEB_FORMATS))
    with pytest.raises(BadRecord, match="60x40 is 2,400 pixels, more than the 2,399 allowed"):
        decode(file, Decoding(max_pixels=2399))
    with pytest.raises(BadRecord, match="mine: "):
        decode(b"", name="mine")
    with pytest.raises(OptionError, match="allowed are JPEG"):
        Decoding(formats=("EPS",))
    with pytest.raises(OptionError, match="at least 1"):
        Decoding(max_pixels=0)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_no_bytes_raise_anything_else(noise: bytes, at: int) -> None:
    """Noise, and a real file with noise in its middle: an image or a `BadRecord`."""
    whole = encoded(corners(), "JPEG")
    for file in (noise, whole[:at] + noise + whole[at + len(noise) :]):
        with suppress(BadRecord):
            assert decode(file, Decoding(max_pixels=1_000_000)).mode == "RGB"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "HEIC"),
        (b"<!DOCTYPE html><title>404</title>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\n", "Git LFS"),
        (b"%PDF-1.7\n", "PDF"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    ],
)
def test_what_people_take_for_images_is_called_by_its_name(content: bytes, kind: str) -> None:
    with pytest.raises(BadRecord, match=kind):
        decode(content)
