"""The circuit of an ensemble: comparisons, products, levels, noise and packing. Pure: no SEAL, no keys."""
