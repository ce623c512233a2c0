"""What the server is measured against: preprocessing with nothing but Pillow and numpy. Printed in the docs."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from classifier_inference.spec.preprocessing import Preprocess


def reference(content: bytes, preprocess: Preprocess) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return the pixels, height x width x channels, and the model's input of one image, in the model's layout."""
    image: Image.Image = Image.open(BytesIO(content))  # an animation's first frame
    if preprocess.exif == "apply":
        image = ImageOps.exif_transpose(image)

    if image.mode.startswith("I;16"):
        wide = np.asarray(image)
        transparent = image.info.get("transparency")
        alpha = np.where(wide == transparent, 0, 255).astype(np.uint8)
        grey = Image.fromarray((wide >> 8).astype(np.uint8))
        image = grey if transparent is None else Image.merge("LA", (grey, Image.fromarray(alpha)))
    if image.has_transparency_data:
        under = Image.new("RGBA", image.size, preprocess.background)
        image = Image.alpha_composite(under, image.convert("RGBA"))
    mode = "L" if preprocess.channels == "L" else "RGB"
    image = image.convert("RGB" if image.mode == "RGBA" else mode).convert(mode)

    resize, resampling = preprocess.resize, Image.Resampling[preprocess.interpolation.upper()]
    if resize.shorter_side is not None:  # as torchvision's Resize: cut off, not rounded
        side, (width, height) = resize.shorter_side, image.size
        longer = int(side * max(width, height) / min(width, height))
        image = image.resize((side, longer) if width <= height else (longer, side), resampling)
    elif resize.exact is not None:
        image = image.resize(resize.exact[::-1], resampling)
    elif resize.pad is not None:
        box_height, box_width = resize.pad
        ratio = min(box_width / image.width, box_height / image.height)
        fitted = image.resize((max(1, round(image.width * ratio)), max(1, round(image.height * ratio))), resampling)
        image = Image.new("RGB", (box_width, box_height), preprocess.background).convert(mode)
        image.paste(fitted, ((box_width - fitted.width) // 2, (box_height - fitted.height) // 2))

    if preprocess.effective_crop is not None:  # as torchvision's CenterCrop: halves to even
        side = preprocess.effective_crop
        left, top = round((image.width - side) / 2), round((image.height - side) / 2)
        image = image.crop((left, top, left + side, top + side))

    pixels = np.asarray(image).reshape(image.height, image.width, -1)
    if preprocess.channels == "BGR":
        pixels = pixels[:, :, ::-1]
    mean = np.asarray(preprocess.effective_mean, np.float32)
    std = np.asarray(preprocess.effective_std, np.float32)
    values = (pixels.astype(np.float32) / np.float32(preprocess.scale) - mean) / std
    return pixels, values if preprocess.layout == "NHWC" else values.transpose(2, 0, 1)
