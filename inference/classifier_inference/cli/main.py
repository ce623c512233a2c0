"""The command `classifier`: serve, ui, fetch, record, classify."""

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from classifier_inference import __version__
from classifier_inference.cli import model_commands
from classifier_inference.engine.malloc import tame_malloc
from classifier_inference.engine.quick_start import begin_start
from classifier_inference.http.settings import Settings, parse_origins, parse_root_path
from classifier_inference.report.termination_log import DEFAULT_TERMINATION_LOG

HOSTNAME = socket.gethostname()
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(model_commands.app)


def _parse_level(level: str) -> str:
    if level.lower() not in LOG_LEVELS:
        raise typer.BadParameter(f"{level!r} is none of {', '.join(LOG_LEVELS)}")
    return level.lower()


TerminationLog = Annotated[Path, typer.Option(envvar="CLASSIFIER_TERMINATION_LOG", hidden=True)]
LogLevel = Annotated[
    str, typer.Option(envvar="CLASSIFIER_LOG_LEVEL", callback=_parse_level, help="debug, info, warning or error.")
]
CaFile = Annotated[
    Path | None, typer.Option(envvar="CLASSIFIER_CA_FILE", help="PEM: certificate authorities to trust besides.")
]
Document = Annotated[Path, typer.Argument(help="The ImageClassifier: a manifest, or a revision's classifier.json.")]

Spool = Annotated[Path | None, typer.Option(help="The folder that predictions are spooled in until they are shipped.")]
Pod = Annotated[str, typer.Option(envvar="POD_NAME", help="What the server's folder in the spool is called.")]
Namespace = Annotated[str, typer.Option(envvar="POD_NAMESPACE", help="The namespace that logged predictions name.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        from classifier_inference.images.resize import METHOD

        typer.echo(f"classifier {__version__} (resize: {METHOD})")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Say which this is, and what resizes.")
]


@app.callback()
def prepare(version: Version = False) -> None:
    """Serve image classifiers."""
    # Process 1 of a container ignores SIGTERM until something handles it: importing takes a second, a retry more.
    _end_on(signal.SIGTERM, status=128 + signal.SIGTERM)


def _end_on(*signals: signal.Signals, status: int) -> None:
    def end(signum: int, frame: object) -> NoReturn:
        raise SystemExit(status)

    for number in signals:
        signal.signal(number, end)


@app.command()
def serve(
    document: Document,
    files: Annotated[Path | None, typer.Option(help="The folder that `classifier fetch` filled.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Where files of image:// addresses lie: IMAGES/<reference>/<path>.")
    ] = None,
    host: Annotated[str, typer.Option(envvar="CLASSIFIER_HOST")] = Settings.host,
    port: Annotated[int, typer.Option(envvar="CLASSIFIER_PORT")] = Settings.port,
    image_root: Annotated[
        Path | None, typer.Option(envvar="IMAGE_ROOT", help="The folder that image_path names files under.")
    ] = None,
    root_path: Annotated[str, typer.Option(envvar="CLASSIFIER_ROOT_PATH", help="The ingress's path prefix.")] = "",
    api_keys: Annotated[
        Path | None, typer.Option(envvar="CLASSIFIER_API_KEYS", help="A folder: each file in it holds an API key.")
    ] = None,
    cors: Annotated[
        str, typer.Option(envvar="CLASSIFIER_CORS", help="Origins whose pages may ask, commas in between; * is any.")
    ] = "",
    drain_seconds: Annotated[
        float, typer.Option(envvar="CLASSIFIER_DRAIN_SECONDS", min=0, help="How long SIGTERM lets requests in.")
    ] = Settings.drain_seconds,
    spool: Spool = None,
    pod: Pod = HOSTNAME,
    namespace: Namespace = "",
    ca_file: CaFile = None,
    log_level: LogLevel = "info",
    termination_log: TerminationLog = DEFAULT_TERMINATION_LOG,
) -> None:
    """Serve a classifier on a port."""
    # Until the server takes them over, the signals that end it well end the start just as well.
    _end_on(signal.SIGTERM, signal.SIGINT, status=0)
    tame_malloc()
    begin_start()
    from classifier_inference.cli.serve import serve_document

    settings = Settings(
        host,
        port,
        image_root,
        parse_root_path(root_path),
        api_keys,
        parse_origins(cors),
        drain_seconds,
        termination_log,
        spool=spool,
        pod=pod,
        namespace=namespace,
        ca_file=ca_file,
    )
    _configure_logs(log_level)
    try:
        status = serve_document(document, files, images, ca_file, settings)
    except SystemExit as ended:
        status = int(ended.code or 0)
    sys.stdout.flush()
    sys.stderr.flush()
    # Not by way of the interpreter's own end, which would run over a model that is still being loaded.
    os._exit(status)


@app.command()
def fetch(
    document: Document,
    to: Annotated[Path, typer.Option(help="The folder to bring the files to.", exists=True, file_okay=False)],
    ca_file: CaFile = None,
    retry_seconds: Annotated[
        float, typer.Option(envvar="CLASSIFIER_RETRY_SECONDS", min=0, help="How long to retry what may pass.")
    ] = 30,
    log_level: LogLevel = "info",
    termination_log: TerminationLog = DEFAULT_TERMINATION_LOG,
) -> None:
    """Download a classifier's files and check them."""
    from classifier_inference.files.fetch import fetch_document

    _configure_logs(log_level)
    raise typer.Exit(fetch_document(document, to, ca_file, retry_seconds, termination_log))


@app.command()
def record(
    document: Document,
    spool: Annotated[Path, typer.Option(help="The folder that servers spool to: a folder a server in it.")],
    pod: Pod = HOSTNAME,
    namespace: Namespace = "",
    ca_file: CaFile = None,
    log_level: LogLevel = "info",
    termination_log: TerminationLog = DEFAULT_TERMINATION_LOG,
    keep: Annotated[
        bool, typer.Option("--keep", help="Begin again where it dies: a pod's sidecar never ends.")
    ] = False,
    after: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Ship the predictions that a server spools to MLflow and S3, until it has ended."""
    from classifier_inference.cli.keep_running import keep_running
    from classifier_inference.cli.record_command import record_document

    def work() -> int:
        _configure_logs(log_level)
        return record_document(document, spool, pod, namespace, ca_file, termination_log, after)

    raise typer.Exit(keep_running(work) if keep else work())


@app.command()
def ui(
    port: Annotated[int, typer.Option(envvar="CLASSIFIER_UI_PORT", help="Where MLflow's pages are.")] = 5000,
) -> None:
    """Show what `classifier serve` has logged on this machine, in MLflow's pages."""
    from classifier_inference.cli.local_log import run_ui

    raise typer.Exit(run_ui(port))


@app.command()
def classify(
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    url: Annotated[str, typer.Option(envvar="CLASSIFIER_URL", help="The server.")] = "http://127.0.0.1:9000",
    api_key: Annotated[
        str, typer.Option(envvar="CLASSIFIER_API_KEY", help="The server's API key, where it asks for one.")
    ] = "",
) -> None:
    """Ask a server what is on some images."""
    from classifier_inference.cli.classify import classify_files

    raise typer.Exit(classify_files(images, url, api_key))


def _configure_logs(level: str) -> None:
    from classifier_inference.telemetry.log_format import configure_logs

    configure_logs(level, as_json=not sys.stderr.isatty())
