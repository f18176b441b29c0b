"""The files of ``deploy/``: what the image would run is run here, in this environment."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("yaml")

import httpx
import yaml

from tests.serving.served import ALICE, Command

ROOT = Path(__file__).parents[2]


def instructions():
    text = re.sub(r"^#.*\n", "", (ROOT / "deploy/Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]


def last(name):
    return [value for instruction, value in instructions() if instruction == name][-1]


def test_the_image_has_no_more_than_it_needs():
    final = instructions()[[i for i, (name, _) in enumerate(instructions()) if name == "FROM"][-1] :]
    assert last("USER") == "10001" and "--uid 10001" in dict(final)["RUN"]
    assert [value.split()[0] for name, value in final if name == "COPY"] == ["--from=build"]
    allowed = (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines()
    assert allowed[1] == "*"
    for name in [line[1:] for line in allowed if line.startswith("!")]:
        assert (ROOT / name).exists(), name


def test_the_services_of_compose_are_locked_up():
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    scores = compose["services"]["scores"]
    assert scores["read_only"] and scores["cap_drop"] == ["ALL"] and scores["tmpfs"] == ["/tmp"]
    for service in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert not service["image"].endswith(":latest")
    targets = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())["scrape_configs"][0]["static_configs"]
    assert targets == [{"targets": [f"scores:{last('EXPOSE')}"]}]


def test_its_command_and_its_check(folder, model, tmp_path):
    (tmp_path / "tokens").write_text("alice token-of-alice\n")
    (tmp_path / "keys").mkdir()
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]["scores"]
    places = {"/keys": tmp_path / "keys", "/models": folder, "/run/secrets": tmp_path, "0.0.0.0": "127.0.0.1"}

    def here(argument):
        for place, real in places.items():
            argument = argument.replace(place, str(real))
        return argument

    program, *arguments = json.loads(last("ENTRYPOINT"))
    assert program == "/venv/bin/fhe-estimators" and arguments[0] == "serve"
    with Command(*map(here, [*arguments[1:], *compose["command"]])) as command:
        assert httpx.get(command.url + "/v1/models", trust_env=False).status_code == 401
        models = httpx.get(command.url + "/v1/models", headers=ALICE, trust_env=False).json()["models"]
        assert [found["name"] for found in models] == ["model"]
        check = json.loads(re.search(r"CMD (\[.*\])", last("HEALTHCHECK"))[1])
        assert check[0] == "/venv/bin/python"
        text = shlex.join(check[1:]).replace(":8000", f":{command.port}")
        assert subprocess.run([sys.executable, *shlex.split(text)], check=False).returncode == 0
    assert subprocess.run([sys.executable, *shlex.split(text)], capture_output=True, check=False).returncode != 0
