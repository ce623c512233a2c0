"""What the server's container image holds."""

import subprocess
from pathlib import Path

from tools import images


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["docker", "run", "--rm", *arguments], capture_output=True, text=True, check=False)


def test_it_resizes_by_the_kernel_and_has_no_compiler() -> None:
    image = images.build_pinned(images.SERVER_CPU)
    said = run(image, "--version")
    method = "avx2" if "avx2" in Path("/proc/cpuinfo").read_text() else "portable"
    assert f"(resize: {method})" in said.stdout, said.stderr
    assert run("--entrypoint=sh", image, "-c", "command -v cc gcc").returncode != 0
