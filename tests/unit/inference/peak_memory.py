"""Prints, for image files given as arguments, what preparing each takes at its peak, and what was estimated, in bytes.

A process of its own, and a fork of it an image: the peak that the kernel remembers can't be taken back.
"""

import json
import os
import resource
import sys
from pathlib import Path

from classifier_inference.images import geometry
from classifier_inference.images.decode import judge_effort, open_image, read_header
from classifier_inference.images.footprint import estimate_bytes
from classifier_inference.images.preprocess import prepare_image
from classifier_inference.images.sniff import sniff
from classifier_inference.spec.limits import Limits
from classifier_inference.spec.preprocessing import Preprocess

LIMITS = Limits(formats=["jpeg", "png", "webp", "gif", "bmp", "tiff"])


def read_peak() -> int:
    """Return the most bytes that this process has had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(content: bytes, preprocess: Preprocess) -> int:
    """Return by how much preparing raises the peak, in a fork."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        before = read_peak()
        prepare_image(content, preprocess, LIMITS)
        os.write(writer, str(read_peak() - before).encode())
        os._exit(0)
    os.wait()
    os.close(writer)
    with os.fdopen(reader) as told:
        return int(told.read())


def main(preprocess: Preprocess, paths: list[Path]) -> None:
    """Print a line an image."""
    for path in paths:
        content = path.read_bytes()
        found = sniff(content).format
        assert found is not None
        header = read_header(open_image(content, found), judge_effort(content, found, LIMITS))
        estimate = estimate_bytes(header, geometry.measure(header.size, preprocess.resize), preprocess)
        sys.stdout.write(f"{measure(content, preprocess)} {estimate}\n")


if __name__ == "__main__":
    main(Preprocess.model_validate(json.loads(sys.argv[1])), [Path(path) for path in sys.argv[2:]])
