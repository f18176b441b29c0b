"""Loading of models, groups of linear layers and integer weights: what client and workers have in common."""
