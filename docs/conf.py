"""Sphinx configuration."""

from fhe_estimators import __version__

project = "fhe_estimators"
author = "The fhe_estimators developers"
release = version = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
]
numpydoc_show_class_members = False
autodoc_typehints = "none"
default_role = "code"
templates_path = ["_templates"]
exclude_patterns = ["_build"]
html_theme = "pydata_sphinx_theme"
html_title = "fhe_estimators"
html_theme_options = {"show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}
