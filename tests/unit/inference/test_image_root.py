"""Which files a request can name, and which it can't."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from classifier_inference.stores.image_root import (
    NoSuchFileError,
    OutsideError,
    TooLargeError,
    UnusablePathError,
    read_file,
)

LIMIT = 100


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with files and links inside, and beside it things that must not be seen."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "cat.jpg").write_bytes(b"cat")
    (root / "sub/dog.jpg").write_bytes(b"dog")
    (root / "large.jpg").write_bytes(b"x" * (LIMIT + 1))
    (root / "link-in").symlink_to("sub/dog.jpg")
    (root / "link-in-absolute").symlink_to(root / "sub/dog.jpg")
    (root / "sub/link-up").symlink_to("../cat.jpg")
    (root / "link-folder").symlink_to("sub")
    (root / "link-out").symlink_to(tmp_path / "secret")
    (root / "link-out-to-nothing").symlink_to(tmp_path / "nothing")
    (root / "link-folder-out").symlink_to("..")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("nothing")
    os.mkfifo(root / "pipe")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "root-beside").mkdir()
    (tmp_path / "root-beside/file").write_bytes(b"beside")
    (tmp_path / "other-name").symlink_to(root)
    (tmp_path / "link-to-outside").symlink_to("/etc")
    return root


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("cat.jpg", b"cat"),
        ("./cat.jpg", b"cat"),
        ("sub/dog.jpg", b"dog"),
        ("sub//dog.jpg", b"dog"),
        ("sub/../cat.jpg", b"cat"),
        ("link-in", b"dog"),
        ("link-in-absolute", b"dog"),
        ("sub/link-up", b"cat"),
        ("link-folder/dog.jpg", b"dog"),
        ("link-folder/../cat.jpg", b"cat"),
        ("../root/cat.jpg", b"cat"),
        ("{root}/cat.jpg", b"cat"),
        ("{root}/../root/sub/dog.jpg", b"dog"),
    ],
)
def test_a_path_inside_is_read(root: Path, path: str, content: bytes) -> None:
    assert read_file(root, path.format(root=root), LIMIT) == content


def test_a_root_that_is_a_link_takes_its_own_name_and_the_real_one(root: Path) -> None:
    linked = root.parent / "other-name"
    for path in ("cat.jpg", f"{linked}/cat.jpg", f"{root}/cat.jpg"):
        assert read_file(linked, path, LIMIT) == b"cat"


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "../nothing",
        "..",
        "/",
        "sub/../../secret",
        "nothing/../../secret",
        "{root}/../secret",
        "{root}/../nothing",
        "{root}-beside/file",
        "{root}-beside/nothing",
        "/etc/passwd",
        "/etc/nothing-of-that-name",
        "link-out",
        "link-out-to-nothing",
        "link-folder-out/secret",
        "link-folder-out/nothing",
        "link-folder-out/root-beside/file",
    ],
)
def test_a_path_that_leads_out_is_refused_whether_there_is_something_or_not(root: Path, path: str) -> None:
    with pytest.raises(OutsideError):
        read_file(root, path.format(root=root), LIMIT)


def test_what_lies_outside_is_never_looked_at(root: Path) -> None:
    # As the system resolves it, this is /root/cat.jpg, which is outside: the answer would tell of the link to /etc.
    assert read_file(root, "../link-to-outside/../root/cat.jpg", LIMIT) == b"cat"


@pytest.mark.parametrize("path", ["nothing", "sub/nothing", "cat.jpg/below", "loop", "dangling", "nothing/cat.jpg"])
def test_a_missing_file_is_said_to_be_missing(root: Path, path: str) -> None:
    with pytest.raises(NoSuchFileError):
        read_file(root, path, LIMIT)


@pytest.mark.parametrize(
    "path", ["", ".", "sub", "link-folder", "pipe", "a\0b", "a" * 256, "a/" * 2100, "\ud800", "../" + "a" * 300]
)
def test_what_is_no_regular_file_has_an_error_of_its_own(root: Path, path: str) -> None:
    with pytest.raises(UnusablePathError):
        read_file(root, path, LIMIT)


def test_a_file_over_the_limit_is_refused(root: Path) -> None:
    with pytest.raises(TooLargeError):
        read_file(root, "large.jpg", LIMIT)


def test_a_link_put_in_after_the_path_was_judged_is_not_followed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge: Callable[..., int] = os.open

    def swap_then_open(path: str, *arguments: int, **options: int) -> int:
        if path == "cat.jpg":
            (root / "cat.jpg").unlink()
            (root / "cat.jpg").symlink_to(root.parent / "secret")
        return judge(path, *arguments, **options)

    monkeypatch.setattr(os, "open", swap_then_open)
    with pytest.raises(NoSuchFileError):
        read_file(root, "cat.jpg", LIMIT)


def test_a_root_that_is_gone_has_no_files(root: Path) -> None:
    with pytest.raises(NoSuchFileError):
        read_file(root / "gone", "cat.jpg", LIMIT)
