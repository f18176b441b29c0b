"""Paths and version of the workers' HTTP protocol."""

PROTOCOL_VERSION = 1
LAYERS_PATH = "/v1/layers"
PRODUCTS_PATH = "/v1/products"
HINTS_PATH = "/v1/hints"
