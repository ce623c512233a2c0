"""How full a MinIO is, as its own metrics tell: S3 itself has no word for it."""

import re
import ssl

import httpx2

from classifier_inference.report.sink_state import SinkReason, SinkState

METRICS = "/minio/v2/metrics/cluster"
NEARLY_FULL_SHARE = 0.9
TIMEOUT_SECONDS = 2.0
_CAPACITY = re.compile(r"^minio_cluster_capacity_usable_(free|total)_bytes(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


def read_used_share(endpoint: str, trust: ssl.SSLContext | bool = True) -> float | None:
    """Return how much of a MinIO is used, from 0 to 1; None for a store that doesn't say.

    `trust` knows the certificate authorities; True is the usual ones.
    """
    try:
        answer = httpx2.get(f"{endpoint.rstrip('/')}{METRICS}", timeout=TIMEOUT_SECONDS, verify=trust)
    except (httpx2.HTTPError, OSError):
        return None
    capacity = {name: float(value) for name, value in _CAPACITY.findall(answer.text)} if answer.is_success else {}
    if not capacity.get("total") or "free" not in capacity:
        return None
    return 1 - capacity["free"] / capacity["total"]


def judge_fullness(used: float | None) -> SinkState | None:
    """Return what is to be said of a store that takes what is logged, but not for long; None where there is room."""
    if used is None or used < NEARLY_FULL_SHARE:
        return None
    message = f"takes what is logged, and is {used:.0%} full: grow its volume, or set predictionLog.retention"
    return SinkState(ready=True, reason=SinkReason.NEARLY_FULL, message=message)
