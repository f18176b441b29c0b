"""Paths, version and settings of the workers' HTTP protocol."""

PROTOCOL_VERSION = 1
LAYERS_PATH = "/v1/layers"
PRODUCTS_PATH = "/v1/products"
HINTS_PATH = "/v1/hints"
#: Environment variable with the bearer token, so that it shows in no list of processes.
TOKEN_VARIABLE = "FHE_ESTIMATORS_TOKEN"
