"""`classifier record`: starts the recorder of one server's spool."""

from pathlib import Path

import httpx2

from classifier_inference.engine.imports import leave_out
from classifier_inference.files.document import read_document
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from classifier_inference.report.termination_log import write_termination


def record_document(
    document: Path,
    spool: Path,
    pod: str,
    namespace: str,
    ca_file: Path | None,
    termination_log: Path,
    after: str | None,
) -> int:
    """Ship what the document's server spools, until a signal comes; return an exit status if that can't be begun.

    `after` is the address of an MLflow that was started just now: its first answer is waited for.
    """
    # Pyarrow takes what it finds, and 60 MB with it.
    leave_out("numpy", "pandas")
    from classifier_inference.log.recorder.recorder import Place, Recorder
    from classifier_inference.log.runs.parquet import use_little_memory
    from classifier_inference.log.sinks.artifact_store import open_storage
    from classifier_inference.stores.authorities import make_context
    from classifier_inference.stores.mlflow_api.run_client import connect

    use_little_memory()
    try:
        classifier = read_document(document)
        if classifier.spec.tracking.uri is None:
            raise StartError(Reason.SPEC_INVALID, "there is nothing to record to: spec.tracking names no uri")
        mlflow = connect(classifier.spec.tracking.uri, verify=make_context(ca_file))
        s3 = open_storage(classifier.spec.storage, ca_file)
    except StartError as error:
        write_termination(error.failure, termination_log)
        return 1
    recorder = Recorder(classifier, mlflow, s3, Place(spool, pod, namespace, termination_log))
    recorder.run(lambda: after is None or _answers(after))
    return 0


def _answers(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/version", timeout=2).is_success
    except httpx2.HTTPError:
        return False
