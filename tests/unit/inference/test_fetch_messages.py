"""How addresses are named in messages."""

import pytest

from classifier_inference.stores.https import printable


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("https://user:secret@host:8443/m.onnx?token=secret#x", "https://host:8443/m.onnx"),
        ("https://[::1]/m", "https://[::1]/m"),
        ("https://user:secret@host/a\nb", "https://host/…"),
    ],
)
def test_an_address_is_named_without_secrets_even_where_it_is_malformed(url: str, named: str) -> None:
    assert printable(url) == named
