"""One kind of log for our own lines and for libraries': JSON, or colours on a terminal."""

import logging
import sys
import warnings

import structlog
from structlog.typing import Processor


def configure_logs(level: str, as_json: bool) -> None:
    """Send structlog and the standard library's loggers to stderr, in one format."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[Processor] = [structlog.dev.ConsoleRenderer()]
    if as_json:
        rendering = [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    # Of damaged images: the client is told, and each text would be kept for good as one that was said already.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    # Uvicorn's and the clients' own lines say what ours say better.
    for quiet in ("uvicorn.error", "httpx2", "httpcore2", "botocore", "boto3", "s3transfer", "urllib3"):
        logging.getLogger(quiet).setLevel(max(logging.WARNING, root.level))
    # By a way of our own: the standard library's takes five times as long, and there is a line a request.
    structlog.configure(
        processors=[*shared, *rendering, lambda _, __, line: str(line).encode()],
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        cache_logger_on_first_use=True,
    )
