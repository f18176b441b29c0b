"""Sessions of clients (one response a request, retired keys, authentication codes) and the framing of messages."""

from tests.mutants.mutant import of_file

_SESSIONS = "backends/test_client.py"
_RETIRED = f"{_SESSIONS}::test_a_refusal_retires_the_keys"
_CONTRACT = "backends/test_contract.py::test_backend"
_TAMPERED = f"{_SESSIONS}::test_altered_requests_are_not_read"
_MESSAGES = "backends/test_messages.py"

MUTANTS = [
    *of_file(
        "backends/client.py",
        (
            "sessions: the response to another request",
            'if header.get("request_id") != record.request_id:',
            'if header.get("request_id") is None:',
            f"{_CONTRACT}[clear-check_responses]",
        ),
        (
            "sessions: the response under other keys",
            'check_identity("response", header, **keys.identity)',
            "pass",
            f"{_CONTRACT}[clear-check_keys]",
        ),
        (
            "sessions: a second response",
            "if self._responses.setdefault(record.request_id, digest) != digest:",
            "if self._responses.setdefault(record.request_id, digest) is None:",
            f"{_SESSIONS}::test_only_one_of_two_racing_responses_is_claimed",
        ),
        (
            "sessions: responses are not claimed",
            "self._log.claim(record, message_digest(response))",
            "pass",
            f"{_CONTRACT}[clear-check_responses]",
        ),
        ("sessions: keys are not retired", "self._retired.add(keys.key_id)", "pass", _RETIRED),
        ("sessions: a refusal retires nothing", "            self._session.retire(keys)\n", "", _RETIRED),
        ("sessions: retired keys are loaded", "if key_id in self._retired:", "if key_id is None:", _RETIRED),
        (
            "sessions: retired keys stay in use",
            "if self._current is keys:\n            self._current = None",
            "if self._current is None:\n            self._current = None",
            _RETIRED,
        ),
        (
            "sessions: codes are not verified",
            "if not isinstance(mac, str) or not hmac.compare_digest(mac.encode(), expected.encode()):",
            "if not isinstance(mac, str) or not expected:",
            _TAMPERED,
        ),
        ("sessions: codes without ciphertexts", "text + digest, ", "text, ", _TAMPERED),
        ("sessions: codes without the header", "json.dumps([header, [len", "json.dumps([[len", _TAMPERED),
        (
            "sessions: codes without the sizes of ciphertexts",
            "[len(blob) for blob in blobs]], sort_keys",
            "[]], sort_keys",
            _TAMPERED,
        ),
        (
            "sessions: one key of all codes",
            "os.urandom(_MAC_KEY_BYTES)",
            "bytes(_MAC_KEY_BYTES)",
            f"{_SESSIONS}::test_every_session_has_secrets_of_its_own",
        ),
        (
            "sessions: one id of all keys",
            "key_id = os.urandom(_ID_BYTES).hex()",
            "key_id = bytes(_ID_BYTES).hex()",
            f"{_SESSIONS}::test_every_session_has_secrets_of_its_own",
        ),
        (
            "sessions: one id of all requests",
            "request_id = os.urandom(_ID_BYTES).hex()",
            "request_id = bytes(_ID_BYTES).hex()",
            f"{_CONTRACT}[clear-check_identities]",
        ),
        (
            "sessions: memory without bound",
            "while len(entries) > self._capacity:",
            "while len(entries) > 10**9:",
            f"{_SESSIONS}::test_memory_is_bounded",
        ),
    ),
    *of_file(
        "backends/messages.py",
        (
            "messages: checksums are not verified",
            "if _checksum(view[:start], digest) != bytes(view[-_DIGEST_BYTES:]):",
            "if not digest:",
            f"{_MESSAGES}::test_any_flipped_bit",
        ),
        ("messages: earlier versions are read", "if version < MESSAGE_VERSION:", "if version < 0:", _MESSAGES),
        ("messages: later versions are read", "if version > MESSAGE_VERSION:", "if version > 99:", _MESSAGES),
        ("messages: of any kind", "if found != kind:", "if found is None:", f"{_MESSAGES}::test_wrong_kind"),
        (
            "messages: parts that do not add up",
            "if header_bytes + sum(sizes) != len(body):",
            "if not sizes:",
            _MESSAGES,
        ),
        ("messages: ids with an appendix", 're.fullmatch("[0-9a-f]{32}"', 're.match("[0-9a-f]{32}"', _MESSAGES),
        ("messages: of any keys and model", "if header.get(name) != value:", "if value is None:", _MESSAGES),
        (
            "messages: a digest that orphans saved models",
            "digest.update(field.name.encode())",
            "digest.update(field.name.upper().encode())",
            "serving/test_old_archives.py",
        ),
        (
            "messages: a digest that orphans models of one scale",
            'elif field.name == "score_scale" and (value == value[0]).all():\n            value = float(value[0])',
            'elif field.name == "score_scale" and (value == value[0]).all():\n            value = value.copy()',
            "serving/test_old_archives.py",
        ),
    ),
    *of_file(
        "backends/bfv/evaluator/batch.py",
        (
            "bfv: requests of any size or level",
            "if bits.size() != 2 or bits.parms_id() != keys.context.first_id or bits.is_ntt_form():",
            "if bits.size() < 0:",
            "backends/bfv/test_refusals.py",
        ),
    ),
]
