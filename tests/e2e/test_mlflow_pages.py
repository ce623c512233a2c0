"""MLflow's pages through an Ingress, in a real browser."""

import re
import subprocess
import threading
import time
from pathlib import Path

from tests.browser import find_chromium
from tests.e2e import environment
from tests.e2e.classifiers import classifier, picture, ready
from tests.e2e.cluster import Cluster, Object
from tests.e2e.sinks import MANAGED, ask_mlflow, await_sinks, lead_to_mlflow, search_runs

PATIENCE_MS = 30_000


def render(folder: Path, name: str, path: str) -> str:
    """Return the page's DOM once its scripts have run; a picture of it is left in the folder."""
    command = [
        find_chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000",
        f"--user-data-dir={folder / 'profile'}", f"--virtual-time-budget={PATIENCE_MS}",
        f"--host-resolver-rules=MAP {name} 127.0.0.1:{environment.PORT}",
        f"--screenshot={folder / 'page.png'}", "--dump-dom", f"http://{name}/{path}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def await_run(cluster: Cluster, namespace: str) -> Object:
    """Return the first run that is finished."""
    deadline = time.monotonic() + 60
    while True:
        for run in search_runs(cluster, namespace, "photos"):
            if run["info"]["status"] == "FINISHED":
                return run
        assert time.monotonic() < deadline
        # MLflow can't be watched.
        threading.Event().wait(1)


def test_a_browser_sees_runs_their_artifacts_and_images_through_an_ingress(
    operator: Cluster, namespace: str, tmp_path: Path
) -> None:
    log = {"runs": "prediction", "window": "1s"}
    operator.apply(classifier("photos", namespace, **MANAGED, predictionLog=log))
    await_sinks(operator, namespace)
    own = lead_to_mlflow(operator, namespace)
    operator.until("imageclassifiers", namespace, "photos", ready)
    operator.predict(namespace, "photos", picture("red"))
    run = await_run(operator, namespace)
    at = f"#/experiments/{run['info']['experiment_id']}"
    assert run["info"]["run_name"] in render(tmp_path, own, f"{at}/runs")
    artifacts = render(tmp_path, own, f"{at}/runs/{run['info']['run_id']}/artifacts")
    assert "input_images" in artifacts
    assert "prediction_results" in artifacts
    listed = ask_mlflow(operator, namespace, f"artifacts/list?run_id={run['info']['run_id']}&path=input_images")
    (image,) = listed["files"]
    preview = render(tmp_path, own, f"{at}/runs/{run['info']['run_id']}/artifacts/{image['path']}")
    assert re.search(r'<img[^>]+src="(blob:|data:image|[^"]*get-artifact)', preview)
