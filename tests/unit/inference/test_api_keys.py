"""Which strings are API keys."""

import hmac
from collections.abc import Callable
from pathlib import Path

import pytest

from classifier_inference.http.api_keys import READ_SECONDS, ApiKeys, open_api_keys
from classifier_inference.http.auth import list_given
from classifier_inference.http.settings import parse_origins
from classifier_inference.report.start_error import StartError
from classifier_inference.spec.classifier import Auth


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "one").write_bytes(b"first\n")
    (tmp_path / "two").write_bytes("zw\u00f6lf".encode())
    (tmp_path / "empty").write_bytes(b" \n")
    (tmp_path / ".hidden").write_bytes(b"hidden")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("given", "opens"),
    [
        ([b"first"], True),
        (["zw\u00f6lf".encode()], True),
        ([b"wrong", b"first"], True),
        ([], False),
        ([b""], False),
        ([b"firs"], False),
        ([b"first "], False),
        ([b"hidden"], False),
    ],
)
def test_a_file_is_a_key(folder: Path, given: list[bytes], opens: bool) -> None:
    assert ApiKeys(folder).opens(given) is opens


def test_every_key_is_compared_whatever_fits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(given: bytes, key: bytes, compare: Callable[[bytes, bytes], bool] = hmac.compare_digest) -> bool:
        compared.append((given, key))
        return compare(given, key)

    keys = ApiKeys(folder)
    monkeypatch.setattr(hmac, "compare_digest", compare)
    for given in ([b"first"], ["zw\u00f6lf".encode()], [b"wrong"], [b"first", b"wrong"]):
        compared.clear()
        keys.opens(given)
        assert len(set(compared)) == 2 * len(given)


def test_files_are_read_again_after_a_moment_and_a_folder_that_has_gone_lets_nobody_in(folder: Path) -> None:
    now = 0.0
    keys = ApiKeys(folder, lambda: now)
    (folder / "one").unlink()
    assert keys.opens([b"first"])
    now += READ_SECONDS
    assert not keys.opens([b"first"])
    folder.rename(folder.with_name("gone"))
    now += READ_SECONDS
    assert not keys.any
    assert not keys.opens(["zw\u00f6lf".encode()])


def test_no_key_is_kept_as_it_is(folder: Path) -> None:
    assert "first" not in repr(vars(ApiKeys(folder)))


def test_a_folder_without_an_auth_asks_for_keys_too(folder: Path, tmp_path: Path) -> None:
    assert open_api_keys(None, None) is None
    assert open_api_keys(None, folder) is not None
    with pytest.raises(StartError, match="holds no API key"):
        open_api_keys(None, tmp_path / "absent")
    with pytest.raises(StartError, match="--api-keys"):
        open_api_keys(Auth.model_validate({"secret": "photos-keys"}), None)


@pytest.mark.parametrize(
    ("headers", "given"),
    [
        ([(b"authorization", b"Bearer a b")], [b"a b"]),
        ([(b"authorization", b"BEARER a"), (b"x-api-key", b" b ")], [b"a", b"b"]),
        ([(b"authorization", b"Basic a"), (b"cookie", b"a")], []),
    ],
)
def test_what_headers_bring(headers: list[tuple[bytes, bytes]], given: list[bytes]) -> None:
    assert list(list_given(headers)) == given


@pytest.mark.parametrize(
    ("text", "origins"), [("", ()), ("*", ("*",)), ("https://a, http://b:1,", ("https://a", "http://b:1"))]
)
def test_origins_stand_between_commas(text: str, origins: tuple[str, ...]) -> None:
    assert parse_origins(text) == origins
