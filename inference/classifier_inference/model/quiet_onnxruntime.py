"""ONNX Runtime, silenced before it is loaded: nothing is sent anywhere, nothing is written beside our own log.

Its Linux builds report to their maker from the moment they are imported, and keep an id of the machine on disk; only
this variable, set beforehand, turns all of it off. Import `onnxruntime` from here and from nowhere else.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state

onnxruntime.disable_telemetry_events()
onnxruntime.set_default_logger_severity(3)

ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    TypeError,
    *(
        kind
        for kind in vars(onnxruntime_pybind11_state).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ),
)
"""What loading or running a model may raise."""

__all__ = ["ERRORS", "onnxruntime"]
