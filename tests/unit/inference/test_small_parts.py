"""Request ids, devices, containers, settings, worker threads."""

import asyncio
import threading
from pathlib import Path
from typing import NoReturn

import psutil
import pytest
from typer.testing import CliRunner

from classifier_inference.cli import serve
from classifier_inference.cli.main import app
from classifier_inference.engine.container import count_cpus, read_memory
from classifier_inference.engine.pool import Pool, QueueFullError, count_workers
from classifier_inference.files.sources import Files
from classifier_inference.http.settings import Settings, parse_root_path
from classifier_inference.model.devices import explain_missing_cuda, list_gpus
from classifier_inference.report.start_error import StartError
from classifier_inference.report.termination import Reason
from classifier_inference.spec.classifier import Classifier
from tests.tiny_model import write_document
from tests.unit.inference.loading import load

CUDA = ["CUDAExecutionProvider", "CPUExecutionProvider"]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("libcuda.so.1", "no NVIDIA driver: libcuda.so.1: cannot open shared object file"),
        ("libonnxruntime_providers_cuda.so", "CUDA can't be loaded: /capi/libonnxruntime_providers_cuda.so: cannot"),
    ],
)
def test_the_library_that_cuda_lacks_is_named(missing: str, message: str) -> None:
    def load(name: str) -> None:
        if name.endswith(missing):
            raise OSError(f"{name}: cannot open shared object file")

    found = explain_missing_cuda(CUDA, load, Path("/capi"))
    assert found is not None
    assert found.startswith(message)


def test_a_build_without_cuda_says_which_image_to_use() -> None:
    assert explain_missing_cuda(CUDA[1:]) == "this image has no CUDA provider: use the gpu image"


def test_nothing_is_missing_where_all_loads() -> None:
    assert explain_missing_cuda(CUDA, lambda name: None) is None


def test_gpus_are_named_as_the_driver_names_them(tmp_path: Path) -> None:
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0/information").write_text("Model: \t\t NVIDIA L4\nIRQ:   \t\t 35\n")
    assert list_gpus(tmp_path) == ["NVIDIA L4"]
    assert list_gpus(tmp_path / "absent") == []


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "250000 100000"}, 3),
        ({"cpu.max": "400000 100000"}, 4),
        ({"cpu.max": "1600000 100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "20000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "1600000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
    ],
)
def test_threads_follow_the_cpu_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], wanted: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)))
    write_files(tmp_path, files)
    assert count_cpus(tmp_path) == wanted


@pytest.mark.parametrize("command", [["serve"], ["fetch", "--to=."], ["record", "--spool=."]])
def test_a_log_level_that_is_none_is_refused_by_name(tmp_path: Path, command: list[str]) -> None:
    document = str(write_document(tmp_path))
    result = CliRunner().invoke(app, [*command, document, "--log-level=loud"])
    assert result.exit_code == 2
    assert "'--log-level'" in result.output
    assert "'loud' is" in result.output


def test_a_server_has_each_image_computed_on_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    def load_and_end(classifier: Classifier, files: Files, threads: int) -> NoReturn:
        options = load(tmp_path, threads=threads).model._session.get_session_options()
        counts.append(options.intra_op_num_threads)
        raise StartError(Reason.MODEL_INVALID, "that was all")

    monkeypatch.setattr(serve, "load_classifier", load_and_end)
    settings = Settings(host="127.0.0.1", port=0)
    assert serve.serve_document(write_document(tmp_path), None, None, None, settings) == 1
    assert counts == [1]


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"cpu.max": "max 100000"},
        {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
        {"cpu.max": "100000000 100000"},
    ],
)
def test_without_a_lower_limit_every_processor_is_used(tmp_path: Path, files: dict[str, str]) -> None:
    write_files(tmp_path, files)
    assert count_cpus(tmp_path) == len(psutil.Process().cpu_affinity() or [])


