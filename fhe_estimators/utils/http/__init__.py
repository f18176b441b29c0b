"""What every service over HTTP does alike: `server` and `client` know nothing of trees, layers or encryption."""

#: Environment variable with a bearer token: of a server, or of a client's only server, so that it shows in no list of
#: processes.
TOKEN_VARIABLE = "FHE_ESTIMATORS_TOKEN"
#: Environment variable of a client that names a JSON file of tokens by URL.
TOKENS_FILE_VARIABLE = "FHE_ESTIMATORS_TOKENS_FILE"
