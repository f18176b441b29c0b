"""Split checkpoints, and workers in processes of their own that never had a secret."""

import json
import os
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.torch import load_file

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.cli import main
from fhe_estimators.exceptions import ProtocolError, WorkerError
from fhe_estimators.lora import LocalWorker
from fhe_estimators.lora.client.checkpoint_part import CLIENT_FORMAT_VERSION, save_parts
from fhe_estimators.lora.client.loading import load_model
from fhe_estimators.lora.client.split_model import compile_model
from fhe_estimators.lora.worker.checkpoint_part import block_selector, load_worker_part
from fhe_estimators.quantizers.linear import resolve_linear_quantizer
from tests.lora.models import make_model

SETTINGS = {"max_length": 16, "learning_rate": 1e-2, "max_steps": 3}


def split(kind, folder, quantizer="int8"):
    model = load_model(make_model(kind), "causal-lm")
    save_parts(compile_model(model, resolve_linear_quantizer(quantizer), verify_bits=40), folder)
    return folder


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return split("llama", tmp_path_factory.mktemp("parts"))


@pytest.mark.parametrize(("kind", "quantizer"), [("llama", "int8"), ("qwen2", "int16"), ("gpt2", "int8")])
def test_the_parts_together_train_as_the_whole(kind, quantizer, tmp_path, sequences):
    folder = split(kind, tmp_path, quantizer)
    whole = HELoRAFineTuner(make_model(kind), weight_quantizer=quantizer, **SETTINGS).fit(sequences, fhe="disable")
    worker = LocalWorker(load_worker_part(folder / "workers"))
    tuner = HELoRAFineTuner(str(folder / "client"), workers=[worker], **SETTINGS).fit(sequences, fhe="execute")
    losses = [[entry["loss"] for entry in fitted.history_] for fitted in (whole, tuner)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.01)
    assert tuner.perplexity(sequences) == pytest.approx(whole.perplexity(sequences), rel=0.01)


def test_the_clients_part_has_no_large_matrices(parts):
    tensors = load_file(parts / "client" / "client.safetensors")
    assert not any("proj" in name for name in tensors)
    tuner = HELoRAFineTuner(str(parts / "client"), workers=[LocalWorker(load_worker_part(parts / "workers"))])
    with pytest.raises(ValueError, match='use fhe="execute"'):
        tuner.fit([[1, 2, 3]], fhe="disable")


def test_the_workers_part_has_no_secrets(parts):
    assert {name for file in (parts / "workers").glob("*.safetensors") for name in load_file(file)} == {"weights"}
    assert set(json.loads((parts / "workers" / "fhe_parts.json").read_text())["layers"][0]) == {
        *("name", "file", "digest", "shape")
    }
    assert (parts / "client" / "fhe_layers.safetensors").stat().st_mode & 0o077 == 0


def test_blocks_of_a_worker(parts):
    assert len(load_worker_part(parts / "workers", block_selector("1"))) == 4
    assert len(load_worker_part(parts / "workers", block_selector("0-1"))) == 8
    assert [n for n in range(9) if block_selector("0-2,5")(f"layers.{n}.mlp")] == [0, 1, 2, 5]
    with pytest.raises(ValueError, match="layers='a-b'"):
        block_selector("a-b")


def test_damaged_parts(tmp_path):
    folder = split("llama", tmp_path)
    file = next((folder / "workers").glob("*.safetensors"))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(ProtocolError, match="damaged"):
        load_worker_part(folder / "workers")
    manifest = folder / "client" / "fhe_parts.json"
    manifest.write_text(
        manifest.read_text().replace(f'"format_version": {CLIENT_FORMAT_VERSION}', '"format_version": 99')
    )
    with pytest.raises(ProtocolError, match="version 99"):
        HELoRAFineTuner(str(folder / "client")).compile()
    with pytest.raises(ProtocolError, match="not a part"):
        load_worker_part(tmp_path / "nowhere")


