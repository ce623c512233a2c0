"""What the API server's answers mean."""

import httpx2
import pytest
from lightkube.core.exceptions import ApiError

from classifier_operator.api_errors import ClusterError, ConflictError, GoneError
from classifier_operator.cluster import _translate, _translated


@pytest.mark.parametrize(
    ("code", "message", "meaning"),
    [
        (404, "not found", GoneError),
        (409, "the object has been modified", ConflictError),
        (422, "Deployment is invalid", ClusterError),
        (422, "the server rejected our request due to an error in our request", ConflictError),
        (413, "Request entity too large: limit is 3145728", ClusterError),
        (500, "etcdserver: request timed out", ClusterError),
    ],
)
def test_what_retrying_can_not_mend_is_told_apart(code: int, message: str, meaning: type[ClusterError]) -> None:
    response = httpx2.Response(code, json={"code": code, "message": message, "status": "Failure"})
    assert type(_translate(ApiError(response=response))) is meaning


async def test_an_answer_that_is_no_status_is_told_by_its_code() -> None:
    async def refuse() -> None:
        httpx2.Response(502, content=b"<html>", request=httpx2.Request("GET", "http://api")).raise_for_status()

    with pytest.raises(ClusterError, match="the API server answered 502"):
        await _translated(refuse())
