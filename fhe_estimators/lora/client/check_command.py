"""``fhe-estimators worker --check``: whether workers can be used (client side)."""

from __future__ import annotations

from collections.abc import Sequence

from .http import HTTPWorker
from .worker_reports import report_workers
from .workers import resolve_workers


def check(urls: Sequence[str], *, ca_file: str | None = None) -> bool:
    """Print a report on workers at URLs; whether all of them can be used."""
    workers = resolve_workers([HTTPWorker(url, verify=ca_file or True) for url in urls])
    reports = report_workers(workers or [], None)
    for report in reports:
        print(f"{report['worker']}: {'usable' if report['usable'] else 'NOT USABLE'}. {report['message']}")
        if report["usable"]:
            pace = report["bytes_per_second"]
            print(
                f"  release {report['release'] or 'unknown'}, {1e3 * report['latency_seconds']:.1f} ms a request"
                + (f", {pace / 1e6:.1f} MB/s of ciphertexts" if pace else "")
            )
    return all(report["usable"] for report in reports)
