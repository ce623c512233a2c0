"""Which addresses that requests name are gone to."""

import pytest

from classifier_inference.stores.public_addresses import find_rule, may_connect
from classifier_inference.stores.store_error import NotAllowedError

ALLOW = ["photos.example.com", "*.cdn.example.com", "minio.store:9000", "s3://photos"]


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("https://photos.example.com/cat.jpg?size=1", "photos.example.com"),
        ("https://PHOTOS.example.com:443/cat.jpg", "photos.example.com"),
        ("https://a.b.cdn.example.com/cat.jpg", "*.cdn.example.com"),
        ("https://minio.store:9000/cat.jpg", "minio.store:9000"),
    ],
)
def test_what_is_listed_may_be_asked(url: str, rule: str) -> None:
    assert find_rule(url, ALLOW) == rule


@pytest.mark.parametrize(
    "url",
    [
        "http://photos.example.com/cat.jpg",
        "https://example.com/cat.jpg",
        "https://cdn.example.com/cat.jpg",
        "https://evilcdn.example.com/cat.jpg",
        "https://photos.example.com.evil.com/cat.jpg",
        "https://photos.example.com:8443/cat.jpg",
        "https://minio.store/cat.jpg",
        "https://photos.example.com@evil.com/cat.jpg",
        "https://evil.com\\@photos.example.com/cat.jpg",
        "https://user@photos.example.com/cat.jpg",
        "https://photos.example.com:port/cat.jpg",
        "https://[::1/cat.jpg",
        "https:///cat.jpg",
        "https://photos.example.com./cat.jpg",
        "https://photos.example.com%2f.cdn.example.com/",
        "https://evil.com\\.cdn.example.com/",
        "https://ä.cdn.example.com/",
        "https://evil。com.cdn.example.com/",
        "https://a b.cdn.example.com/",
        "https://.cdn.example.com\x00/",
        "https://[::1].cdn.example.com/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://[::ffff:127.0.0.1]/",
        "//photos.example.com/cat.jpg",
        "file://photos.example.com/cat.jpg",
        "https://",
        "",
    ],
)
def test_everything_else_may_not(url: str) -> None:
    with pytest.raises(NotAllowedError):
        find_rule(url, ALLOW)


@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        ("93.184.215.14", True, True),
        ("2606:4700::6810:84e5", True, True),
        ("10.0.0.1", False, True),
        ("192.168.1.1", False, True),
        ("100.64.0.1", False, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("fd00::1", False, True),
        ("::ffff:10.0.0.1", False, True),
        ("64:ff9b::a00:1", False, True),
        ("2002:a00:1::1", False, True),
        ("::127.0.0.1", False, True),
        ("64:ff9b:1::7f00:1", False, True),
        ("::ffff:0:10.0.0.1", False, True),
        ("2001:db8::1", False, True),
        ("5f00::1", False, True),
        ("0.1.2.3", False, True),
        ("240.0.0.1", False, True),
        ("169.254.169.254", False, False),
        ("::169.254.169.254", False, False),
        ("64:ff9b:1::a9fe:a9fe", False, False),
        ("fd00:ec2::254", False, False),
        ("100.100.100.200", False, False),
        ("168.63.129.16", False, False),
        ("::ffff:168.63.129.16", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("64:ff9b::a9fe:a9fe", False, False),
        ("2002:a9fe:a9fe::1", False, False),
        ("fe80::1%eth0", False, False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False, False),
        ("fec0::1", False, False),
        ("224.0.0.1", False, False),
        ("0.0.0.0", False, False),  # noqa: S104 - refused
        ("::", False, False),
    ],
)
def test_private_addresses_only_where_that_is_said_and_link_local_ones_never(
    address: str, public: bool, private: bool
) -> None:
    assert (may_connect(address, private=False), may_connect(address, private=True)) == (public, private)
