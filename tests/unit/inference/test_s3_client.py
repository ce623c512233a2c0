"""Where a client of an S3 store believes the store to be."""

import pytest

from classifier_inference.stores.s3.connection import S3Settings, connect


@pytest.mark.parametrize(
    ("named", "environment", "region"),
    [
        ("eu-west-1", {"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-3"}, "eu-west-1"),
        (None, {"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-3"}, "eu-west-2"),
        (None, {"AWS_DEFAULT_REGION": "eu-west-3"}, "eu-west-3"),
        (None, {}, "us-east-1"),
    ],
)
def test_a_region_that_nobody_names_is_the_environment_s_by_either_variable(
    named: str | None, environment: dict[str, str], region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    client = connect(S3Settings("http://127.0.0.1:9", named, None, 1))
    assert client.meta.region_name == region
    client.close()
