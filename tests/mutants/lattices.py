"""Secrets, noise and parameters of the `lwe` engine, its checks of workers, and the security floor of all engines."""

from tests.mutants.mutant import of_file

_FRESH = "backends/lwe/test_sampling.py::TestFreshness"
_CHECKS = "backends/lwe/test_verification.py"
_FLOOR = "security/test_floor.py"

MUTANTS = [
    *of_file(
        "backends/lwe/client/encryption.py",
        ("lwe: one noise key", "secret, new_key(), block", "secret, bytes(32), block", _FRESH),
        ("lwe: one secret", "ternary_secret(new_key(), ", "ternary_secret(bytes(32), ", _FRESH),
        ("lwe: one public seed", "seed = new_key() if seed", "seed = bytes(32) if seed", _FRESH),
        (
            "lwe: secrets are not counted before use",
            "self._n_secrets + n_blocks > MAX_SECRETS",
            "self._n_secrets > MAX_SECRETS",
            "backends/lwe/test_security.py::test_a_client_makes_no_more_secrets_than_were_counted_with",
        ),
        (
            "lwe: secrets decrypt twice",
            "spectra, self._spectra = self._spectra, None",
            "spectra = self._spectra",
            "backends/lwe/test_client.py::test_secrets_serve_once_and_are_neither_shown_nor_pickled",
        ),
        (
            "lwe: secrets can be pickled",
            'raise TypeError("Secrets cannot be pickled or copied.")',
            "return vars(self)",
            "backends/lwe/test_client.py::test_secrets_serve_once_and_are_neither_shown_nor_pickled",
        ),
    ),
    *of_file(
        "backends/lwe/_randomness.py",
        ("lwe: keys from no generator", "return os.urandom(KEY_BYTES)", "return bytes(KEY_BYTES)", _FRESH),
        (
            "lwe: a keystream that always starts at 0",
            'counter = block.to_bytes(16, "big")',
            "counter = bytes(16)",
            "backends/lwe/test_sampling.py::test_a_unit_is_the_same_whatever_range_is_asked_for",
        ),
    ),
    *of_file(
        "backends/lwe/client/sampling.py",
        (
            "lwe: biased secrets",
            "drawn[drawn < 255]",
            "drawn[drawn <= 255]",
            "backends/lwe/test_sampling.py::test_every_byte_but_one_decides_a_coefficient_without_bias",
        ),
    ),
    *of_file(
        "backends/lwe/parameters.py",
        (
            "lwe: narrower noise",
            "NOISE_BITS = 42",
            "NOISE_BITS = 28",
            "backends/lwe/test_sampling.py::test_noise_is_no_narrower_than_that_of_the_security_table",
        ),
        (
            "lwe: parameters of any security",
            "check_ring_security(self.dimension, self.modulus_bits)",
            "pass",
            "backends/lwe/test_randomness.py::test_parameters_below_128_bits_are_refused",
        ),
        (
            "lwe: parameters of a message that are no known set",
            "not in PARAMETER_SETS.values():\n            raise ProtocolError",
            "is None:\n            raise ProtocolError",
            "backends/lwe/test_security.py::test_no_set_of_this_version",
        ),
    ),
    *of_file(
        "backends/lwe/noise.py",
        (
            "lwe: messages of twice the room",
            "room = 2.0 ** (self.parameters.modulus_bits - 1)",
            "room = 2.0 ** (self.parameters.modulus_bits)",
            "backends/lwe/test_client.py::test_no_input_makes_an_output_wrap",
        ),
        (
            "lwe: values that are not finite are encrypted",
            "if not torch.isfinite(lengths).all():",
            "if torch.isfinite(lengths).all() is None:",
            "backends/lwe/test_client.py::test_values_that_are_not_finite_are_not_encrypted",
        ),
    ),
    *of_file(
        "backends/lwe/client/verification.py",
        (
            "checks: all vectors are zero",
            "((drawn >> 1) & 1)",
            "(drawn & 1)",
            f"{_CHECKS}::test_a_change_of_one_value_is_found",
        ),
        (
            "checks: vectors without odd entries",
            "return (drawn & 1).to(torch.int8) - ((drawn >> 1) & 1).to(torch.int8)",
            "return 2 * (drawn & 1).to(torch.int8)",
            f"{_CHECKS}::test_the_hardest_forgery_passes_as_rarely_as_promised",
        ),
        (
            "checks: only the first vector counts",
            "return not bool(difference.any())",
            "return not bool(difference[:, 0].any())",
            f"{_CHECKS}::test_the_hardest_forgery_passes_as_rarely_as_promised",
        ),
        (
            "checks: the highest bit is not looked at",
            "<< (WORD_BITS - CIPHERTEXT_BITS)\n",
            "<< (WORD_BITS - CIPHERTEXT_BITS + 1)\n",
            f"{_CHECKS}::test_the_hardest_forgery_passes_as_rarely_as_promised",
        ),
        (
            "checks: hints are not looked at",
            "return not any(bool(self._difference(multiply, left.T, right.T).any()) for left, right in chunks)",
            "return bool(chunks) or multiply is None",
            f"{_CHECKS}::test_lazy_and_swapped_responses_are_found",
        ),
        (
            "checks: one key for all vectors",
            "self._key = key or new_key()",
            "self._key = key or bytes(KEY_BYTES)",
            f"{_CHECKS}::test_vectors_are_fresh_unless_a_key_is_given",
        ),
        (
            "checks: a soundness of one bit",
            "MIN_VERIFY_BITS = 20",
            "MIN_VERIFY_BITS = 1",
            f"{_CHECKS}::test_soundness_is_an_integer_of_at_least_20_bits",
        ),
        (
            "checks: vectors can be pickled",
            'raise TypeError("Check vectors are secret and cannot be pickled or copied.")',
            "return vars(self)",
            f"{_CHECKS}::test_vectors_are_never_pickled_or_copied",
        ),
    ),
    *of_file(
        "backends/_security.py",
        ("floor: the table of 2018", "8192: 214", "8192: 218", f"{_FLOOR}::test_the_table_is_the_published_one"),
        ("floor: 112 bits", "SECURITY_BITS = 128", "SECURITY_BITS = 112", _FLOOR),
        (
            "floor: four bits of modulus too many",
            "coeff_modulus_bits > limit:",
            "coeff_modulus_bits > limit + 4:",
            _FLOOR,
        ),
        ("floor: less noise than in the table", "if not MIN_NOISE_STD <= noise_std", "if not 0 < noise_std", _FLOOR),
        ("floor: keys below it", "if math.floor(bits) < SECURITY_BITS:", "if math.floor(bits) < 100:", _FLOOR),
        (
            "floor: even Galois elements",
            " or element % 2 == 0:",
            ":",
            "security/test_reachable.py::test_a_client_makes_no_keys_for_whatever_it_is_told",
        ),
        (
            "floor: any number of Galois keys",
            " or len(elements) > 2 * order.bit_length():",
            ":",
            "security/test_reachable.py::test_a_client_makes_no_keys_for_whatever_it_is_told",
        ),
    ),
]
