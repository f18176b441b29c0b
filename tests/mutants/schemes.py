"""What clients of `ckks`, `bfv` and `tfhe` check before they believe a response, and what servers hide."""

from tests.mutants.mutant import of_file

_SLOTS = "backends/ckks/test_redundancy.py"
_MALFORMED = "attacks/test_ckks_key_from_scores.py::test_malformed_ciphertexts_are_refused_before_they_are_decrypted"
_BFV = "backends/bfv/test_refusals.py"

MUTANTS = [
    *of_file(
        "backends/ckks/circuit/redundancy.py",
        ("ckks: any distance from an integer", "INTEGER_TOLERANCE = 3 / 16", "INTEGER_TOLERANCE = 1 / 2", _SLOTS),
        ("ckks: any distance between copies", "COPY_TOLERANCE = 3 / 8", "COPY_TOLERANCE = 3e8", _SLOTS),
        (
            "ckks: imaginary parts are not looked at",
            "np.abs(values - integers)",
            "np.abs(values.real - integers)",
            _SLOTS,
        ),
        (
            "ckks: NaN passes",
            "if not (off <= INTEGER_TOLERANCE and spread <= COPY_TOLERANCE * 2 ** (expansion_log2 / 2)):",
            "if off > INTEGER_TOLERANCE or spread > COPY_TOLERANCE * 2 ** (expansion_log2 / 2):",
            _SLOTS,
        ),
        ("ckks: scores of any size", "if np.abs(integers).max() > 2.0**score_bits:", "if score_bits < 0:", _SLOTS),
        ("ckks: scores a bit too large", "> 2.0**score_bits:", "> 2.0 ** (score_bits + 1):", _SLOTS),
        (
            "ckks: copies of a row may differ",
            "if not np.array_equal(integers, np.resize(integers[:n_rows], len(integers))):",
            "if n_rows < 0:",
            _SLOTS,
        ),
    ),
    *of_file(
        "backends/ckks/client.py",
        (
            "ckks: keys for any automorphism",
            'if spec.metadata["galois_elements"] != self.galois_elements:',
            'if spec.metadata["galois_elements"] is None:',
            "attacks/test_ckks_key_from_scores.py::test_a_client_makes_no_other_keys",
        ),
        (
            "ckks: responses of any size",
            "if ciphertext.size() != 2 or ciphertext.parms_id()",
            "if ciphertext.parms_id()",
            _MALFORMED,
        ),
        (
            "ckks: responses of any level",
            "if ciphertext.size() != 2 or ciphertext.parms_id() != self.context.level_ids[1]:",
            "if ciphertext.size() != 2:",
            _MALFORMED,
        ),
        ("ckks: transparent responses", " or ciphertext.is_transparent():", ":", _MALFORMED),
        (
            "ckks: the server chooses the scale",
            "ciphertext.scale = self.context",
            "_ = self.context",
            "attacks/test_ckks_key_from_scores.py::test_a_scale_of_the_servers_choice_changes_nothing",
        ),
        (
            "ckks: more ciphertexts than asked for",
            "if len(blobs) != n_expected:",
            "if len(blobs) < n_expected:",
            "attacks/test_foreign_responses.py::test_more_or_fewer_ciphertexts",
        ),
    ),
    *of_file(
        "backends/bfv/client.py",
        ("bfv: sums need not be one", "layout) != 1).any()", "layout) < 0).any()", _BFV),
        ("bfv: any noise", "< LEAST_MARGIN_BITS:", "< -1:", _BFV),
        ("bfv: scores below the range", "(scores < low) | (scores > high)", "scores > high", _BFV),
        ("bfv: scores above the range", "(scores < low) | (scores > high)", "scores < low", _BFV),
        (
            "bfv: responses of any size",
            "if ciphertext.size() != 2 or ciphertext.parms_id()",
            "if ciphertext.parms_id()",
            _BFV,
        ),
        (
            "bfv: responses of any level",
            " or ciphertext.parms_id() != self.context.last_id",
            "",
            _BFV,
        ),
        ("bfv: transparent responses", "if ciphertext.is_transparent():", "if ciphertext.size() < 0:", _BFV),
        (
            "bfv: copies of a row may differ",
            "if not np.array_equal(sums, np.resize(digits[rows, score, digit], len(sums))):",
            "if sums.ndim == 0:",
            _BFV,
        ),
        (
            "bfv: more ciphertexts than asked for",
            "if len(blobs) != n_expected:",
            "if len(blobs) < n_expected:",
            _BFV,
        ),
    ),
    *of_file(
        "backends/bfv/evaluator/leaf_sums.py",
        (
            "bfv: one mask for all results",
            "os.urandom(8 * self.layout.n_lanes)",
            "bytes(8 * self.layout.n_lanes)",
            "backends/bfv/test_noise.py::test_masks_add_up_to_zero_and_differ",
        ),
        (
            "bfv: masks that do not add up to zero",
            "mask[first] -= self.layout.sum_by_sample(mask, PLAIN_MODULUS)",
            "mask[first] -= 0",
            "backends/bfv/test_noise.py::test_masks_add_up_to_zero_and_differ",
        ),
    ),
    *of_file(
        "backends/bfv/parameters.py",
        (
            "bfv: no margin for the noise",
            "\nMARGIN_BITS = 14.0",
            "\nMARGIN_BITS = -40.0",
            _BFV,
        ),
    ),
    *of_file(
        "backends/tfhe/client.py",
        (
            "tfhe: scores out of range",
            'if (sums > self.spec.arrays["largest"]).any():',
            "if sums.ndim == 0:",
            "attacks/test_tfhe_key_from_scores.py::test_a_score_out_of_range_ends_the_session",
        ),
    ),
    *of_file(
        "backends/ckks/circuit/flooding.py",
        (
            "ckks: flooding from no generator",
            "os.urandom(16 * n)",
            "bytes(16 * n)",
            "attacks/test_client_reads_model.py::test_the_noise_is_the_servers_own",
        ),
        (
            "ckks: flooding without its finer layer",
            "size * _FINE * _complex_normal",
            "0 * size * _complex_normal",
            "attacks/test_client_reads_model.py::test_noise_of_both_layers_has_the_size_that_was_asked_for",
        ),
    ),
    *of_file(
        "backends/ckks/evaluator/rerandomization.py",
        (
            "ckks: responses are not flooded",
            "self.evaluator.add_plain_inplace(response, plain)",
            "pass",
            "attacks/test_client_reads_model.py::test_the_noise_is_the_servers_own",
        ),
    ),
]
