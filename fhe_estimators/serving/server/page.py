"""The page at ``/``: what the models predict, what the server can see, how to connect. No script, no cookie."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from ...utils import readable_bytes

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --quiet: #777; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; }
p { margin: .5rem 0; } .quiet { color: var(--quiet); }
dl { display: grid; grid-template-columns: minmax(9rem, 14rem) 1fr; margin: 1rem 0; }
dt, dd { margin: 0; padding: .4rem .5rem .4rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
dt { color: var(--quiet); }
pre { overflow-x: auto; padding: .75rem 1rem; border: 1px solid var(--line); border-radius: .4rem; font-size: .85rem; }
code { font-family: ui-monospace, monospace; }
@media (max-width: 36rem) { dl { grid-template-columns: 1fr; } dd { border-top: 0; padding-top: 0; } }
"""
_TASKS = {"classification": "classes", "regression": "values", "outliers": "outliers"}
_MAX_NAMES = 60


def models_page(cards: Sequence[dict[str, Any]], url: str, *, needs_token: bool) -> str:
    """The whole page, as HTML.

    Parameters
    ----------
    cards : sequence of dict
        Of the models, as `describe_model` of the evaluation returns them.
    url : str
        Where the server is reached.
    needs_token : bool
        Whether clients must have one.
    """
    sections = "".join(_section(card, url, needs_token, several=len(cards) > 1) for card in cards)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Scores of encrypted rows</title><style>{_STYLE}</style></head><body><main>"
        "<h1>Scores of encrypted rows</h1>"
        "<p>This server computes scores of rows that it cannot read: clients encrypt them and keep the keys, and only "
        "they decrypt what comes back.</p>"
        f"{sections}</main></body></html>"
    )


def _section(card: dict[str, Any], url: str, needs_token: bool, *, several: bool) -> str:
    facts = card["describe"]
    rows = [
        ("Predicts", _predicts(card)),
        ("Features", _features(card)),
        ("The server sees", _text(facts.get("server_sees"))),
        ("Clients learn of the model", _text(facts.get("client_learns"))),
        (
            "Security",
            f"{facts['security_bits']} bits, {facts['scheme']}" if facts["security_bits"] else "not encrypted",
        ),
        ("Sent once", f"evaluation keys, {readable_bytes(facts['evaluation_key_bytes'])}"),
        ("Sent a request", f"{_size(facts['upload_bytes'])} up, {_size(facts['download_bytes'])} down"),
        ("Time", _seconds(facts.get("predicted_seconds"))),
        ("Program", f"<code>{escape(card['program_id'])}</code>, engine {escape(card['backend'])}"),
    ]
    listed = "".join(f"<dt>{title}</dt><dd>{text}</dd>" for title, text in rows if text)
    how = _connect(card, url, needs_token, several)
    return f"<section><h2>{escape(card['name'])}</h2><dl>{listed}</dl>{how}</section>"


def _predicts(card: dict[str, Any]) -> str:
    text = _TASKS.get(card.get("task") or "", "scores")
    classes = card.get("classes")
    if classes:
        text += ": " + escape(", ".join(str(label) for label in classes[:_MAX_NAMES]))
    return text


def _features(card: dict[str, Any]) -> str:
    names = card.get("feature_names")
    if not names:
        return f"{card['n_features']} numbers"
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return f"{len(names)}: {escape(', '.join(names[:_MAX_NAMES]))}{more}"


def _text(value: Any) -> str:
    return escape("; ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value or ""))


def _size(value: Any) -> str:
    if isinstance(value, dict):
        return escape(", ".join(f"{readable_bytes(size)} for {rows} rows" for rows, size in value.items()))
    return readable_bytes(value)


def _seconds(predicted: Any) -> str:
    if not isinstance(predicted, dict):
        return ""
    return escape(", ".join(f"{seconds:.3g} s for {rows} rows" for rows, seconds in predicted.items()))


def _connect(card: dict[str, Any], url: str, needs_token: bool, several: bool) -> str:
    if not card["client_archive"]:
        return "<p>The model's owner hands out its client archive, which <code>RemoteModel</code> needs.</p>"
    arguments = [f'"{url}"', *([f'model="{card["name"]}"'] if several else []), *(["token=..."] if needs_token else [])]
    code = (
        "from fhe_estimators.serving import RemoteModel\n\n"
        f"model = RemoteModel({', '.join(arguments)})\nmodel.predict(rows)  # encrypted here, scored there"
    )
    return f"<pre><code>{escape(code)}</code></pre>"
