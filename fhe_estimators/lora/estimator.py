"""`HELoRAFineTuner`."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator, clone
from sklearn.utils import ClassifierTags, Tags

from ..backends.lwe import resolve_linear_backend
from ..quantizers.linear import resolve_linear_quantizer
from ..utils import progress_bar
from ._fitting import FittingMixin, begin_anew
from ._predictions import PredictionMixin
from ._results import ResultMixin
from ._settings import check_settings, compiled_settings
from .client.embeddings import fit_embeddings
from .client.heads import check_head, has_trained_head, head_names, tell_head
from .client.loading import Loaded, is_split, load_with_adapter
from .client.memory import MemoryBudget
from .client.split_model import (
    CompiledModel,
    calibrate,
    compile_model,
    require_checks,
    warn_of_experts,
    warn_of_rounding,
)
from .client.splitting import frozen_layers
from .client.worker_reports import report_workers
from .client.workers import resolve_workers
from .model.architectures import guard_positions
from .model.loading import CAUSAL_LM, SEQUENCE_CLASSIFICATION, load_tokenizer, pad_token
from .model.quiet import quiet_libraries
from .training.examples import batches, pieces
from .training.labels import HeadClasses


class HELoRAFineTuner(FittingMixin, PredictionMixin, ResultMixin, BaseEstimator):
    """Fine-tune a language model with LoRA while untrusted workers compute its linear layers on ciphertexts.

    The client (this object) keeps texts, activations, gradients, adapters and losses. Workers hold the frozen weights
    of the linear layers as integers and multiply them with encrypted activations and gradients.

    Parameters
    ----------
    model : PreTrainedModel, path or name on the hub
        A transformers model with ``nn.Linear`` or ``Conv1D`` layers (it is copied), a folder of one, a ``.gguf`` file,
        or the client's folder that ``fhe-estimators split`` wrote. Decoders, and encoders for classification. With a
        LoRA adapter (a `peft.PeftModel`, or an adapter's folder), training goes on from it, with its own settings.
    tokenizer : tokenizer or path, default=None
        None stands for the one beside ``model``, if that is a path.
    task : {"causal-lm", "sequence-classification"}, default="causal-lm"
        What the model predicts: the next token, or a label of a text.
    r : int, default=8
        Rank of the adapters.
    lora_alpha : float, default=16
        Adapters are multiplied by ``lora_alpha / r``.
    lora_dropout : float, default=0.0
        Probability of dropout before an adapter.
    target_modules : str or list of str, default="all-linear"
        Layers with adapters, as in ``peft.LoraConfig``.
    weight_quantizer : str or LinearQuantizer, default="int8"
        ``"int8"``, ``"int16"``, ``"int8-static-tensor"``, ``"int8-dynamic-tensor"``, ``"int8-dynamic-token"``.
    backend : "lwe" or LWEBackend, default="lwe"
        The encryption engine.
    device : str, default="cpu"
        The device of the client's computations, and of the worker in this process.
    workers : URL, worker, or list of either, default=None
        None: one in this process (encryption happens all the same). Tokens and certificates belong to `HTTPWorker`.
    verify : bool, default=True
        Check every response of the workers.
    verify_bits : int, default=40
        Soundness of the checks, at least 20: a wrong response passes with probability ``2 ** -verify_bits`` a token. A
        split model has what ``fhe-estimators split --verify-bits`` gave it. Of rounded
        responses (``LWEBackend(download_bits=16)``), wrong is what is off by more than a few times the noise.
    memory_budget_bytes : int, default=None
        Memory for the products that training keeps, then for hints; a file has the rest. None: all products, and the
        ``hint_memory_bytes`` of the backend. The model, and the work on a layer, come in addition.
    epochs : int, default=1
        Passes over the texts.
    batch_size : int, default=8
        Sequences of a batch.
    max_length : int, default=128
        Tokens of a sequence at most.
    learning_rate : float, default=2e-4
        The learning rate of AdamW, at its highest.
    random_state : int, RandomState instance or None, default=0
        The seed of adapters, dropout and the order of the data; never of keys and noise.
    verbose : int, default=0
        Progress bars.
    gradient_accumulation_steps : int, default=1
        Batches of an optimizer step.
    max_steps : int, default=None
        Optimizer steps at most.
    checkpoint_dir : path-like, default=None
        Training states are written there, and training resumes from them. States of other data, of another model or of
        other settings are an error. Clones, as searches make them, have folders of their own inside.
    checkpoint_steps : int, default=50
        Optimizer steps from one training state to the next.
    weight_decay : float, default=0.0
        The weight decay of AdamW.
    max_grad_norm : float or None, default=1.0
        Longer gradients of a step are shortened to this norm; None leaves them as they are.
    lr_scheduler_type : str, default="constant"
        The schedule of learning rates, by the names of ``transformers.get_scheduler``: ``"linear"``, ``"cosine"``,
        ``"constant_with_warmup"``, ...; ``"reduce_lr_on_plateau"`` follows ``eval_set``.
    warmup_steps : int or float, default=0
        Optimizer steps in which the rate rises from 0; below 1, a share of all steps.
    lr_scheduler_kwargs : dict, default=None
        What the schedule takes more, such as ``{"num_cycles": 2}``.
    early_stopping : int or None, default=None
        Training stops after so many evaluations of ``eval_set`` in a row that are no better than the best one, and the
        best adapter is kept. None trains to the end and keeps the last.
    eval_steps : int or None, default=None
        Optimizer steps from one evaluation of ``eval_set`` to the next; None evaluates after every epoch.
    class_weight : dict, "balanced" or None, default=None
        How much an example of each class counts, as in scikit-learn.
    lora_config : peft.LoraConfig, default=None
        In place of ``r``, ``lora_alpha``, ``lora_dropout`` and ``target_modules``: with rank-stabilized LoRA
        (``use_rslora``), modules of the client's that are trained as a whole (``modules_to_save``), ranks by layer, ...
    completion_only_loss : bool or None, default=None
        For rows with ``"prompt"`` and ``"completion"``: whether the loss is that of completions only, as in trl. None
        stands for True.
    assistant_only_loss : bool, default=False
        For conversations: whether the loss is that of the assistant's messages only, as in trl.
    callbacks : list of transformers.TrainerCallback, default=None
        Told of the progress of training, with their ``control`` obeyed: stopping, evaluating, saving.
    append_eos : bool, default=True
        Plain texts that a language model is trained on end with the tokenizer's end-of-sequence token, so that
        generation learns to stop. Measured texts, conversations and token ids are taken as they are.
    reset_head : bool, default=False
        Train a fresh classification head, though the model has one. By default it is kept: labels are found by the
        names of its classes (``model.config.id2label``) or their numbers, and others are an error.

    Attributes
    ----------
    model_ : peft.PeftModel
        The fine-tuned model; its remote layers compute as the last call chose.
    history_ : list of dict
        A step each: ``"loss"``, ``"n_tokens"``, ``"learning_rate"``, ``"gradient_norm"`` (before it is shortened),
        seconds (``"seconds"``, ``"client_crypto_seconds"``, ``"client_model_seconds"``, ``"worker_seconds"``,
        ``"transfer_seconds"``) and bytes (``"upload_bytes"``, ``"download_bytes"``, ``"hint_bytes"``); ``"skipped"``
        says why, if it was. Where ``eval_set`` was evaluated, ``"eval_loss"``, ``"eval_accuracy"`` of classifiers, and
        ``"eval_seconds"``, a part of ``"seconds"``.
    classes_ : ndarray
        Labels, for classification.
    program_ : CompiledModel
        Set by `compile`; ``program_.describe()`` tells parameters, sizes, and who learns what.

    References
    ----------
    *Private LoRA Fine-tuning of Open-Source LLMs with Homomorphic Encryption*, 2025.

    Examples
    --------
    A tiny model with random weights, and token ids in place of texts:

    >>> from transformers import LlamaConfig, LlamaForCausalLM
    >>> from fhe_estimators import HELoRAFineTuner
    >>> config = LlamaConfig(vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
    ...                      num_attention_heads=2, eos_token_id=None)
    >>> tuner = HELoRAFineTuner(LlamaForCausalLM(config), r=2, batch_size=2, max_length=8, learning_rate=1e-2)
    >>> tuner = tuner.fit([[1, 2, 3, 4], [2, 3, 4, 5]], fhe="execute")
    >>> tuner.history_[0]["upload_bytes"]  # 3 bytes a value
    4224
    >>> len(tuner.generate([[1, 2]], max_new_tokens=3)[0])
    3
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        task: str = CAUSAL_LM,
        r: int = 8,
        lora_alpha: float = 16,
        lora_dropout: float = 0.0,
        target_modules: Any = "all-linear",
        weight_quantizer: Any = "int8",
        backend: Any = "lwe",
        device: str = "cpu",
        workers: Any = None,
        verify: bool = True,
        verify_bits: int = 40,
        memory_budget_bytes: int | None = None,
        epochs: int = 1,
        batch_size: int = 8,
        max_length: int = 128,
        learning_rate: float = 2e-4,
        random_state: Any = 0,
        verbose: int = 0,
        gradient_accumulation_steps: int = 1,
        max_steps: int | None = None,
        checkpoint_dir: Any = None,
        checkpoint_steps: int = 50,
        weight_decay: float = 0.0,
        max_grad_norm: float | None = 1.0,
        lr_scheduler_type: str = "constant",
        warmup_steps: float = 0,
        lr_scheduler_kwargs: dict[str, Any] | None = None,
        early_stopping: int | None = None,
        eval_steps: int | None = None,
        class_weight: Any = None,
        lora_config: Any = None,
        completion_only_loss: bool | None = None,
        assistant_only_loss: bool = False,
        callbacks: Any = None,
        append_eos: bool = True,
        reset_head: bool = False,
    ):
        self.model = model
        self.tokenizer = tokenizer
        self.task = task
        self.r = r
        self.lora_alpha = lora_alpha
        self.lora_dropout = lora_dropout
        self.target_modules = target_modules
        self.weight_quantizer = weight_quantizer
        self.backend = backend
        self.device = device
        self.workers = workers
        self.verify = verify
        self.verify_bits = verify_bits
        self.memory_budget_bytes = memory_budget_bytes
        self.epochs = epochs
        self.batch_size = batch_size
        self.max_length = max_length
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.verbose = verbose
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.max_steps = max_steps
        self.checkpoint_dir = checkpoint_dir
        self.checkpoint_steps = checkpoint_steps
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.lr_scheduler_type = lr_scheduler_type
        self.warmup_steps = warmup_steps
        self.lr_scheduler_kwargs = lr_scheduler_kwargs
        self.early_stopping = early_stopping
        self.eval_steps = eval_steps
        self.class_weight = class_weight
        self.lora_config = lora_config
        self.completion_only_loss = completion_only_loss
        self.assistant_only_loss = assistant_only_loss
        self.callbacks = callbacks
        self.append_eos = append_eos
        self.reset_head = reset_head

    def compile(self, X: Any = None) -> HELoRAFineTuner:
        """Split the model, quantize the frozen weights, and register with the workers.

        All workers are asked what they hold. One that cannot be used is left out with a warning, as long as the others
        hold every layer.

        Parameters
        ----------
        X : sequence of texts or of token ids, default=None
            Texts for calibration; only static quantization needs them.

        Returns
        -------
        self : HELoRAFineTuner
            This object, with `program_` set; an earlier fit is forgotten.

        Raises
        ------
        WorkerError
            If a layer is held by no worker; it says of each worker why it cannot be used.
        """
        check_settings(self)
        backend, quantizer = resolve_linear_backend(self.backend), resolve_linear_quantizer(self.weight_quantizer)
        with quiet_libraries(self.verbose):
            loaded = load_with_adapter(self.model, self.task)
            self.tokenizer_ = load_tokenizer(self.model, self.tokenizer)
        model = loaded.model
        # Tokenizers of checkpoints may have tokens that no text has: only one that was given asks for more.
        fit_embeddings(model, None if self.tokenizer is None else self.tokenizer_)
        loaded = self._with_head(loaded)
        guard_positions(model.base_model)
        self.pad_token_ = pad_token(model, self.tokenizer_)

        def progress(items: Any) -> Any:
            return progress_bar(items, description="compile", verbose=self.verbose)

        verify_bits = self.verify_bits if self.verify else None
        if is_split(model):
            require_checks(frozen_layers(model), verify_bits)
        else:
            compile_model(model, quantizer, verify_bits=verify_bits, progress=progress)
        parameters = backend.select_parameters(self.batch_size * self.max_length)
        backend = MemoryBudget.of(self, model).of_hints(backend)
        workers = resolve_workers(self.workers)
        program = CompiledModel(model, backend, parameters, workers, self.device, loaded.adapter)
        if self.workers is not None:
            program.pool()
        warn_of_experts(program)
        warn_of_rounding(program)
        begin_anew(program, self)
        if hasattr(self, "model_"):
            del self.model_, self.history_
        self.program_ = program
        self._compiled_settings = compiled_settings(self)
        if quantizer.activations == "static-tensor":
            if X is None:
                raise ValueError("weight_quantizer='int8-static-tensor' needs calibration: pass texts to compile(X).")
            examples = pieces(self._tokenize(X), self.max_length)
            calibrate(self.program_, batches(examples, self.pad_token_, self.batch_size, causal=True))
        return self

    def _with_head(self, loaded: Loaded) -> Loaded:
        """The model with the head that it came with, whose classes are set, or to be given a fresh one."""
        if self.task != SEQUENCE_CLASSIFICATION or not has_trained_head(loaded.model):
            return loaded
        if self.reset_head:
            return loaded.with_fresh_head()
        check_head(loaded.model)
        tell_head(loaded.model, pad_token(loaded.model, self.tokenizer_))
        self._head_classes = HeadClasses.of_names(head_names(loaded.model))
        self.classes_ = self._head_classes.labels
        return loaded

    def check_workers(self) -> list[dict[str, Any]]:
        """Ask every worker what it holds and how fast it is, before a run. Nothing of the data is sent.

        After `compile`, what a worker holds is compared with what the model needs.

        Returns
        -------
        reports : list of dict
            A worker each: ``"worker"`` (its name), ``"usable"``, ``"message"`` (what it holds, or why it cannot be used
            and what to do), ``"n_layers"``, ``"release"`` (of fhe_estimators), ``"latency_seconds"`` (of a request) and
            ``"bytes_per_second"`` (of ciphertexts, there and back, with the product). What is not known is None.
        """
        workers = resolve_workers(self.workers)
        if hasattr(self, "program_"):
            return report_workers(self.program_.workers() if workers is None else workers, self.program_.layers)
        return report_workers(workers or [], None)

    def __sklearn_clone__(self) -> HELoRAFineTuner:
        copied = type(self)(**{name: clone(value, safe=False) for name, value in self.get_params(deep=False).items()})
        copied._is_clone = True  # candidates and folds of a search must not share training states
        return copied

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string = False, True
        if self.task == SEQUENCE_CLASSIFICATION:
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
            tags.target_tags.required = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")
