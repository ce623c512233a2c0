"""More than a server can take: refused before it is read, in bounded memory, and everything else is answered."""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psutil
import pytest
from PIL import Image

from classifier_inference.engine.container import count_cpus
from classifier_inference.engine.pool import count_workers
from tests.integration.prediction_log.stores import wait_until
from tests.integration.server.conftest import Start
from tests.integration.server.process import Server, read_answer
from tests.tiny_model import encode, make_image, write_document

PREDICT = "/api/v1/predict"
MIB = 2**20
CLIENTS = 64


def ask(server: Server, content: bytes, times: int) -> list[httpx2.Response]:
    """Post over one connection, again and again."""
    with server.client() as client:
        return [client.post(PREDICT, content=content) for _ in range(times)]


def ask_from_many(server: Server, content: bytes, times: int) -> list[httpx2.Response]:
    with ThreadPoolExecutor(CLIENTS) as threads:
        rounds = threads.map(lambda _: ask(server, content, times), range(CLIENTS))
        return [answer for answers in rounds for answer in answers]


def open_request(server: Server, head: str) -> socket.socket:
    """Begin a request whose body doesn't come."""
    connection = server.connect()
    connection.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\n{head}\r\n".encode())
    return connection


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose requests have 128 MiB: three quarters of that for pixels."""
    document = write_document(tmp_path_factory.mktemp("small"), limits={"memory": "128Mi"})
    server = Server(document, IMAGE_ROOT=str(document.parent)).wait_until_ready()
    yield server
    server.kill()


def test_the_default_queue_serves_64_connections_without_a_refusal(start: Start) -> None:
    answers = ask_from_many(start().wait_until_ready(), make_image("blue"), 4)
    assert Counter(answer.status_code for answer in answers) == {200: 4 * CLIENTS}


def test_many_clients_with_large_images_are_answered_or_told_to_come_back_in_bounded_memory(small: Server) -> None:
    process = psutil.Process(small.process.pid)
    before = process.memory_info().rss
    photo = encode(Image.new("RGB", (5000, 4000), (0, 0, 255)), "JPEG")
    answers = ask_from_many(small, photo, 1)
    assert {answer.status_code for answer in answers} <= {200, 429}
    right = [answer.json() for answer in answers if answer.status_code == 200]
    assert right
    assert {answer["predictions"][0]["label"] for answer in right} == {"blue"}
    peak = next(int(line.split()[1]) * 1024 for line in read_status(small) if line.startswith("VmHWM"))
    assert peak - before < 128 * MIB
    assert process.memory_info().rss - before < 64 * MIB
    assert read_metric(small, "classifier_memory_bytes") == 0


def read_status(server: Server) -> list[str]:
    return Path(f"/proc/{server.process.pid}/status").read_text().splitlines()


def read_metric(server: Server, name: str) -> float:
    with server.client() as client:
        lines = client.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def test_an_image_that_could_never_fit_is_refused_with_the_numbers(small: Server) -> None:
    content = encode(Image.new("P", (5000, 5000)), "PNG")
    (answer,) = ask(small, content, 1)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (413, "too-much-memory")
    assert f"and there are {96 * MIB}" in answer.json()["detail"]


def test_bodies_in_flight_are_counted_before_they_come(small: Server) -> None:
    head = f"Content-Length: {10 * MIB}\r\n"
    held = open_request(small, head)
    wait_until(lambda: read_metric(small, "classifier_memory_bytes") >= 20 * MIB, "the body to be counted")
    with open_request(small, head) as refused:
        status, headers, body = read_answer(refused)
    assert (status, headers["retry-after"]) == (429, "1")
    assert json.loads(body)["type"].endswith("/memory-full")
    assert ask(small, make_image("green"), 1)[0].status_code == 200
    held.close()
    wait_until(lambda: read_metric(small, "classifier_memory_bytes") == 0, "the body to be forgotten")


def test_a_full_queue_refuses_before_the_body_is_read(start: Start) -> None:
    server = start(limits={"queue": 1}).wait_until_ready()
    places = count_workers(count_cpus()) + 1
    kept = [open_request(server, "Content-Length: 100\r\n") for _ in range(places)]
    wait_until(lambda: read_metric(server, "classifier_requests_in_flight") == places, "every place to be taken")
    with open_request(server, f"Content-Length: {5 * MIB}\r\n") as refused:
        status, headers, body = read_answer(refused)
    assert (status, headers["retry-after"]) == (429, "1")
    assert json.loads(body)["type"].endswith("/queue-full")
    # Who sends slowly keeps nobody out for long.
    with server.client() as client:
        red = make_image("red")
        wait_until(lambda: client.post(PREDICT, content=red).status_code != 429, "a place")
    for connection in kept:
        connection.close()


def test_a_trace_is_carried_on_into_the_answer_and_the_log(small: Server) -> None:
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    with small.client() as client:
        headers = {"traceparent": f"00-{trace}-{span}-01"}
        answer = client.post(PREDICT, content=make_image("red"), headers=headers)
    version, trace_id, ours, flags = answer.headers["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", trace, "01")
    assert ours != span
    line = small.wait_for_request(request_id=answer.headers["X-Request-Id"])
    assert (line["trace_id"], line["span_id"]) == (trace, ours)


def test_answers_are_counted_by_label_confidence_size_and_format(start: Start) -> None:
    server = start().wait_until_ready()
    for content in (make_image("red"), make_image("red"), make_image("blue", (100, 200), "JPEG")):
        assert ask(server, content, 1)[0].status_code == 200
    with server.client() as client:
        client.get("/no/such/route")
        client.request("BREW", PREDICT)
        text = client.get("/metrics").text
    for line in (
        'classifier_predictions_total{label="red"} 2.0',
        'classifier_images_total{format="jpeg"} 1.0',
        'classifier_image_pixels_bucket{le="10000.0"} 2.0',
        "classifier_image_pixels_sum 20512.0",
        "classifier_confidence_count 3.0",
        'classifier_request_duration_seconds_count{stage="decode"} 3.0',
    ):
        assert line in text.splitlines()
    assert "no/such" not in text
    assert "BREW" not in text
