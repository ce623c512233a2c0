"""Asks a server what is on some images, and prints it for a person."""

import json
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_TIMEOUT = httpx2.Timeout(60, connect=5)


class AskError(Exception):
    """No answer; the message says why in one line."""


def classify_files(paths: list[Path], url: str, api_key: str = "") -> int:
    """Print a table an image; return 0, or 1 if any of them got no answer."""
    out, err = Console(), Console(stderr=True)
    failed = False
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    with httpx2.Client(timeout=_TIMEOUT, headers=headers) as client:
        for path in paths:
            try:
                out.print(render_table(path.name, ask(client, url, path)))
            except AskError as error:
                failed = True
                err.print(f"[red]{escape(str(path))}[/]: {escape(str(error))}", soft_wrap=True, highlight=False)
    return int(failed)


def ask(client: httpx2.Client, url: str, path: Path) -> dict[str, Any]:
    """Return the server's InferenceResponse for a file. Raises AskError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AskError(f"can't be read: {error.strerror}") from None
    try:
        response = client.post(f"{url.rstrip('/')}/api/v1/predict", content=content)
        answer = response.json()
    except (httpx2.TransportError, httpx2.InvalidURL) as error:
        raise AskError(f"no answer from {url}: {error}") from None
    except json.JSONDecodeError:
        raise AskError(f"{url} answered {response.status_code}, and no JSON: is it a classifier?") from None
    if response.status_code != httpx2.codes.OK:
        raise AskError(_describe(answer) if isinstance(answer, dict) else str(answer))
    if not isinstance(answer, dict) or "predictions" not in answer:
        raise AskError(f"{url} answered something else than predictions: is it a classifier?")
    return answer


def _describe(problem: dict[str, Any]) -> str:
    return ": ".join(str(problem[key]) for key in ("title", "detail") if key in problem) or str(problem)


def render_table(title: str, answer: dict[str, Any]) -> Table:
    """Return an InferenceResponse as a table, best class first."""
    model, took = answer["model"], answer["milliseconds"]
    caption = f"{model['name']} {model['version']}: {took['decode'] + took['infer']:.1f} ms"
    table = Table(title=escape(title), caption=escape(caption))
    table.add_column("#", justify="right")
    table.add_column("label")
    table.add_column("class", justify="right")
    table.add_column("confidence", justify="right")
    for place, prediction in enumerate(answer["predictions"], 1):
        confidence = f"{prediction['confidence']:.1%}"
        table.add_row(str(place), escape(prediction["label"]), str(prediction["class_id"]), confidence)
    return table
