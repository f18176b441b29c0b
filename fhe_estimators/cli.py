"""The command ``fhe-estimators``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from .exceptions import FHEError
from .utils import FHE_MODES

#: Not a list of choices: the names are those of `quantizers.linear`, which loads PyTorch.
_QUANTIZER_HELP = "name of a quantizer of fhe_estimators.quantizers.linear"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status."""
    options = vars(_parser().parse_args(arguments))
    command = options.pop("command")
    try:
        if command == "split":
            from .lora.client.split_command import split

            split(**options)
        elif command == "compare":
            from .inspection._compare_command import compare

            compare(**options)
        elif command == "serve":
            from .serving.server.serve_command import serve

            serve(**options)
        elif command == "predict":
            from .serving.client.predict_command import predict

            predict(**options)
        elif command == "connect":
            from .serving.client.connect.command import connect

            connect(**options)
        else:
            return _worker(options)
    except (FHEError, ValueError, OSError) as error:
        print(f"fhe-estimators {command}: {error}", file=sys.stderr)
        return 1
    return 0


def _worker(options: dict[str, Any]) -> int:
    urls, ca_file = options.pop("check"), options.pop("ca_file")
    if urls:
        from .lora.client.check_command import check

        return 0 if check(urls, ca_file=ca_file) else 1
    from .lora.worker.serve_command import serve

    serve(**options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fhe-estimators", description="Machine learning on encrypted data.")
    commands = parser.add_subparsers(dest="command", required=True)

    split = commands.add_parser("split", help="write the client's and the workers' part of a checkpoint")
    split.add_argument("model", help="folder of a transformers model, or a .gguf file")
    split.add_argument("--out", required=True, help="folder for client/ and workers/")
    split.add_argument("--weight-quantizer", default="int8", help=_QUANTIZER_HELP)
    split.add_argument("--no-verify", dest="verify", action="store_false", help="leave out the client's secret checks")
    split.add_argument(
        "--verify-bits", type=int, default=40, help="soundness of the checks: wrong responses pass once in 2^N times"
    )

    compare = commands.add_parser("compare", help="score rows encrypted and in the clear, and report what differs")
    compare.add_argument(
        "model", help="file of a fitted model: .json or .ubj of XGBoost, .txt of LightGBM, .cbm of CatBoost, or .skops"
    )
    compare.add_argument("data", help="CSV file with a header")
    compare.add_argument("--target", required=True, help="column with the targets; all others are features")
    compare.add_argument("--backend", default="ckks")
    compare.add_argument("--fhe", default="execute", choices=FHE_MODES)
    compare.add_argument("--rows", type=int, help="rows to draw at random (default: all)")
    compare.add_argument("--scoring", nargs="*", help="metrics of scikit-learn")
    compare.add_argument("--csv", help="write all figures to this file as well")

    worker = commands.add_parser(
        "worker",
        help="serve linear layers over HTTP",
        description="Serve linear layers over HTTP, to requests with a bearer token of --token-file, or the one that "
        "FHE_ESTIMATORS_TOKEN holds.",
    )
    what = worker.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", help="the workers' part that `split` wrote, or a whole checkpoint")
    what.add_argument(
        "--check", nargs="+", metavar="URL", help="serve nothing; say of the workers at these URLs if they can be used"
    )
    worker.add_argument("--ca-file", help="certificates that --check trusts")
    worker.add_argument(
        "--layers",
        help="numbers of transformer blocks, and `other` for the layers outside of them: 0-14,other (default: all)",
    )
    worker.add_argument("--weight-quantizer", default="int8", help=f"of a whole checkpoint; {_QUANTIZER_HELP}")
    worker.add_argument("--device", default="cpu", help="cpu or cuda")
    worker.add_argument("--host", default="127.0.0.1")
    worker.add_argument("--port", type=int, default=8400)
    _add_http_options(worker, max_body_bytes=1 << 29)
    _add_serve(commands)
    _add_predict(commands)
    _add_connect(commands)
    return parser


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser(
        "serve",
        help="serve compiled models over HTTP",
        description="Score encrypted rows over HTTP with the models that save_server() wrote. Clients are "
        "fhe_estimators.serving.RemoteModel and `fhe-estimators predict`.",
    )
    serve.add_argument(
        "archives",
        nargs="+",
        metavar="MODEL",
        help="model.server.fhe, or name=path; the client's archive lies beside it as model.client.fhe",
    )
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8000)
    _add_http_options(serve, max_body_bytes=1 << 28)
    serve.add_argument("--keys-dir", help="folder for clients' evaluation keys (default: forgotten with the server)")
    serve.add_argument("--keys-days", type=float, default=30.0, help="evaluation keys unused for so long are removed")
    serve.add_argument("--client-keys-bytes", type=int, default=1 << 31, help="of all evaluation keys of a client")
    serve.add_argument("--processes", type=int, help="evaluations at a time (default: one a processor)")
    serve.add_argument("--max-waiting", type=int, default=64, help="requests in the queue; those beyond get 429")
    serve.add_argument("--max-rows", type=int, help="rows of a request")
    serve.add_argument("--max-seconds", type=float, default=300.0, help="from a request's last byte to its answer")
    serve.add_argument("--rerandomize", action="store_true", help="hide from clients how scores were computed")
    serve.add_argument(
        "--private", action="store_true", help="the page, metrics and OpenAPI document need a token, too"
    )


