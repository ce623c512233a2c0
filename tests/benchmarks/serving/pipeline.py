"""The server's own pipeline with no HTTP, on one thread: document, then images.

For each line on standard input, a number of seconds, it classifies for so long and writes what it took as JSON: an
empty line before the first says that it is ready.
"""

import json
import sys
import time
from pathlib import Path

from classifier_inference.files.document import read_document
from classifier_inference.files.sources import find_files, on_this_machine
from classifier_inference.images.sniff import sniff
from classifier_inference.model.loaded_classifier import load_classifier


def refuse(source: object) -> Path:
    raise ValueError(f"{source} would have to be downloaded")


def main(document: str, *images: str) -> None:
    classifier = read_document(Path(document))
    loaded = load_classifier(classifier, find_files(classifier.spec, on_this_machine(None, refuse)), 1)
    contents = [Path(image).read_bytes() for image in images]
    loaded.classify(sniff(contents[0]))
    print(flush=True)
    for line in sys.stdin:
        times: list[float] = []
        began = before = time.perf_counter()
        while before < began + float(line):
            loaded.classify(sniff(contents[len(times) % len(contents)]))
            now = time.perf_counter()
            times.append(now - before)
            before = now
        print(json.dumps({"seconds": before - began, "times": times}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
