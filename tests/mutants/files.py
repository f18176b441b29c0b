"""Files: archives of models, and encrypted files with keys."""

from tests.mutants.mutant import of_file

_ARCHIVES = "serving/test_archives.py"
_KEYS = "serving/test_key_files.py"

MUTANTS = [
    *of_file(
        "serving/client/key_file.py",
        ("key files: a cheap password hash", '"n": 2**17', '"n": 2**4', f"{_KEYS}::test_the_format_is_what_it_says"),
        (
            "key files: one salt",
            "salt, nonce = os.urandom(_SALT_BYTES), ",
            "salt, nonce = bytes(_SALT_BYTES), ",
            f"{_KEYS}::test_every_file_has_a_salt_and_nonce_of_its_own",
        ),
        (
            "key files: one nonce",
            ", os.urandom(_NONCE_BYTES)",
            ", bytes(_NONCE_BYTES)",
            f"{_KEYS}::test_every_file_has_a_salt_and_nonce_of_its_own",
        ),
        (
            "key files: an empty password",
            "if not isinstance(password, str) or not password:",
            "if not isinstance(password, str):",
            f"{_KEYS}::test_keys_and_a_password_are_needed",
        ),
    ),
    *of_file(
        "serving/_container.py",
        (
            "archives: compressed ones",
            "if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):",
            "if not archive.infolist():",
            f"{_ARCHIVES}::test_compressed_archives_are_refused",
        ),
        (
            "archives: arrays of another archive",
            'if hashlib.sha256(blob).hexdigest() != manifest["arrays_sha256"]:',
            'if not manifest["arrays_sha256"]:',
            f"{_ARCHIVES}::test_arrays_belong_to_their_manifest",
        ),
        (
            "archives: of later versions",
            'if manifest["version"] > ARCHIVE_VERSION:',
            'if manifest["version"] > 99:',
            f"{_ARCHIVES}::test_future_versions_are_refused",
        ),
        (
            "archives: of the other kind",
            'if manifest["kind"] != kind:',
            'if manifest["kind"] is None:',
            f"{_ARCHIVES}::test_other_files_are_refused",
        ),
    ),
    *of_file(
        "serving/archive.py",
        (
            "archives: a program that is not the one saved",
            'if program.client_spec.program_id != settings["program_id"]:',
            'if not settings["program_id"]:',
            f"{_ARCHIVES}::test_the_program_is_the_one_that_was_saved",
        ),
    ),
    *of_file(
        "serving/client/fhe_client.py",
        (
            "clients can be pickled",
            'raise TypeError("An FHEClient holds a secret key and cannot be pickled: use save_keys and load_keys.")',
            "return object.__reduce__(self)",
            f"{_ARCHIVES}::test_a_client_is_not_pickled",
        ),
    ),
]
