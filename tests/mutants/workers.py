"""Fine-tuning with workers: tokens, bounds, checks of what they send, and who gets which work."""

from tests.mutants.mutant import of_file

_SERVER = "lora/test_http.py::TestServer"
_BOUNDS = "attacks/test_worker_compressed_response.py"
_TOKENS = "attacks/test_worker_token_thief.py"
_CAUGHT = "attacks/test_worker_caught_again.py"
_POOL = "lora/test_workers.py"

MUTANTS = [
    *of_file(
        "lora/worker/app.py",
        (
            "worker: products and hints without a token",
            'tokens.client(request.headers.get("authorization"))\n        body',
            "body",
            f"{_SERVER}::test_every_path_needs_the_token",
        ),
        (
            "worker: layers without a token",
            'tokens.client(request.headers.get("authorization"))\n        return',
            "return",
            f"{_SERVER}::test_every_path_needs_the_token",
        ),
        (
            "worker: large responses",
            "if n_bytes > max_bytes:",
            "if n_bytes < 0:",
            f"{_SERVER}::test_requests_with_a_larger_response_are_refused",
        ),
    ),
    *of_file(
        "utils/http/server/bodies.py",
        (
            "server: bodies without a length are not bounded",
            "if received > limit:",
            "if limit < 0:",
            f"{_SERVER}::test_large_bodies_are_refused_and_the_server_goes_on",
        ),
        (
            "worker: large bodies are read",
            " or int(length) > limit:",
            ":",
            f"{_SERVER}::test_large_bodies_are_refused_before_they_are_read",
        ),
        (
            "worker: compressed bodies",
            '.strip().lower() != "identity":',
            '.strip().lower() == "":',
            f"{_SERVER}::test_compressed_bodies_are_refused",
        ),
        (
            "worker: requests that never end",
            "asyncio.wait_for(receive(), self._seconds)",
            "asyncio.wait_for(receive(), None)",
            f"{_SERVER}::test_requests_that_take_for_ever_are_refused",
        ),
    ),
    *of_file(
        "lora/worker/serve_command.py",
        (
            "worker: the command ignores its token",
            "create_app(worker, tokens=tokens",
            "create_app(worker, tokens=None",
            f"{_SERVER}::test_the_command_hands_its_token_to_the_application",
        ),
    ),
    *of_file(
        "utils/http/client/connection.py",
        (
            "client: responses of any size",
            "if len(body) > max_bytes:",
            "if max_bytes < 0:",
            f"{_BOUNDS}::test_no_more_is_read_than_a_response_can_have",
        ),
        (
            "client: error pages of any size",
            "if failed and len(body) > _ERROR_BYTES:",
            "if failed and _ERROR_BYTES < 0:",
            f"{_BOUNDS}::test_no_more_is_read_of_an_error",
        ),
        (
            "client: compressed responses",
            'if encoding != "identity" and not failed:',
            'if encoding == "" and not failed:',
            f"{_BOUNDS}::test_compressed_responses_are_not_read",
        ),
        (
            "client: redirects are followed",
            "follow_redirects=False",
            "follow_redirects=True",
            f"{_TOKENS}::test_redirects_are_not_followed",
        ),
        (
            "client: proxies of the environment",
            'trust_env=self._url.lower().startswith("https:") and not is_loopback(self._url)',
            "trust_env=True",
            f"{_TOKENS}::test_proxies_do_not_see_what_goes_to_this_machine",
        ),
        (
            "client: slow responses",
            "return future.result(timeout=seconds)",
            "return future.result(timeout=seconds + 60)",
            "attacks/test_worker_slow_response.py",
        ),
    ),
    *of_file(
        "lora/client/http.py",
        (
            "client: responses of a gigabyte",
            "return n_outputs * bytes_per_output + MESSAGE_OVERHEAD_BYTES",
            "return MAX_RESPONSE_BYTES",
            f"{_BOUNDS}::test_no_more_is_read_than_a_response_can_have",
        ),
        (
            "client: the token in pickles",
            'return {"url": self.name, **self._settings}',
            'return {"url": self.name, "token": self._given_token, **self._settings}',
            "lora/test_http.py::TestTokens::test_pickles_and_texts_do_not_hold_the_token",
        ),
    ),
    *of_file(
        "utils/http/client/tokens.py",
        (
            "client: tokens in the clear",
            "if not allow_insecure and url",
            "if allow_insecure and url",
            f"{_TOKENS}::test_no_token_crosses_a_network_in_the_clear",
        ),
        (
            "client: tokens that others can read",
            "if path.stat().st_mode & 0o077:",
            "if path.stat().st_mode & 0o000:",
            "lora/test_http.py::TestTokens::test_a_file_of_tokens_by_url",
        ),
    ),
    *of_file(
        "lora/client/workers.py",
        (
            "client: one token for several workers",
            "for worker in found) < 2:",
            "for worker in found) < 99:",
            f"{_TOKENS}::test_the_environments_token_goes_to_none_of_several_workers",
        ),
    ),
    *of_file(
        "lora/client/pool.py",
        (
            "pool: one worker does it all",
            "first = number % len(holders)",
            "first = 0",
            f"{_POOL}::test_layers_are_spread_over_the_workers_that_hold_them",
        ),
        (
            "pool: caught workers get work",
            "if worker.name not in self.caught_)",
            "if worker.name)",
            f"{_CAUGHT}::test_nobody_left_is_an_error_that_names_the_caught",
        ),
        (
            "pool: vectors that refused stay in use",
            "layer.checks.renew(direction)",
            "pass",
            f"{_CAUGHT}::test_check_vectors_are_fresh_after_a_refusal",
        ),
        (
            "pool: workers with other weights",
            ".get(layer.name) == layer.digest]",
            ".get(layer.name)]",
            f"{_POOL}::test_other_weights_and_missing_layers_are_noticed_before_training",
        ),
        (
            "pool: responses are not checked",
            "if check is not None and not check.accepts(ciphertexts, response):",
            "if check is not None and response is None:",
            f"{_POOL}::test_without_another_worker_the_error_names_the_one_that_failed",
        ),
        (
            "pool: hints are not checked",
            "if check is not None and not check.accepts_hint(hint, seed, parameters):",
            "if check is not None and hint is None:",
            f"{_POOL}::test_a_wrong_hint_is_noticed",
        ),
    ),
    *of_file(
        "lora/client/layer_checks.py",
        (
            "pool: stored vectors are used again",
            "            marker.touch()\n",
            "",
            "attacks/test_worker_lucky_pair.py::test_vectors_that_refused_are_used_up",
        ),
    ),
    *of_file(
        "lora/training/loop.py",
        (
            "training: batches of any length count alike",
            "* (batch.n_predictions / total)",
            "/ len(step_batches)",
            "lora/test_estimator.py::test_accumulated_batches_count_by_their_tokens",
        ),
    ),
    *of_file(
        "lora/model/private_adapters.py",
        (
            "adapters: merged ones reach workers",
            "            module.unmerge()\n",
            "            pass\n",
            "attacks/test_worker_private_adapter.py::test_nor_do_workers_get_it_from_a_model_in_memory",
        ),
        (
            "adapters: models come with them",
            "    for path, module in outermost:\n",
            "    for path, module in ():\n",
            "attacks/test_worker_private_adapter.py::test_nor_do_workers_get_it_from_a_model_in_memory",
        ),
    ),
]
