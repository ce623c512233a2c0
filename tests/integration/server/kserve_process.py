"""Runs KServe's client in an environment of its own: it needs other versions than we do."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


def ask_by_kserve(url: str, model: str, image: Path, **headers: str) -> dict[str, Any]:
    """Return what the client was told; see kserve_client.py."""
    uv = Path(sys.executable).with_name("uv")
    script = ROOT / "tests/integration/server/kserve_client.py"
    command = [uv, "run", "--quiet", "--isolated", "--locked", "--only-group", "kserve", "python", script]
    done = subprocess.run(
        [*map(str, command), url, model, str(image), json.dumps(headers)],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
