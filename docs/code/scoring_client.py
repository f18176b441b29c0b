"""A client of the scoring service: the secret key never leaves this process."""

import os
import ssl

import httpx
from sklearn.datasets import load_breast_cancer

from fhe_estimators.serving import FHEClient

rows = load_breast_cancer().data[:5]

client = FHEClient.load("model.client.fhe")
evaluation_keys = client.generate_keys()

with httpx.Client(
    base_url=os.environ.get("SCORING_URL", "https://localhost:8443"),
    verify=ssl.create_default_context(cafile="cert.pem"),
    headers={"Authorization": f"Bearer {os.environ['SCORING_TOKEN']}"},
    timeout=120,
) as http:
    answer = http.post("/keys", content=evaluation_keys).raise_for_status()  # once
    request = client.encrypt(rows)
    response = http.post(f"/scores/{answer.json()}", content=request).raise_for_status()

print(client.decrypt_predict(response.content, request))
