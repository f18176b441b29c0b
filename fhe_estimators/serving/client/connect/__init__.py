"""``fhe-estimators connect``: a page on this machine, served by the process that holds the keys (client side)."""
