"""The documentation's own lines read the log, where it lies in S3."""

import re
import runpy
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.integration.prediction_log.conftest import Recording
from tests.integration.prediction_log.stores import KEY_ID, SECRET_KEY
from tests.integration.prediction_log.windows import IMAGE, make_record, write_window

PAGE = Path(__file__).resolve().parents[3] / "docs/prediction-log.md"
MINUTE = 60_000


def write_script(path: Path, endpoint: str, folder: str) -> Path:
    """Write the page's Python, in one piece, with the addresses and keys of a test."""
    script = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL))
    for said, meant in (
        ("localhost:9000", urlsplit(endpoint).netloc),
        ('access_key="…"', f'access_key="{KEY_ID}"'),
        ('secret_key="…"', f'secret_key="{SECRET_KEY}"'),
        ('"mlflow/artifacts"', f'"{folder}"'),
    ):
        assert said in script
        script = script.replace(said, meant)
    path.write_text(script)
    return path


def test_pandas_and_duckdb_read_windows_and_images_as_the_page_says(recording: Recording, tmp_path: Path) -> None:
    now = int(time.time() * 1000)
    sure, unsure = make_record(now - 5 * MINUTE), make_record(now - 5 * MINUTE + 1, confidence=0.4)
    write_window(recording.own, now - 5 * MINUTE, [sure, unsure])
    write_window(recording.own, now - MINUTE, [make_record(now - MINUTE, version="2", labels=["blue"], confidence=1)])
    old = now - 48 * 60 * MINUTE
    write_window(recording.own, old, [make_record(old)])
    recording.start()
    recording.wait_until_shipped()
    _, first, last = recording.runs()
    folder = first.artifact_uri.removeprefix("s3://").removesuffix(f"/{first.run_id}/artifacts")
    script = write_script(tmp_path / "page.py", recording.to_minio.url, folder)
    found = runpy.run_path(str(script), {"artifact_uri": first.artifact_uri})
    assert found["unsure"].request_id == unsure.request_id
    assert found["image"] == IMAGE
    shares = found["shares"].to_dict("records")
    assert [(row["model_version"], row["label"], row["predictions"]) for row in shares] == [
        ("1", "red", 2),
        ("2", "blue", 1),
    ]
    assert last.params["model_version"] == "2"
