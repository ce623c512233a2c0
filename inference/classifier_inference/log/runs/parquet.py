"""Writes a window's predictions as Parquet: one row a prediction, a batch of rows in memory at a time."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from classifier_inference.log.record import Record

BATCH_ROWS = 2000

_TEXT = pa.dictionary(pa.int32(), pa.string())
"""Text of few different values."""
_PREDICTION = pa.struct([("label", pa.string()), ("class_id", pa.int32()), ("confidence", pa.float32())])
SCHEMA = pa.schema(
    [
        ("request_id", pa.string()),
        ("client_request_id", pa.string()),
        ("time", pa.timestamp("ms", "UTC")),
        ("classifier", _TEXT),
        ("namespace", _TEXT),
        ("pod", _TEXT),
        ("model_version", _TEXT),
        ("model_sha256", _TEXT),
        ("device", _TEXT),
        ("label", _TEXT),
        ("class_id", pa.int32()),
        ("confidence", pa.float32()),
        ("predictions", pa.list_(_PREDICTION)),
        ("read_ms", pa.float32()),
        ("queue_ms", pa.float32()),
        ("decode_ms", pa.float32()),
        ("infer_ms", pa.float32()),
        ("image_name", pa.string()),
        ("image_format", _TEXT),
        ("image_width", pa.int32()),
        ("image_height", pa.int32()),
        ("image_bytes", pa.int64()),
        ("image_key", _TEXT),
        ("image_offset", pa.int64()),
        ("image_size", pa.int64()),
    ]
)
"""`image_key` is the address of the tar that holds the image, from byte `image_offset`, `image_size` bytes; null for
an image that was not logged."""


def use_little_memory() -> None:
    """Have Arrow give back what it no longer needs, and start no threads."""
    pa.set_memory_pool(pa.system_memory_pool())
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


def write_parquet(path: Path, records: Iterable[Record], image_key: str) -> None:
    """Write the records to a file; `image_key` is where their images are put."""
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for rows in _batch(_build_row(record, image_key) for record in records):
            writer.write_batch(pa.RecordBatch.from_pylist(rows, SCHEMA))


def _build_row(record: Record, image_key: str) -> dict[str, Any]:
    best = record.predictions[0] if record.predictions else None
    where = record.image_ref
    return {
        "request_id": record.request_id,
        "client_request_id": record.client_request_id,
        "time": datetime.fromisoformat(record.time),
        "classifier": record.classifier,
        "namespace": record.namespace,
        "pod": record.pod,
        "model_version": record.model.version,
        "model_sha256": record.model.sha256,
        "device": record.device,
        "label": best.label if best else None,
        "class_id": best.class_id if best else None,
        "confidence": best.confidence if best else None,
        "predictions": [
            {"label": found.label, "class_id": found.class_id, "confidence": found.confidence}
            for found in record.predictions
        ],
        "read_ms": record.milliseconds.read,
        "queue_ms": record.milliseconds.queue,
        "decode_ms": record.milliseconds.decode,
        "infer_ms": record.milliseconds.infer,
        "image_name": record.image.name,
        "image_format": record.image.format,
        "image_width": record.image.width,
        "image_height": record.image.height,
        "image_bytes": record.image.bytes,
        "image_key": image_key if where else None,
        "image_offset": where.offset if where else None,
        "image_size": where.size if where else None,
    }


def _batch(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch
