"""Every parser of what comes from elsewhere, as a function of bytes, with inputs that are nearly right."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import torch
from hypothesis import strategies as st

from fhe_estimators import FHEDecisionTreeClassifier
from fhe_estimators.backends.lwe import LWEParameters
from fhe_estimators.backends.messages import pack_message, unpack_message
from fhe_estimators.lora import LocalWorker
from fhe_estimators.lora.client.checkpoint_part import load_client_part, save_parts
from fhe_estimators.lora.client.loading import load_model
from fhe_estimators.lora.client.split_model import compile_model
from fhe_estimators.lora.schemas import Registration, Version, parse
from fhe_estimators.lora.tensor_messages import unpack_tensor
from fhe_estimators.lora.training.checkpoints import load_checkpoint, save_checkpoint
from fhe_estimators.lora.worker.app import _hint, _product
from fhe_estimators.lora.worker.checkpoint_part import load_worker_part
from fhe_estimators.quantizers.linear import LinearQuantizer
from fhe_estimators.serving import FHEClient, FHEServer
from fhe_estimators.serving.archive import load_client_archive, load_server_archive
from fhe_estimators.serving.client import key_file
from tests.fuzz.damage import damaged_bytes, damaged_json, framed, framed_tensor
from tests.lora.models import make_model

LAYER = "layers.0.mlp"
LIMIT = 1 << 20
#: A password takes half a second to try otherwise.
CHEAP_PASSWORDS = mock.patch.dict(key_file._SCRYPT, n=2)
NAMES = (
    *("message", "tensor", "product request", "hint request", "registration", "request", "evaluation keys", "response"),
    *("key file", "server archive", "client archive", "workers' manifest", "workers' weights", "client's manifest"),
    *("client's layers", "client's configuration", "checkpoint's history", "checkpoint's state"),
)


class Parsers:
    """Samples in a folder of their own, and for each parser the inputs and the call."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp())
        self.worker = LocalWorker({LAYER: torch.ones((8, 4), dtype=torch.int8)})
        self.ciphertexts = torch.zeros((2, 3, 4), dtype=torch.int8)
        self._deployment()
        self._parts()

    def close(self):
        shutil.rmtree(self.folder)

    def _deployment(self):
        X = [[0.0, 1.0], [1.0, 0.0], [2.0, 2.0], [3.0, 1.0]] * 5
        model = FHEDecisionTreeClassifier(max_depth=2, backend="clear").fit(X, [0, 1, 1, 0] * 5).compile()
        model.save_server(self.folder / "server.fhe")
        model.save_client(self.folder / "client.fhe")
        self.server, self.client = (
            FHEServer.load(self.folder / "server.fhe"),
            FHEClient.load(self.folder / "client.fhe"),
        )
        self.keys = self.client.generate_keys()
        self.request = self.client.encrypt(X)
        self.response = self.server.run(self.request, self.keys)
        with CHEAP_PASSWORDS:
            self.client.save_keys(self.folder / "keys", "password")

    def _parts(self):
        model = compile_model(load_model(make_model(), "causal-lm"), LinearQuantizer(), verify_bits=20)
        save_parts(model, self.folder / "parts")
        self.network = torch.nn.Linear(3, 2)
        self.optimizer = torch.optim.AdamW(self.network.parameters())
        self.network(torch.ones(3)).sum().backward()
        self.optimizer.step()
        save_checkpoint(self.folder / "state", self.network, self.optimizer, [{"loss": 1.0}], {})

    def inputs(self):
        """Parser by name: a strategy of inputs, and the function that reads one."""
        tensor = {"kind": "product", "blob_bytes": [24], "shape": [2, 3, 4], "dtype": "int8", "seconds": 0.1}
        product = {**tensor, "kind": "product_request", "layer": LAYER, "direction": "forward"}
        del product["seconds"]
        registration = {"protocol_version": 1, "release": "1", "layers": {LAYER: "0" * 64}, "shapes": {LAYER: [8, 4]}}
        parameters = LWEParameters(1024, 26, 64).to_dict()
        hint = {"layer": LAYER, "direction": "forward", "seed": "00" * 32, "parameters": parameters}
        message = pack_message("request", {"n": 1}, [b"abc", b""])
        both = lambda header, blob: st.one_of(  # noqa: E731
            damaged_json(header).map(lambda text: framed(text, [blob])),
            damaged_bytes(framed(json.dumps(header).encode(), [blob])),
        )
        tensors = lambda header: st.one_of(  # noqa: E731
            both(header, bytes(24)),
            damaged_json(header).map(lambda text: framed_tensor(text, bytes(24))),
            damaged_bytes(framed_tensor(json.dumps(header).encode(), bytes(24))),
        )
        parts = self.folder / "parts"
        return {
            "message": (
                st.one_of(damaged_bytes(message), both({"kind": "request", "n": 1, "blob_bytes": [3]}, b"abc")),
                lambda content: unpack_message("request", content),
            ),
            "tensor": (tensors(tensor), lambda content: unpack_tensor("product", content)),
            "product request": (tensors(product), lambda content: _product(self.worker, content, LIMIT)),
            "hint request": (
                st.one_of(damaged_json(hint), damaged_bytes(json.dumps(hint).encode())),
                lambda content: _hint(self.worker, content, LIMIT),
            ),
            "registration": (
                st.one_of(damaged_json(registration), damaged_bytes(json.dumps(registration).encode())),
                lambda content: (parse(Version, content, "It"), parse(Registration, content, "It")),
            ),
            "request": (self._message(self.request), lambda content: self.server.run(content, self.keys)),
            "evaluation keys": (self._message(self.keys), lambda content: self.server.run(self.request, content)),
            "response": (self._message(self.response), self.client.decrypt_scores),
            "key file": (
                self._message((self.folder / "keys").read_bytes()),
                self._at("keys", self._load_keys),
            ),
            "server archive": (self._archive("server.fhe"), self._at("damaged.fhe", load_server_archive)),
            "client archive": (self._archive("client.fhe"), self._at("damaged.fhe", load_client_archive)),
            "workers' manifest": (
                self._document(parts / "workers" / "fhe_parts.json"),
                self._at("parts/workers/fhe_parts.json", lambda path: load_worker_part(path.parent)),
            ),
            "workers' weights": (
                damaged_bytes((parts / "workers" / "0000.safetensors").read_bytes()),
                self._at("parts/workers/0000.safetensors", lambda path: load_worker_part(path.parent)),
            ),
            "client's manifest": (
                self._document(parts / "client" / "fhe_parts.json"),
                self._at("parts/client/fhe_parts.json", lambda path: load_client_part(path.parent)),
            ),
            "client's layers": (
                damaged_bytes((parts / "client" / "fhe_layers.safetensors").read_bytes()),
                self._at("parts/client/fhe_layers.safetensors", lambda path: load_client_part(path.parent)),
            ),
            "client's configuration": (
                damaged_bytes((parts / "client" / "config.json").read_bytes()),
                self._at("parts/client/config.json", lambda path: load_client_part(path.parent)),
            ),
            "checkpoint's history": (
                st.one_of(damaged_json([{"loss": 1.0}]), damaged_bytes(b'[{"loss": 1.0}]')),
                self._at("state/history.json.1", self._checkpoint),
            ),
            "checkpoint's state": (
                damaged_bytes((self.folder / "state" / "state.safetensors").read_bytes()),
                self._at("state/state.safetensors", self._checkpoint),
            ),
        }

    def _load_keys(self, path):
        with CHEAP_PASSWORDS:
            return self.client.load_keys(path, "password")

    def _checkpoint(self, path):
        return load_checkpoint(path.parent, self.network, self.optimizer)

    def _message(self, sample):
        """Damage to bytes, and to the header behind a checksum that fits."""
        length = int.from_bytes(sample[6:10], "little")
        header, blob = json.loads(sample[10 : 10 + length]), sample[10 + length : -32]
        return st.one_of(damaged_bytes(sample), damaged_json(header).map(lambda text: framed(text, [blob])))

    def _archive(self, name):
        import io
        import zipfile

        sample = (self.folder / name).read_bytes()
        with zipfile.ZipFile(io.BytesIO(sample)) as archive:
            manifest, arrays = json.loads(archive.read("manifest.json")), archive.read("arrays.safetensors")

        def zipped(text):
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as archive:
                archive.writestr("manifest.json", text)
                archive.writestr("arrays.safetensors", arrays)
            return buffer.getvalue()

        return st.one_of(damaged_bytes(sample), damaged_json(manifest).map(zipped))

    def _document(self, path):
        content = path.read_bytes()
        return st.one_of(damaged_json(json.loads(content)), damaged_bytes(content))

    def _at(self, name, read):
        """Read what is put into the place of a file, and put the file back."""
        path = self.folder / name

        def put_and_read(content):
            kept = path.read_bytes() if path.exists() else None
            path.write_bytes(content)
            try:
                return read(path)
            finally:
                if kept is None:
                    os.unlink(path)
                else:
                    path.write_bytes(kept)

        return put_and_read