@pytest.mark.parametrize(
    "files",
    [
        {"memory.current": "1000", "memory.max": "4000"},
        {"memory/memory.usage_in_bytes": "1000", "memory/memory.limit_in_bytes": "4000"},
    ],
)
def test_memory_is_the_containers_where_it_is_limited(tmp_path: Path, files: dict[str, str]) -> None:
    write_files(tmp_path, files)
    assert read_memory(tmp_path) == (1000, 4000)


@pytest.mark.parametrize(
    "files",
    [
        {"memory.current": "1000", "memory.max": "max"},
        {"memory/memory.usage_in_bytes": "1000", "memory/memory.limit_in_bytes": "9223372036854771712"},
    ],
)
def test_memory_is_the_machines_where_it_is_not(tmp_path: Path, files: dict[str, str]) -> None:
    write_files(tmp_path, files)
    assert read_memory(tmp_path)[1] == psutil.virtual_memory().total


def write_files(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)


@pytest.mark.parametrize(("text", "wanted"), [("", ""), ("/", ""), ("cats", "/cats"), ("/a/b/", "/a/b")])
def test_a_root_path_has_one_slash_in_front_and_none_behind(text: str, wanted: str) -> None:
    assert parse_root_path(text) == wanted


@pytest.mark.parametrize(("cpus", "workers"), [(1, 1), (2, 3), (8, 9)])
def test_there_is_a_worker_more_than_processors_where_workers_wait_for_each_other(cpus: int, workers: int) -> None:
    assert count_workers(cpus) == workers


async def test_a_pool_refuses_what_would_wait_behind_too_many() -> None:
    pool = Pool(workers=1, queue=1)
    started, release = threading.Event(), threading.Event()

    def hold() -> bool:
        started.set()
        return release.wait(60)

    running = asyncio.create_task(pool.run(hold))
    await asyncio.to_thread(started.wait, 60)
    waiting = asyncio.create_task(pool.run(lambda: "next"))
    await asyncio.sleep(0)
    assert (pool.waiting, pool.is_full) == (1, True)
    with pytest.raises(QueueFullError):
        await pool.run(lambda: "refused")
    release.set()
    assert await running is True
    assert await waiting == "next"
    assert (pool.waiting, pool.is_full) == (0, False)
    pool.close()


async def test_a_place_that_is_kept_for_a_call_is_taken_until_it_is_given_up() -> None:
    pool = Pool(workers=1, queue=1)
    with pool.keep_place(seconds=60) as place:
        assert pool.waiting == 0
        assert await pool.run(lambda: "another") == "another"
        with pool.keep_place(seconds=60), pytest.raises(QueueFullError), pool.keep_place(seconds=60):
            pass
        assert await pool.run(lambda: "in its place", place) == "in its place"
    with pool.keep_place(seconds=60), pool.keep_place(seconds=60):
        assert pool.is_full
    pool.close()


async def test_a_place_that_is_kept_too_long_goes_to_others() -> None:
    pool = Pool(workers=1, queue=1)
    with pool.keep_place(seconds=60), pool.keep_place(seconds=0) as place:
        assert pool.is_full
        while pool.is_full:  # noqa: ASYNC110 - the pool tells nobody
            await asyncio.sleep(0)
        with pool.keep_place(seconds=60), pytest.raises(QueueFullError):
            await pool.run(lambda: None, place)
    assert not pool.is_full
    pool.close()


async def test_a_call_that_fails_or_is_cancelled_gives_its_place_back() -> None:
    pool = Pool(workers=1, queue=1)
    started, release = threading.Event(), threading.Event()
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 // 0)

    def hold() -> bool:
        started.set()
        return release.wait(60)

    running = asyncio.create_task(pool.run(hold))
    await asyncio.to_thread(started.wait, 60)
    waiting = asyncio.create_task(pool.run(lambda: None))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not pool.is_full
    release.set()
    await running
    pool.close()
