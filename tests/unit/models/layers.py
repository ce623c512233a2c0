"""What networks are made of, layer by layer in float64: what the built graphs are compared with."""

import numpy as np

from models.torch_checkpoint import Array

BATCH_NORM_EPSILON = 1e-3


def convolve(x: Array, kernel: Array, *, stride: int, before: int, after: int) -> Array:
    """Return the convolution of channels x height x width, zeros added before and after rows and columns.

    One input channel in the kernel and as many outputs as x has channels: each channel by itself.
    """
    x = np.pad(x, ((0, 0), (before, after), (before, after)))
    outputs, group_inputs, side, _ = kernel.shape
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(1, 2))[:, ::stride, ::stride]
    if group_inputs == 1 and outputs == len(x):
        return np.asarray(np.einsum("chwij,cij->chw", windows, kernel[:, 0], optimize=True))
    return np.tensordot(kernel, windows, axes=((1, 2, 3), (0, 3, 4)))


def normalise_batch(x: Array, weights: dict[str, Array], name: str) -> Array:
    """Return what batch normalisation `name` makes of channels x height x width, with its running statistics."""
    gamma, beta, mean, variance = (
        weights[f"{name}.{part}"].reshape(-1, 1, 1).astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + BATCH_NORM_EPSILON) * gamma + beta
