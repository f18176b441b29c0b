"""Plugin of pytest for mutants: hypothesis need not look for the smallest example of a failure."""

from hypothesis import Phase, settings

settings.register_profile("mutants", phases=[Phase.explicit, Phase.generate], database=None)
settings.load_profile("mutants")
