"""Writes a few small JPEG files and expected.json: what Pillow makes of them.

    python make_images.py

worker/dataset_files/jpeg_test.cc decodes, crops and resizes the same files and compares the CRC-32 of the bytes, channel
by channel: every byte must be the same. Made with Pillow 11.3.0. Pillow before 13 shrinks rows first and columns
second, always; Pillow 13 changes the order for some tall images, whose pixels then differ by 1 here and there.
torchvision's Resize and RandomResizedCrop of an image call Pillow.
"""
import json
import pathlib
import random
import zlib

from PIL import Image

FOLDER = pathlib.Path(__file__).resolve().parent

# Name: width, height, mode, Pillow's options for saving.
FILES = {
    "photo": (61, 47, "RGB", {"quality": 85}),
    "wide": (130, 21, "RGB", {"quality": 60, "progressive": True}),
    "fine": (32, 32, "RGB", {"quality": 95, "subsampling": 0}),
    "grey": (40, 53, "L", {"quality": 80}),
    "cmyk": (16, 16, "CMYK", {"quality": 80}),
}
# Box in the image (left, top, right, bottom; none: all of it) and size of the result (width, height).
CASES = [
    ("photo", None, None), ("photo", None, (32, 32)), ("photo", None, (64, 64)), ("photo", None, (61, 20)),
    ("photo", None, (7, 5)), ("photo", (5, 3, 44, 40), (24, 24)), ("photo", (10, 10, 11, 11), (9, 9)),
    ("wide", None, None), ("wide", None, (16, 16)), ("wide", (100, 0, 130, 21), (48, 48)),
    ("fine", None, None), ("fine", None, (31, 33)), ("grey", None, None), ("grey", None, (28, 28)),
]


def draw(width, height, mode, rng):
    """Slopes and noise in every channel, so that each byte of the result depends on many of the image."""
    channels = len(mode)
    image = Image.new(mode, (width, height))
    for y in range(height):
        for x in range(width):
            pixel = tuple(min(255, (x * (3 + c) + y * (5 - c) + rng.randrange(90)) % 256) for c in range(channels))
            image.putpixel((x, y), pixel if channels > 1 else pixel[0])
    return image


def planes_crc32(image):
    crc = 0
    for plane in image.split():
        crc = zlib.crc32(plane.tobytes(), crc)
    return crc


def main():
    rng = random.Random(1)
    for name, (width, height, mode, options) in FILES.items():
        draw(width, height, mode, rng).save(FOLDER / f"{name}.jpg", **options)
    expected = []
    for name, box, size in CASES:
        image = Image.open(FOLDER / f"{name}.jpg").convert("RGB")
        if box is not None:
            image = image.crop(box)
        if size is not None:
            image = image.resize(size, Image.Resampling.BILINEAR)
        expected.append({"file": f"{name}.jpg", "box": box, "width": image.width, "height": image.height,
                         "resized": size is not None, "crc32": planes_crc32(image)})
    lines = ",\n".join("  " + json.dumps(each) for each in expected)
    (FOLDER / "expected.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
