"""Every server process works, and holds no module that keeps secret keys or decrypts.

The import contracts say the same of the sources; this looks at what really got loaded.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

from fhe_estimators import FHEDecisionTreeClassifier
from fhe_estimators.serving import FHEClient

#: Prints the modules of this package that a process holds, as its last line.
REPORT = """
import json, sys
print(json.dumps(sorted(name for name in sys.modules if name.split(".")[0] == "fhe_estimators")))
"""

TREE_SERVER = (
    """
import sys
from pathlib import Path
from fhe_estimators.serving import FHEServer

folder = Path(sys.argv[1])
server = FHEServer.load(folder / "server.fhe")
server.describe()
(folder / "response").write_bytes(server.run((folder / "request").read_bytes(), (folder / "keys").read_bytes()))
"""
    + REPORT
)

#: Serves on a free port, answers one request that carries its token, and stops.
WORKER = (
    """
import json, os, socket, sys, threading, time
import httpx, torch, uvicorn
from fhe_estimators.cli import main
from fhe_estimators.lora.protocol import PRODUCTS_PATH, pack_tensor
from fhe_estimators.lora.tensor_messages import unpack_tensor

class OnceServer(uvicorn.Server):
    def run(self, sockets=None):
        threading.Thread(target=ask, args=(self,), daemon=True).start()
        super().run(sockets)

def ask(server):
    while not server.started:
        time.sleep(0.05)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": "Bearer secret"}) as http:
        message = pack_tensor("product_request", torch.ones((2, 3, n_inputs), dtype=torch.int8), **layer)
        response = http.post(PRODUCTS_PATH, content=message)
    server.should_exit = True
    answers.append(unpack_tensor("product", response.content)[0])

uvicorn.run = lambda app, **options: OnceServer(uvicorn.Config(app, **options)).run()
folder, name, n_inputs = sys.argv[1], sys.argv[2], int(sys.argv[3])
layer, answers = {"layer": name, "direction": "forward"}, []
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
os.environ["FHE_ESTIMATORS_TOKEN"] = "secret"
assert main(["worker", "--model", folder, "--port", str(port)]) == 0
assert answers and answers[0].shape[:2] == (2, 3)
"""
    + REPORT
)

#: `fhe-estimators serve`, which takes keys and a request and stops; prints the modules of both kinds of processes.
SERVICE = """
import json, socket, sys, threading, time
from pathlib import Path
import httpx, uvicorn
from fhe_estimators.cli import main
from fhe_estimators.serving.server import app as app_module

class OnceServer(uvicorn.Server):
    def run(self, sockets=None):
        threading.Thread(target=ask, args=(self,), daemon=True).start()
        super().run(sockets)

def ask(server):
    while not server.started:
        time.sleep(0.05)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as http:
        registered = http.post("/v1/models/server/keys", content=(folder / "keys").read_bytes())
        url = f"/v1/models/server/predict?keys={registered.json()['keys_id']}"
        (folder / "response").write_bytes(http.post(url, content=(folder / "request").read_bytes()).content)
    modules.update(services[0].pool._processes[0].submit(eval, "list(__import__('sys').modules)").result())
    server.should_exit = True

def kept(service, create=app_module.create_app):
    services.append(service)
    return create(service)

uvicorn.run = lambda app, **options: OnceServer(uvicorn.Config(app, **{**options, "http": "h11"})).run()
app_module.create_app = kept
folder, services, modules = Path(sys.argv[1]), [], set()
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
if __name__ == "__main__":
    assert main(["serve", str(folder / "server.fhe"), "--port", str(port), "--processes", "1"]) == 0
    modules.update(sys.modules)
    print(json.dumps(sorted(name for name in modules if name.split(".")[0] == "fhe_estimators")))
"""


def loaded_by(code, *arguments):
    """Modules of this package in a process that ran some code."""
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.strip().splitlines()[-1])


def of_clients(modules):
    return [name for name in modules if "client" in name.split(".")]


@pytest.mark.parametrize(
    "backend",
    [
        "clear",
        "ckks",
        "bfv",
        "auto",
        "tfhe",
    ],
)
def test_a_server_of_trees_holds_no_client_code(backend, tmp_path):
    if backend == "tfhe":
        pytest.importorskip("concrete")
    X, y = load_iris(return_X_y=True)
    clf = FHEDecisionTreeClassifier(max_depth=2, random_state=0, backend=backend).fit(X, y).compile()
    clf.save_server(tmp_path / "server.fhe")
    clf.save_client(tmp_path / "client.fhe")
    client = FHEClient.load(tmp_path / "client.fhe")
    (tmp_path / "keys").write_bytes(client.generate_keys())
    (tmp_path / "request").write_bytes(client.encrypt(X[::50]))
    modules = loaded_by(TREE_SERVER, str(tmp_path))
    np.testing.assert_array_equal(client.decrypt_predict((tmp_path / "response").read_bytes()), clf.predict(X[::50]))
    assert any(name.startswith(f"fhe_estimators.backends.{backend}.evaluator") for name in modules)
    assert of_clients(modules) == []


def test_a_service_of_trees_holds_no_client_code(tmp_path):
    for library in ("fastapi", "uvicorn", "httpx", "prometheus_client"):
        pytest.importorskip(library)
    X, y = load_iris(return_X_y=True)
    clf = FHEDecisionTreeClassifier(max_depth=2, random_state=0, backend="ckks").fit(X, y).compile()
    clf.save_server(tmp_path / "server.fhe")
    clf.save_client(tmp_path / "client.fhe")
    client = FHEClient.load(tmp_path / "client.fhe")
    (tmp_path / "keys").write_bytes(client.generate_keys())
    (tmp_path / "request").write_bytes(client.encrypt(X[::50]))
    modules = loaded_by(SERVICE, str(tmp_path))
    np.testing.assert_array_equal(client.decrypt_predict((tmp_path / "response").read_bytes()), clf.predict(X[::50]))
    assert {"fhe_estimators.serving.server.app", "fhe_estimators.backends.ckks.evaluator.requests"} <= set(modules)
    assert of_clients(modules) == []


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A whole checkpoint and the two parts of it; the first layer's name and width."""
    for library in ("torch", "transformers", "peft", "fastapi", "uvicorn", "httpx"):
        pytest.importorskip(library)
    from transformers import LlamaConfig, LlamaForCausalLM

    from fhe_estimators.cli import main

    folder = tmp_path_factory.mktemp("checkpoint")
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4}
    LlamaForCausalLM(LlamaConfig(vocab_size=61, **sizes)).save_pretrained(folder / "whole")
    assert main(["split", str(folder / "whole"), "--out", str(folder)]) == 0
    manifest = json.loads((folder / "workers" / "fhe_parts.json").read_text())
    return folder, manifest["layers"][0]["name"], manifest["layers"][0]["shape"][1]


@pytest.mark.parametrize("part", ["workers", "whole"])
def test_a_worker_holds_no_client_code(part, checkpoint):
    folder, layer, n_inputs = checkpoint
    modules = loaded_by(WORKER, str(Path(folder) / part), layer, str(n_inputs))
    assert "fhe_estimators.lora.worker.app" in modules
    assert of_clients(modules) == []
