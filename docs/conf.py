"""Sphinx configuration."""

import os
import re
import warnings

from fhe_estimators import __version__

project = "fhe_estimators"
author = "The fhe_estimators developers"
release = version = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx-mathjax-offline",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
numpydoc_show_class_members = False
autodoc_typehints = "none"
default_role = "code"
templates_path = ["_templates"]
exclude_patterns = ["_build", "results/*.md"]
toc_object_entries_show_parents = "hide"  # "compile()", not "FHERandomForestClassifier.compile()"
html_theme = "pydata_sphinx_theme"
html_title = "fhe_estimators"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_js_files = ["scroll_hint.js"]
html_sidebars = {"*": []}  # top-level pages have no section to navigate
html_theme_options = {"show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}

# Some examples call transformers and PEFT themselves, whose bars and warnings would fill the log of the build.
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft)\.")

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "subsection_order": ["../examples/trees", "../examples/privacy", "../examples/language_models"],
    "within_subsection_order": "FileNameSortKey",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"(^|/)(?!plot_)[^/]*\.py$",
    "write_computation_times": False,
    "abort_on_example_error": True,
    "doc_module": ("fhe_estimators",),
    "backreferences_dir": "api/backreferences",
    "reference_url": {"fhe_estimators": None},
    "show_memory": False,
    "download_all_examples": False,
    "plot_gallery": "True",
    "remove_config_comments": True,
}

#: Methods that scikit-learn generates, whose docstrings refer to its own documentation.
_GENERATED_BY_SCIKIT_LEARN = r"set_\w+_request|get_metadata_routing|set_output|get_params|set_params|fit_transform"


def setup(app):
    """Leave generated methods out."""

    def skip_generated(app, what, name, obj, skip, options):
        return True if re.fullmatch(_GENERATED_BY_SCIKIT_LEARN, name) else None

    app.connect("autodoc-skip-member", skip_generated)
