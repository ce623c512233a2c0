"""What each trouble with a store means to who fetches from it and to who ships to it."""

import pytest

from classifier_inference.log.sinks.sink_failure import Sink, SinkFailure, judge_failure
from classifier_inference.report.sink_state import SinkReason
from classifier_inference.stores.store_error import MlflowError, StoreError, Trouble, UncertainError

PASSING = {Trouble.AWAY, Trouble.LATE, Trouble.FAILING, Trouble.FULL}
MISSING = {Trouble.NO_BUCKET, Trouble.NO_OBJECT, Trouble.NOTHING_THERE}


@pytest.mark.parametrize("trouble", Trouble)
def test_what_may_pass_is_tried_again_and_what_is_missing_is_not_there(trouble: Trouble) -> None:
    error = StoreError(trouble, "")
    assert (error.passing, error.missing) == (trouble in PASSING, trouble in MISSING)


@pytest.mark.parametrize("trouble", Trouble)
def test_another_request_may_pass_where_a_store_refuses_one_for_what_is_in_it(trouble: Trouble) -> None:
    assert StoreError(trouble, "").about_one == (trouble in {Trouble.NO_OBJECT, Trouble.BAD_REQUEST})


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (MlflowError(Trouble.AWAY, ""), SinkFailure(Sink.TRACKING, SinkReason.UNREACHABLE)),
        (UncertainError(Trouble.FAILING, ""), SinkFailure(Sink.TRACKING, SinkReason.FAILED)),
        (MlflowError(Trouble.OUT_OF_REACH, ""), SinkFailure(Sink.TRACKING, SinkReason.REFUSED)),
        (MlflowError(Trouble.BAD_REQUEST, ""), SinkFailure(Sink.TRACKING, SinkReason.REFUSED)),
        (MlflowError(Trouble.NOT_MLFLOW, ""), SinkFailure(Sink.TRACKING, SinkReason.NOT_MLFLOW)),
        (StoreError(Trouble.NOT_TRUSTED, ""), SinkFailure(Sink.STORAGE, SinkReason.UNREACHABLE)),
        (StoreError(Trouble.NO_CREDENTIALS, ""), SinkFailure(Sink.STORAGE, SinkReason.CREDENTIALS_MISSING)),
        (StoreError(Trouble.LOCKED_OUT, ""), SinkFailure(Sink.STORAGE, SinkReason.REFUSED)),
        (StoreError(Trouble.NO_BUCKET, ""), SinkFailure(Sink.STORAGE, SinkReason.BUCKET_NOT_FOUND)),
        (StoreError(Trouble.FULL, ""), SinkFailure(Sink.STORAGE, SinkReason.NEARLY_FULL)),
        (StoreError(Trouble.NOTHING_THERE, ""), SinkFailure(Sink.STORAGE, SinkReason.FAILED)),
        (StoreError(Trouble.REFUSED, ""), SinkFailure(Sink.STORAGE, SinkReason.FAILED)),
    ],
)
def test_a_failure_is_told_of_its_store_with_a_condition_s_reason(error: StoreError, failure: SinkFailure) -> None:
    assert judge_failure(error) == failure
