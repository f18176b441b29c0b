"""The scoring service and its client: tokens, limits, keys of each client, repeated requests."""

from tests.mutants.mutant import of_file

_REFUSALS = "serving/test_service.py::TestRefusals"
_KEYS = "serving/test_remote_model.py::TestKeys"
_ASKING = "serving/test_connect.py::TestWhoMayAsk"
_POOL = "serving/test_pool.py"
_RELIABILITY = "serving/test_reliability.py"

MUTANTS = [
    *of_file(
        "utils/http/server/tokens.py",
        (
            "service: every token is right",
            'if scheme.lower() != "bearer" or found is None:',
            'if scheme.lower() != "bearer":',
            f"{_REFUSALS}::test_every_path_of_models_needs_a_token",
        ),
        (
            "service: revoked clients",
            "if mark != self._mark:",
            "if mark is None:",
            "serving/test_service.py::TestTokens",
        ),
    ),
    *of_file(
        "serving/server/key_store.py",
        (
            "service: keys of other clients",
            "return self._folder / _name_of(client) / _name_of(program_id)",
            "return self._folder / _name_of(program_id) / _name_of(program_id)",
            f"{_REFUSALS}::test_keys_of_another_client_are_not_found",
        ),
        (
            "service: an upload ends another",
            "if not _is_partial(entry[2])]",
            "if entry[2]]",
            f"{_RELIABILITY}::test_an_upload_goes_on_whatever_else_is_kept_or_starts",
        ),
        (
            "service: keys without a bound",
            "if total > self._client_bytes:",
            "if total < 0:",
            "serving/test_service.py::TestKeysOnDisk",
        ),
    ),
    *of_file(
        "serving/server/evaluation.py",
        (
            "service: rows without a bound",
            "if n_rows is not None and n_rows > max_rows:",
            "if n_rows is None:",
            f"{_REFUSALS}::test_rows_and_bytes_are_bounded",
        ),
        (
            "service: processes outlive it",
            "threading.Thread(target=_end_with, args=(parent,), daemon=True).start()",
            "pass",
            "serving/test_service_processes.py::test_no_process_is_left_of_a_server_that_was_killed",
        ),
    ),
    *of_file(
        "serving/server/processes.py",
        (
            "service: some wait for ever",
            "if self._n_passed < _MAX_PASSED:",
            "if self._n_passed >= 0:",
            f"{_POOL}::test_those_who_wait_are_served_where_their_keys_are_and_nobody_waits_for_ever",
        ),
        (
            "service: a queue without end",
            "if not self._idle and n_waiting >= self.max_waiting:",
            "if not self._idle and n_waiting < 0:",
            f"{_POOL}::test_a_full_queue_says_when_to_come_again",
        ),
        (
            "service: work of killed processes is lost",
            "_MAX_DEATHS = 2",
            "_MAX_DEATHS = 1",
            f"{_POOL}::test_killed_processes_are_replaced_and_their_work_is_done_again",
        ),
    ),
    *of_file(
        "utils/http/server/running.py",
        (
            "service: who takes an answer slowly holds it",
            "self._send_timer = self.loop.call_later(send_seconds, self.transport.abort)",
            "pass",
            f"{_RELIABILITY}::test_clients_that_take_their_answer_slowly_are_left",
        ),
    ),
    *of_file(
        "serving/client/session.py",
        (
            "remote model: the file keeps keys that were given up",
            "self._save(client)\n                self._generation = self._registered(client)",
            "self._generation = self._registered(client)",
            f"{_KEYS}::test_after_a_refused_decryption_they_are_fresh",
        ),
        (
            "remote model: wrong servers are asked for ever",
            "if refused > _MAX_REFUSED:",
            "if refused > 10:",
            f"{_KEYS}::test_a_server_that_is_always_wrong_is_given_up",
        ),
    ),
    *of_file(
        "serving/client/secrets.py",
        (
            "remote model: the token in pickles",
            "return Secret, (None,)",
            "return Secret, (self._value,)",
            "serving/test_remote_model.py::TestEstimator::test_secrets_are_shown_by_nothing",
        ),
    ),
    *of_file(
        "serving/client/scores_file.py",
        (
            "predict: two runs write one file",
            "fcntl.LOCK_EX | fcntl.LOCK_NB",
            "fcntl.LOCK_SH | fcntl.LOCK_NB",
            "serving/test_predict_command.py::TestCSV::test_two_runs_at_once",
        ),
        (
            "predict: what a crash left is kept",
            "self._file.truncate(n_bytes)\n        self._file.seek(n_bytes)",
            "self._file.seek(0, 2)",
            "serving/test_predict_command.py::TestCSV::test_runs_that_were_interrupted_go_on",
        ),
    ),
    *of_file(
        "serving/client/connect/guard.py",
        (
            "connect: names of others for this machine",
            'if len(hosts) != 1 or hosts[0].decode("latin-1") not in self._hosts:',
            "if len(hosts) != 1:",
            f"{_ASKING}::test_no_other_host_is_ours",
        ),
        (
            "connect: other pages",
            'if any(origin != b"http://" + hosts[0] for origin in origins):',
            'if any(origin == b"null" for origin in origins):',
            f"{_ASKING}::test_no_other_page",
        ),
        (
            "connect: every token is right",
            "if len(given) != 1 or not hmac.compare_digest(given[0], self._authorization):",
            "if len(given) != 1:",
            f"{_ASKING}::test_nobody_without_the_token",
        ),
    ),
    *of_file(
        "serving/client/csv_rows.py",
        (
            "connect: files that are cut off",
            "if width and len(cells) != width:",
            "if width and len(cells) > width:",
            "serving/test_connect_tables.py::TestFiles",
        ),
    ),
    *of_file(
        "serving/server/explanations.py",
        (
            "service: reasons of another model",
            "if (np.ptp(of_trees, axis=0) > tolerance).any():",
            "if (np.ptp(of_trees, axis=0) < 0).any():",
            "serving/test_page.py::test_contributions_belong_to_the_model_whose_values_they_sum_to",
        ),
    ),
]
