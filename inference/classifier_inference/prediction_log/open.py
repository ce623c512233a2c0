"""Opens a server's log, where its predictions are to be logged."""

from pathlib import Path

from classifier_inference.prediction_log.logger import Origin, PredictionLogger
from classifier_inference.prediction_log.spool import Spool, SpoolTakenError
from classifier_inference.spec import Classifier
from classifier_inference.termination import Reason
from classifier_inference.termination_log import StartError


def open_log(classifier: Classifier, spool: Path | None, pod: str, namespace: str) -> PredictionLogger | None:
    """Return what logs the classifier's predictions; None where they aren't to be logged.

    Raises StartError where the spool can't be written: the promise to log or to count could not be kept.
    """
    spec = classifier.spec
    if spool is None or spec.tracking.mode == "None":
        return None
    settings = spec.prediction_log
    folder = spool / pod
    try:
        opened = Spool(folder, settings.spool, settings.window)
    except (OSError, SpoolTakenError) as error:
        raise StartError(Reason.SPOOL_UNUSABLE, f"predictions can't be logged to {folder}: {error}") from None
    return PredictionLogger(opened, settings, Origin(classifier.name, namespace, pod))