def test_command_line_and_a_worker_in_another_process(tmp_path, sequences):
    """The worker's process has the weights only; what it is sent does not depend on what the client knows."""
    model = make_model()
    model.save_pretrained(tmp_path / "model")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    save_parts(
        compile_model(load_model(model, "causal-lm"), resolve_linear_quantizer("int8"), verify_bits=40), tmp_path
    )
    environment = {**os.environ, "FHE_ESTIMATORS_TOKEN": "secret"}
    command = [
        sys.executable,
        "-m",
        "fhe_estimators",
        "worker",
        "--model",
        str(tmp_path / "workers"),
        "--port",
        str(port),
    ]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        from fhe_estimators.lora import HTTPWorker

        worker = HTTPWorker(f"http://127.0.0.1:{port}", token="secret")
        deadline = time.monotonic() + 60
        while True:
            try:
                worker.digests()
                break
            except WorkerError:
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.1)
        tuner = HELoRAFineTuner(str(tmp_path / "client"), workers=[worker], **SETTINGS).fit(sequences)
        clear = HELoRAFineTuner(model, **SETTINGS).fit(sequences, fhe="disable")
        assert tuner.history_[-1]["loss"] == pytest.approx(clear.history_[-1]["loss"], rel=0.01)
    finally:
        process.terminate()
        log = process.communicate(timeout=30)[0]
    assert "Worker with 8 layers" in log
    assert "products" not in log  # no payloads, no access log


def test_the_command_splits_a_model_without_a_tokenizer(tmp_path, sequences):
    make_model().save_pretrained(tmp_path / "model")
    assert main(["split", str(tmp_path / "model"), "--out", str(tmp_path / "parts")]) == 0
    worker = LocalWorker(load_worker_part(tmp_path / "parts" / "workers"))
    tuner = HELoRAFineTuner(str(tmp_path / "parts" / "client"), workers=[worker], **SETTINGS).fit(sequences)
    assert len(tuner.history_) > 0


def test_a_worker_loads_no_client_code(parts):
    code = (
        "import sys; from fhe_estimators.lora.worker import serve_command; "
        f"serve_command.load_worker({str(parts / 'workers')!r}); "
        "bad = [m for m in sys.modules if m.startswith('fhe_estimators') and 'client' in m.split('.')]; "
        "print(bad); assert not bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_command_line_errors_are_messages(capsys, tmp_path):
    assert main(["worker", "--model", str(tmp_path)]) == 1
    assert "fhe-estimators worker:" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["unknown"])


def test_a_whole_checkpoint_serves_the_same_weights(parts, tmp_path):
    from fhe_estimators.lora.worker.serve_command import load_worker

    make_model().save_pretrained(tmp_path)
    assert load_worker(str(tmp_path)).digests() == load_worker(str(parts / "workers")).digests()
    with pytest.raises(ValueError, match="match no layer"):
        load_worker(str(tmp_path), layers="77")


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("workers", {"file": "../client/fhe_layers.safetensors"}, "malformed at layers.0.file"),
        ("workers", {"file": "/etc/passwd"}, "malformed at layers.0.file"),
        ("workers", {"file": "9999.safetensors"}, "damaged or missing"),
        ("workers", {"more": 1}, "malformed at layers.0.more"),
        ("client", {"verify_bits": 1}, "verify_bits=1 must be"),
        ("client", {"verify_bits": True}, "malformed at layers.0.verify_bits"),
        ("client", {"shape": [1, 1]}, "sizes that differ"),
        ("client", {"members": [{"path": "nowhere.to_be", "n_outputs": 64, "transposed": False}]}, "damaged"),
    ],
)
def test_manifests_name_files_of_their_folder_and_nothing_unknown(parts, part, change, message):
    path = parts / part / "fhe_parts.json"
    kept = path.read_text()
    manifest = json.loads(kept)
    manifest["layers"][0] |= change
    path.write_text(json.dumps(manifest))
    try:
        with pytest.raises(ProtocolError, match=message):
            load_worker_part(path.parent) if part == "workers" else load_model(path.parent, "causal-lm")
    finally:
        path.write_text(kept)


def test_layers_outside_of_blocks_are_selected_by_a_word_of_their_own():
    wanted = block_selector("0-1, other")
    assert wanted("decoder.project_out") and wanted("pooler.dense") and wanted("layers.1.mlp")
    assert not wanted("layers.2.mlp")
    assert not block_selector("0-99")("decoder.project_out")
    for bad in ("", "others", "1-", "0,,1", "9999999"):
        with pytest.raises(ValueError, match="other"):
            block_selector(bad)
