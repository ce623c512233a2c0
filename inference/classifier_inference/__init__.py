"""Serves one image classifier over HTTP."""

import os

# Before numpy is imported: its BLAS, which nothing here uses, would start a thread for every core of the node.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
