"""Remember what ended unshipped with pods until status counts it. No I/O."""

from typing import Any

from classifier_inference.report.termination import Lost
from classifier_operator.decide.losses import read_loss
from classifier_operator.key import Key
from classifier_operator.names import CLASSIFIER_LABEL

_REMEMBERED = 10_000


class LossLedger:
    """Knows of each object the losses that its status does not count yet."""

    def __init__(self) -> None:
        self._losses: dict[Key, dict[str, Lost]] = {}
        self._seen: dict[str, None] = {}

    def note_pod(self, pod: dict[str, Any]) -> None:
        """Take note of what ended unshipped with a pod, once."""
        loss = read_loss(pod)
        metadata = pod["metadata"]
        if loss is None or metadata["uid"] in self._seen:
            return
        self._seen[metadata["uid"]] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        if loss.lost_predictions or loss.lost_images:
            key = Key(metadata["namespace"], metadata["labels"][CLASSIFIER_LABEL])
            self._losses.setdefault(key, {})[metadata["uid"]] = loss

    def list_losses(self, key: Key) -> dict[str, Lost]:
        """Return the losses that status does not count yet, by the pod's uid."""
        return dict(self._losses.get(key, {}))

    def settle(self, key: Key, losses: dict[str, Lost]) -> None:
        """Strike the losses that status counts now."""
        for uid in losses:
            self._losses.get(key, {}).pop(uid, None)

    def forget(self, key: Key) -> None:
        """Forget an object that is gone."""
        self._losses.pop(key, None)
