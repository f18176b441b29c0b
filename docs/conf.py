"""Sphinx configuration."""

import re

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

#: Methods that scikit-learn generates, whose docstrings refer to its own documentation.
_GENERATED_BY_SCIKIT_LEARN = r"set_\w+_request|get_metadata_routing|set_output|get_params|set_params|fit_transform"


def setup(app):
    """Leave generated methods out."""

    def skip_generated(app, what, name, obj, skip, options):
        return True if re.fullmatch(_GENERATED_BY_SCIKIT_LEARN, name) else None

    app.connect("autodoc-skip-member", skip_generated)
