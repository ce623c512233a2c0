"""One class, as a model saw it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prediction:
    """One class and how sure the model is of it, from 0 to 1."""

    label: str
    class_id: int
    confidence: float
