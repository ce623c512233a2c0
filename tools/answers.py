"""Asks a classifier about a photograph, and shows what it says."""

from pathlib import Path
from typing import Any

import httpx2
from rich.table import Table

from tools.terminal import console


def post_photo(address: str, photo: Path) -> dict[str, Any]:
    """Post the photograph's bytes and return the answer. Raises httpx2.HTTPError for any other than 200."""
    answer = httpx2.post(f"{address}/api/v1/predict", content=photo.read_bytes(), timeout=30)
    answer.raise_for_status()
    body: dict[str, Any] = answer.json()
    return body


def show_predictions(photo: str, answer: dict[str, Any]) -> None:
    """Print the predictions as a table, best first."""
    table = Table(title=photo, title_justify="left", title_style="bold")
    table.add_column("", justify="right")
    table.add_column("label", min_width=24)
    table.add_column("class", justify="right")
    table.add_column("confidence", justify="right")
    for rank, prediction in enumerate(answer["predictions"], 1):
        table.add_row(str(rank), prediction["label"], str(prediction["class_id"]), f"{prediction['confidence']:.1%}")
    console.print(table)
