"""LoRA fine-tuning whose linear layers are computed by untrusted workers on ciphertexts."""

from ..utils import import_optional

for _module in ("torch", "transformers", "peft"):
    import_optional(_module, extra="lora", purpose="HELoRAFineTuner")

from ._estimator import HELoRAFineTuner  # noqa: E402
from ._remote_worker import HTTPWorker  # noqa: E402
from ._worker import LocalWorker  # noqa: E402

__all__ = ["HELoRAFineTuner", "HTTPWorker", "LocalWorker"]
