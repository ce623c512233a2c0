"""From a document, and the places its files may lie, to a process that serves it."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from classifier_inference.cli.local_log import logging_locally
from classifier_inference.engine.quick_start import begin
from classifier_inference.files import fetch
from classifier_inference.files.document import read_document
from classifier_inference.files.sources import Source, find_files, in_folder, on_this_machine
from classifier_inference.http.settings import Settings
from classifier_inference.model.loaded_classifier import load_classifier
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination_log import write_termination
from classifier_inference.spec.classifier import Classifier

THREADS_AN_IMAGE = 1
"""An image a worker: threads that share one image spend half the processor on waiting."""


def serve_document(
    document: Path, files: Path | None, images: Path | None, ca_file: Path | None, settings: Settings
) -> int:
    """Serve the document's classifier; return the process's exit status."""
    try:
        classifier = read_document(document)
    except StartError as error:
        write_termination(error.failure, settings.termination_log)
        return 1
    if files is not None:
        return _serve(classifier, in_folder(files), settings)
    with ExitStack() as folders, logging_locally(classifier, settings) as (logged, changed):

        def download(source: Source) -> Path:
            folder = folders.enter_context(tempfile.TemporaryDirectory(prefix="classifier-"))
            with fetch.open_stores(logged.spec, ca_file) as stores:
                return fetch.fetch_source(source, Path(folder), stores, fetch.RETRY_SECONDS)

        return _serve(logged, on_this_machine(images, download), changed)


def _serve(classifier: Classifier, locate: Callable[[Source], Path], settings: Settings) -> int:
    loading = begin(lambda: load_classifier(classifier, find_files(classifier.spec, locate), THREADS_AN_IMAGE))
    # Its imports take as long as most models do to load.
    from classifier_inference.http.server import run_server

    return run_server(classifier, loading, settings)
