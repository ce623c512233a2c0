"""Conditions and their reasons; those of containers and of stores are in classifier_inference.report."""

from dataclasses import dataclass

from classifier_inference.report.sink_state import SinkReason
from classifier_inference.report.termination import Reason

READY = "Ready"
MODEL_SERVED = "ModelServed"
PROGRESSING = "Progressing"
ROUTE_READY = "RouteReady"
TRACKING_READY = "TrackingReady"
STORAGE_READY = "StorageReady"

MODEL_NOT_FOUND = Reason.MODEL_NOT_FOUND
LABELS_NOT_FOUND = Reason.LABELS_NOT_FOUND
LABELS_INVALID = Reason.LABELS_INVALID
SELF_TEST_IMAGE_NOT_FOUND = Reason.SELF_TEST_IMAGE_NOT_FOUND
SPEC_INVALID = Reason.SPEC_INVALID

ANSWERING = "Answering"
SCALED_TO_ZERO = "ScaledToZero"
STARTING = "Starting"
ROLLING_OUT = "RollingOut"
RESOLVING = "Resolving"
REPLICAS_READY = "ReplicasReady"
NOTHING_ANSWERS = "NothingAnswers"
NAME_TAKEN = "NameTaken"
WAITING_FOR_DELETION = "WaitingForDeletion"
MODEL_DIFFERS = "ModelDiffers"
IMAGE_PULL_FAILED = "ImagePullFailed"
IMAGE_HAS_NO_CP = "ImageHasNoCp"
CONTAINER_NOT_STARTED = "ContainerNotStarted"
CREDENTIALS_MISSING = SinkReason.CREDENTIALS_MISSING
OUT_OF_MEMORY = "OutOfMemory"
SERVER_CRASHED = "ServerCrashed"
POD_FAILED = "PodFailed"
UNSCHEDULABLE = "Unschedulable"
PODS_FORBIDDEN = "PodsForbidden"
CHILD_REFUSED = "ChildRefused"
RECONCILE_FAILED = "ReconcileFailed"
CONTESTED = "Contested"
ROUTED = "Routed"
NO_ADDRESS = "NoAddress"
CONFLICT = "Conflict"
NO_ANSWER = "NoAnswer"
PREDICTIONS_LOST = "PredictionsLost"
VOLUME_NOT_FOUND = "VolumeNotFound"
VOLUME_NOT_SHAREABLE = "VolumeNotShareable"

SIGNLESS = {NAME_TAKEN, WAITING_FOR_DELETION, LABELS_NOT_FOUND, VOLUME_NOT_FOUND}
"""What no watch tells the end of, and what somebody waits for who has just mended it."""


@dataclass(frozen=True)
class Problem:
    """A reason, and a sentence that says what to do."""

    reason: str
    message: str


class ObstacleError(Exception):
    """A child can't be made as it should be; the problem says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem
