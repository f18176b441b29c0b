"""Paths, names and bounds of the scoring service over HTTP (both sides)."""

from __future__ import annotations

#: In the path of all that a later version would change.
API_VERSION = 1
MODELS_PATH = f"/v{API_VERSION}/models"
READY_PATH = "/ready"
#: Names of models: letters, digits and ``_ . -``, beginning with a letter or digit.
MODEL_NAME = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
#: Names that the server gives evaluation keys: their SHA-256.
KEYS_ID = "^[0-9a-f]{64}$"
BINARY = "application/octet-stream"
#: Header of a request for scores: the seconds that the client waits.
TIMEOUT_HEADER = "Request-Timeout"
