import numpy as np
from numpy.typing import NDArray

INSTRUCTIONS: str
"""What it computes with: avx2, or portable for plain C."""

def resize_part(
    pixels: object,
    size: tuple[int, int],
    resized: tuple[int, int],
    part: tuple[int, int, int, int],
    filter: str,  # noqa: A002 - Pillow's word
    out: NDArray[np.uint8] | bytearray,
    reversed: bool,  # noqa: A002
    /,
) -> None:
    """Write a part of a resized image: left, top, width, height of what resizing it to `resized` would give.

    `pixels` is the capsule `arrow_array` of an image of `size`, with 1 byte a pixel or 4, of which the fourth is
    passed over. `out` takes the part's rows, with 1 byte a pixel or 3, these in the opposite order where `reversed`;
    grey is repeated for 3. Sizes are (width, height). Releases the GIL.

    Raises ValueError where these don't fit together, MemoryError.
    """
