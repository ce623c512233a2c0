"""Opens a server's log, where its predictions are to be logged."""

from dataclasses import dataclass
from pathlib import Path

from classifier_inference.log.logger import PredictionLogger
from classifier_inference.log.runs.summary import name_experiment
from classifier_inference.log.spool.spool import Spool, SpoolTakenError
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from classifier_inference.spec.classifier import Classifier
from classifier_inference.spec.tracking import Storage
from classifier_inference.telemetry.origin import Origin


@dataclass(frozen=True)
class TrackingSettings:
    """What the routes need to make runs and to find them."""

    uri: str
    """MLflow's address."""
    experiment: str
    origin: Origin
    storage: Storage
    spool: Path | None
    ca_file: Path | None


def describe_tracking(
    classifier: Classifier, spool: Path | None, pod: str, namespace: str, ca_file: Path | None
) -> TrackingSettings | None:
    """Return where a classifier's runs are; None where it has no tracking."""
    uri = classifier.spec.tracking.uri
    if uri is None:
        return None
    return TrackingSettings(
        uri=uri,
        experiment=name_experiment(classifier),
        origin=Origin(classifier.name, namespace, pod),
        storage=classifier.spec.storage,
        spool=spool,
        ca_file=ca_file,
    )


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
