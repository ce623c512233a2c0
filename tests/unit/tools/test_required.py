"""Where END_TO_END is `required`, nothing is left out in silence."""

import pytest

pytest_plugins = ["pytester"]

SKIPPED = "import pytest\n@pytest.mark.skip(reason='no such program')\ndef test_it(): pass\n"
NOT_COLLECTED = "import pytest\npytest.importorskip('no_such_module')\ndef test_it(): pass\n"
OPTIONS = ("-p", "tests.conftest", "-p", "no:asyncio")


@pytest.mark.parametrize(("content", "reason"), [(SKIPPED, "no such program"), (NOT_COLLECTED, "no_such_module")])
def test_a_skip_is_an_error_there_and_nowhere_else(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, content: str, reason: str
) -> None:
    pytester.makepyfile(content)
    monkeypatch.delenv("END_TO_END", raising=False)
    assert pytester.runpytest_inprocess(*OPTIONS).parseoutcomes() == {"skipped": 1}
    monkeypatch.setenv("END_TO_END", "required")
    result = pytester.runpytest_inprocess(*OPTIONS)
    assert result.parseoutcomes() == {"errors": 1}
    result.stdout.fnmatch_lines([f"*END_TO_END is `required`, and this was left out:*{reason}*"])
