"""What `fetch`, `server` and `recorder` leave in /dev/termination-log, and how the operator reads it. No I/O.

The kubelet copies that file into the pod's status, where it stays readable in `state` or `lastState`: the one way for
a container to say what went wrong, or what it loaded, without asking anybody for anything.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, ValidationError

LIMIT_BYTES = 4096
"""The kubelet cuts termination messages here."""


class Reason(StrEnum):
    """Why a container ended: what a user can mend, in CamelCase as a condition's reason."""

    SPEC_INVALID = "SpecInvalid"
    MODEL_NOT_FOUND = "ModelNotFound"
    MODEL_UNREACHABLE = "ModelUnreachable"
    MODEL_INVALID = "ModelInvalid"
    DIGEST_MISMATCH = "DigestMismatch"
    LABELS_NOT_FOUND = "LabelsNotFound"
    LABELS_UNREACHABLE = "LabelsUnreachable"
    LABELS_INVALID = "LabelsInvalid"
    LABELS_MISMATCH = "LabelsMismatch"
    SELF_TEST_IMAGE_NOT_FOUND = "SelfTestImageNotFound"
    SELF_TEST_IMAGE_UNREACHABLE = "SelfTestImageUnreachable"
    SELF_TEST_FAILED = "SelfTestFailed"
    DEVICE_UNAVAILABLE = "DeviceUnavailable"
    API_KEYS_MISSING = "ApiKeysMissing"
    SPOOL_UNUSABLE = "SpoolUnusable"


class Failure(BaseModel):
    """A reason a user can act on, and the sentence that says how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Reason
    message: str


class Fetched(BaseModel):
    """What `fetch` brought: the model file's digest (hex) and size in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str
    bytes: int


class Lost(BaseModel):
    """What ended with a pod that its recorder had not shipped, nor left on a volume: how many, records and images."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lost_predictions: int
    lost_images: int


class Resolved(BaseModel):
    """What `resolve` found that an address of MLflow's registry stands for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    source: str | None = None
    """The address of the folder that the version's files lie in; None where the version alone was asked for."""
    sha256: str | None = None
    """The model's digest (hex), likewise."""


Note = Failure | Fetched | Lost | Resolved


def render_termination(note: Note) -> str:
    """Return the note as JSON of at most 4096 bytes; a message that is too long is cut."""
    text = note.model_dump_json()
    excess = len(text.encode()) - LIMIT_BYTES
    if isinstance(note, Failure) and excess > 0:
        kept = note.message.encode()[: -excess - len("…".encode())].decode(errors="ignore")
        return render_termination(Failure(reason=note.reason, message=f"{kept}…"))
    return text


def parse_termination(text: str) -> Note | None:
    """Return what a termination message says, or None for one that no command of ours wrote."""
    for kind in (Failure, Fetched, Lost, Resolved):
        try:
            return kind.model_validate_json(text)
        except ValidationError:
            continue
    return None