def _add_http_options(command: argparse.ArgumentParser, *, max_body_bytes: int) -> None:
    command.add_argument(
        "--token-file", help="tokens of clients, each on a line, after the client's name if it has one"
    )
    command.add_argument("--max-body-bytes", type=int, default=max_body_bytes, help="larger requests are refused")
    command.add_argument("--ssl-certfile", help="serve HTTPS with this certificate")
    command.add_argument("--ssl-keyfile")


def _add_service_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("url", help="of a service that `fhe-estimators serve` runs")
    command.add_argument("--model", help="name of the model (default: the only one)")
    command.add_argument("--client-archive", help="archive from the model's owner (default: the service is asked)")
    command.add_argument("--keys-file", help="keep keys there, encrypted, for later runs")
    command.add_argument("--ca-file", help="certificates to trust")


def _add_predict(commands: Any) -> None:
    predict = commands.add_parser(
        "predict",
        help="score a table of rows with a service",
        description="Encrypt the rows of a table here, have a service score them, decrypt the scores here. A run that "
        "was interrupted goes on where it was. The token is what FHE_ESTIMATORS_TOKEN holds, or the URL's entry in the "
        "file that FHE_ESTIMATORS_TOKENS_FILE names; the password of --keys-file is FHE_ESTIMATORS_KEYS_PASSWORD.",
    )
    _add_service_options(predict)
    predict.add_argument("rows", help="CSV file with a header, or .parquet")
    predict.add_argument("--out", required=True, help="CSV file to write, or .parquet")
    predict.add_argument(
        "--method", default="predict", choices=("predict", "predict_proba", "decision_function"), help="what is written"
    )
    predict.add_argument("--keep", nargs="+", metavar="COLUMN", help="columns to copy beside the scores")
    predict.add_argument("--rows-per-request", type=int, help="(default: a batch of the engine)")
    predict.add_argument("--concurrent", type=int, default=4, help="requests under way at a time")
    predict.add_argument("--retry-seconds", type=float, default=300.0, help="how long to try while the service is away")
    predict.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_connect(commands: Any) -> None:
    connect = commands.add_parser(
        "connect",
        help="open a page on this machine for rows that a service scores",
        description="Serve a page on this machine, for this user only: a row is typed or a CSV file dropped, encrypted "
        "here, scored by a service, and shown with its margin and reasons. The token is that of --token-file, or found "
        "as for `fhe-estimators predict`; so is the password of --keys-file.",
    )
    _add_service_options(connect)
    connect.add_argument("--token-file", help="file that holds the token and nothing else, readable by you only")
    connect.add_argument("--port", type=int, default=0, help="of the page, on 127.0.0.1 (default: a free one)")
    connect.add_argument("--retry-seconds", type=float, default=60.0, help="how long to try while the service is away")
    connect.add_argument(
        "--no-browser", dest="browser", action="store_false", help="print the page's address and open nothing"
    )
