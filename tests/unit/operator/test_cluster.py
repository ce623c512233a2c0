"""What the API server's answers mean."""

import httpx2
import pytest
from lightkube.core.exceptions import ApiError

from classifier_operator.cluster import ClusterError, ConflictError, GoneError, RefusedError, _translate


@pytest.mark.parametrize(
    ("code", "message", "meaning"),
    [
        (404, "not found", GoneError),
        (409, "the object has been modified", ConflictError),
        (422, "Deployment is invalid", RefusedError),
        (500, 'failed to create typed patch object (…): .env: duplicate entries for key [name="A"]', RefusedError),
        (500, "etcdserver: request timed out", ClusterError),
    ],
)
def test_what_retrying_can_not_mend_is_told_apart(code: int, message: str, meaning: type[ClusterError]) -> None:
    response = httpx2.Response(code, json={"code": code, "message": message, "status": "Failure"})
    assert type(_translate(ApiError(response=response))) is meaning
