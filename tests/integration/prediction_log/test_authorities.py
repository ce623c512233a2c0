"""A managed MLflow whose store shows a certificate of a private authority."""

import os
import subprocess
from pathlib import Path

import httpx2

from classifier_inference.spec.tracking import Storage
from classifier_operator.managed_stores import Mlflow
from classifier_operator.resources.mlflow_server import TRUSTED, build_mlflow
from classifier_operator.resources.mounted_authorities import AUTHORITIES_FILE
from tests.integration.prediction_log.stores import (
    BUCKET,
    MLFLOW,
    Gate,
    Store,
    s3_client,
    show_certificates,
    start_mlflow,
)
from tests.unit.operator.objects import SETTINGS


def test_its_pages_show_what_lies_there(tmp_path: Path, minio: Store) -> None:
    given, context = show_certificates(tmp_path)
    trusted = tmp_path / "trusted.pem"
    gate = Gate(minio.port, context)
    storage = Storage(mode="External", endpoint=gate.url, bucket=BUCKET)
    made = build_mlflow("team", Mlflow("mlflow", storage), [], SETTINGS, given.read_text(), None)
    *shell, script = made["spec"]["template"]["spec"]["initContainers"][0]["command"]
    script = script.replace(AUTHORITIES_FILE, str(given)).replace(TRUSTED, str(trusted))
    path = f"{Path(MLFLOW).parent}:{os.environ['PATH']}"
    subprocess.run([*shell, script], check=True, env={**os.environ, "PATH": path})
    assert trusted.read_text().count("BEGIN CERTIFICATE") > 100

    mlflow = start_mlflow(tmp_path, gate.url, AWS_CA_BUNDLE=str(trusted))
    try:
        with httpx2.Client(base_url=mlflow.url, timeout=60) as client:
            create = "/api/2.0/mlflow/experiments/create"
            location = f"s3://{BUCKET}/artifacts/trusting"
            experiment = client.post(create, json={"name": "trusting", "artifact_location": location}).json()
            run = client.post("/api/2.0/mlflow/runs/create", json=experiment).json()["run"]["info"]
            key = f"{run['artifact_uri'].removeprefix(f's3://{BUCKET}/')}/note.txt"
            s3_client(minio.url).put_object(Bucket=BUCKET, Key=key, Body=b"seen")
            shown = client.get("/get-artifact", params={"path": "note.txt", "run_uuid": run["run_id"]})
            assert (shown.status_code, shown.content) == (200, b"seen")
    finally:
        mlflow.stop()
        gate.shut()
