"""Rules for tests and docstrings alike."""

pytest_plugins = ["tests.plugin"]
