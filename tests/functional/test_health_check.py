"""The Dockerfile's health check, run as the container engine would, against the real service."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.functional.server import Server

DOCKERFILE = Path(__file__).resolve().parents[2] / "Dockerfile"


def ask(port: str) -> int:
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", "")
    (found,) = re.findall(r"^HEALTHCHECK .*?CMD (\[.+\])$", text, re.MULTILINE)
    program, *arguments = json.loads(found)
    assert program == "python"
    command = [sys.executable, *arguments]
    environment = {"API_PORT": port, "http_proxy": "http://127.0.0.1:1"}
    return subprocess.run(command, env=environment, capture_output=True, check=False, timeout=30).returncode


def test_a_service_that_answers_is_healthy_and_one_that_is_gone_is_not(tmp_path: Path) -> None:
    server = Server(tmp_path / "server", PROVIDER="generic").start()
    port = server.url.rpartition(":")[2]
    try:
        assert ask(port) == 0
    finally:
        server.kill()
    assert ask(port) != 0
