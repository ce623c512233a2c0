"""The commands of `classifier` that deal with models in stores: digest, push, resolve."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from classifier_inference.report.termination_log import DEFAULT_TERMINATION_LOG

app = typer.Typer()

OnnxFile = Annotated[Path, typer.Argument(help="The ONNX file.", exists=True, dir_okay=False)]
TrackingUri = Annotated[str | None, typer.Option(envvar="MLFLOW_TRACKING_URI", help="The MLflow server.")]
Endpoint = Annotated[
    str | None, typer.Option(envvar="AWS_ENDPOINT_URL_S3", help="The S3 store's address. Default: Amazon's.")
]
Region = Annotated[str | None, typer.Option(envvar="AWS_REGION", help="The S3 store's region.")]
CaFile = Annotated[
    Path | None, typer.Option(envvar="CLASSIFIER_CA_FILE", help="PEM: certificate authorities to trust besides.")
]


@app.command()
def digest(path: OnnxFile) -> None:
    """Print what model.sha256 says of a model: its digest, together with the files that it keeps tensors in."""
    from classifier_inference.files.digest import digest_model
    from classifier_inference.report.start_error import StartError

    try:
        sys.stdout.write(f"{digest_model(path, path.parent)}\n")
    except StartError as error:
        _fail(error)


@app.command()
def push(
    path: OnnxFile,
    labels: Annotated[Path, typer.Option(help="One label a line, or a JSON list.", exists=True, dir_okay=False)],
    to: Annotated[str, typer.Option(help="s3://bucket/folder, or models:/name in MLflow's registry.")],
    tracking_uri: TrackingUri = None,
    endpoint: Endpoint = None,
    region: Region = None,
    ca_file: CaFile = None,
) -> None:
    """Put a model and its labels into a store, and print the `model:` block that names them."""
    from classifier_inference.files.push import push_model
    from classifier_inference.report.start_error import StartError
    from classifier_inference.stores.clients import Places

    try:
        sys.stdout.write(push_model(path, labels, to, Places(tracking_uri, endpoint, region), ca_file))
    except StartError as error:
        _fail(error)


@app.command()
def resolve(
    uri: Annotated[str, typer.Argument(help="models:/name/version or models:/name@alias.")],
    version_only: Annotated[bool, typer.Option(help="Only ask which version an alias names.")] = False,
    tracking_uri: TrackingUri = None,
    endpoint: Endpoint = None,
    region: Region = None,
    ca_file: CaFile = None,
    retry_seconds: Annotated[
        float, typer.Option(envvar="CLASSIFIER_RETRY_SECONDS", min=0, help="How long to retry what may pass.")
    ] = 30,
    termination_log: Annotated[
        Path, typer.Option(envvar="CLASSIFIER_TERMINATION_LOG", hidden=True)
    ] = DEFAULT_TERMINATION_LOG,
) -> None:
    """Print which version of a registered model an address stands for, where its files lie, and their digest."""
    from classifier_inference.files.resolve import resolve_address
    from classifier_inference.stores.clients import Places
    from classifier_inference.telemetry.log_format import configure_logs

    configure_logs("info", as_json=not sys.stderr.isatty())
    places = Places(tracking_uri, endpoint, region)
    raise typer.Exit(resolve_address(uri, places, ca_file, retry_seconds, termination_log, version_only=version_only))


def _fail(error: Exception) -> None:
    sys.stderr.write(f"{error}\n")
    raise typer.Exit(1)
