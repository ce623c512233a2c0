"""What an image is resized to, and which part of that the model sees. No I/O; sizes are (width, height) in pixels."""

from dataclasses import dataclass

from classifier_inference.spec.preprocessing import Preprocess, Resize

Size = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """What resizing makes of an image."""

    resized: Size
    offset: tuple[int, int]
    """Where the resized image lies on the canvas; not (0, 0) only with pad."""
    canvas: Size


@dataclass(frozen=True)
class Part:
    """The part of a resized image that the crop shows."""

    left: int
    top: int
    width: int
    height: int
    """0, like width, where the crop shows the background alone."""
    at: tuple[int, int]
    """Where the part's left top corner lies in the output."""


def measure(size: Size, resize: Resize) -> Geometry:
    """Return what an image of a size is resized to, and where that lies.

    `shorterSide` gives the longer side as torchvision's Resize does, int(size * long / short), cut off and not rounded.
    """
    width, height = size
    if resize.shorter_side is not None:
        side = resize.shorter_side
        resized = (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
        return Geometry(resized, (0, 0), resized)
    if resize.exact is not None:
        exact = resize.exact[1], resize.exact[0]
        return Geometry(exact, (0, 0), exact)
    box_height, box_width = resize.pad or (height, width)
    ratio = min(box_width / width, box_height / height)
    fitted = max(1, round(width * ratio)), max(1, round(height * ratio))
    offset = (box_width - fitted[0]) // 2, (box_height - fitted[1]) // 2
    return Geometry(fitted, offset, (box_width, box_height))


def find_part(geometry: Geometry, preprocess: Preprocess) -> Part:
    """Return the part of the resized image that is seen.

    The crop lies where torchvision's CenterCrop puts it, at round((side - crop) / 2), halves to even.
    """
    output_height, output_width = preprocess.output_size
    left, width, x = _overlap(geometry.canvas[0], output_width, geometry.offset[0], geometry.resized[0])
    top, height, y = _overlap(geometry.canvas[1], output_height, geometry.offset[1], geometry.resized[1])
    return Part(left, top, width, height, (x, y))


def _overlap(canvas: int, crop: int, offset: int, resized: int) -> tuple[int, int, int]:
    """Return, of one side: where in the resized image the part begins, its length, and its place in the output."""
    begin = round((canvas - crop) / 2)
    first, last = max(begin, offset), min(begin + crop, offset + resized)
    return first - offset, max(0, last - first), first - begin
