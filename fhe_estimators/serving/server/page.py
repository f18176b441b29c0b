"""The page at ``/``: what the models predict, what the server can see, how to connect. No script, no cookie.

Names of features, labels and models are texts of others: everything is escaped, and the policy lets a browser load or
run nothing but the style.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from ...utils import readable_bytes

_STYLE = """
:root { color-scheme: light dark; --text: #1c2024; --quiet: #59636e; --line: #d5dbe1; --soft: #f4f6f8; --back: #fff;
  --link: #0b5cad; --warn: #8a2c0d; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e9ec; --quiet: #9fabb7; --line: #363e47; --soft: #1b2026; --back: #12161a; --link: #7db7f5;
    --warn: #ffb08f; }
}
* { box-sizing: border-box; }
body { background: var(--back); color: var(--text); font: 16px/1.55 system-ui, sans-serif; margin: 0 auto;
  max-width: 58rem; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 0 0 .75rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
p { margin: .5rem 0; max-width: 44rem; } a { color: var(--link); } .quiet { color: var(--quiet); }
.warn { color: var(--warn); font-weight: 600; }
section { border-top: 1px solid var(--line); margin-top: 2.25rem; padding-top: 1.75rem; }
dl { display: grid; grid-template-columns: 11rem minmax(0, 1fr); margin: 0; }
dt, dd { margin: 0; padding: .45rem 1rem .45rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
dt:first-of-type, dt:first-of-type + dd { border-top: 0; }
dt { color: var(--quiet); }
ul { list-style: none; margin: 0; padding: 0; }
.names { display: flex; flex-wrap: wrap; gap: .3rem; margin-top: .3rem; }
.names li { background: var(--soft); border: 1px solid var(--line); border-radius: .3rem; font-size: .875rem;
  max-width: 100%; padding: 0 .45rem; }
.models li { border-top: 1px solid var(--line); padding: .5rem 0; overflow-wrap: anywhere; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: .4rem; font-size: .85rem; margin: .25rem 0;
  overflow-x: auto; padding: .7rem .9rem; }
code { font-family: ui-monospace, monospace; font-size: .92em; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
@media (max-width: 36rem) {
  body { padding-top: 1.25rem; } dl { grid-template-columns: 1fr; }
  dt { padding-bottom: 0; } dd { border-top: 0; padding-top: 0; }
}
"""
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
#: What a browser is told beside the page.
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_TASKS = {"classification": "classes", "regression": "values", "outliers": "outliers (-1) and inliers (+1)"}
_MAX_NAMES, _MAX_CHARACTERS = 60, 120


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
    several = len(cards) > 1
    bare = "" if all(card["describe"]["security_bits"] for card in cards) else ", but for those marked as not encrypted"
    sections = "".join(_section(card, url, needs_token, several=several) for card in cards)
    contents = (
        f'<nav aria-label="Models"><ul class="models">{"".join(map(_entry, cards))}</ul></nav>' if several else ""
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Scores of encrypted rows</title><style>{_STYLE}</style></head><body><main>"
        "<h1>Scores of encrypted rows</h1>"
        f"<p>This server computes scores of rows that it cannot read{bare}: clients encrypt them and keep the keys, "
        "and only they decrypt what comes back.</p>"
        f"{contents}{sections}</main></body></html>"
    )


def _entry(card: dict[str, Any]) -> str:
    about = f"{_predicts(card)}; {_counted_features(card)}; {_security(card)}"
    return f'<li><a href="#model-{escape(card["name"])}">{escape(card["name"])}</a><br>{about}</li>'


def _section(card: dict[str, Any], url: str, needs_token: bool, *, several: bool) -> str:
    facts = card["describe"]
    rows = [
        ("Predicts", _predicts(card)),
        ("Features", _features(card)),
        ("Reasons", _reasons(card)),
        ("Security", _security(card)),
        ("The server sees", _text(facts.get("server_sees"))),
        ("It cannot see", "rows, scores, predictions, secret keys" if facts["security_bits"] else ""),
        ("Clients learn of the model", _text(facts.get("client_learns"))),
        ("Sent once", f"evaluation keys, {readable_bytes(facts['evaluation_key_bytes'])}"),
        ("Sent a request", _request(facts)),
        ("Time", _seconds(facts.get("predicted_seconds"))),
        ("Program", f"<code>{escape(card['program_id'])}</code>, engine {escape(card['backend'])}"),
    ]
    listed = "".join(f"<dt>{title}</dt><dd>{text}</dd>" for title, text in rows if text)
    name = escape(card["name"])
    heading = f'<h2 id="model-{name}">{name}</h2>'
    return f"<section>{heading}<dl>{listed}</dl>{_connect(card, url, needs_token, several)}</section>"


def _predicts(card: dict[str, Any]) -> str:
    if card.get("explains"):
        return f"what each feature contributes to the scores of {_link(card['explains'])}"
    text = _TASKS.get(card.get("task") or "", "scores")
    classes = card.get("classes")
    if not classes:
        return text
    if isinstance(classes[0], list):
        return f"{text} of {len(classes)} outputs: " + "; ".join(_labels(of_output) for of_output in classes)
    return f"{text}: {_labels(classes)}"


def _labels(classes: Sequence[Any]) -> str:
    more = f" and {len(classes) - _MAX_NAMES} more" if len(classes) > _MAX_NAMES else ""
    return ", ".join(_name(label) for label in classes[:_MAX_NAMES]) + more


def _counted_features(card: dict[str, Any]) -> str:
    return f"{len(card.get('feature_names') or ()) or card['n_features']} features"


def _features(card: dict[str, Any]) -> str:
    names = card.get("feature_names")
    if not names:
        return f"{card['n_features']}, without names"
    listed = "".join(f"<li>{_name(name)}</li>" for name in names[:_MAX_NAMES])
    more = f"<li>and {len(names) - _MAX_NAMES} more</li>" if len(names) > _MAX_NAMES else ""
    return f'{len(names)}<ul class="names">{listed}{more}</ul>'


def _reasons(card: dict[str, Any]) -> str:
    return f"what each feature contributes, by {_link(card['contributions'])}" if card.get("contributions") else ""


def _security(card: dict[str, Any]) -> str:
    facts = card["describe"]
    if facts["security_bits"]:
        return f"{_text(facts['security_bits'])} bits, {_text(facts['scheme'])}"
    return '<span class="warn">not encrypted: the server reads rows and scores</span>'


def _request(facts: dict[str, Any]) -> str:
    small, few = facts.get("small_request_bytes"), facts.get("rows_per_small_request")
    up = f"{_size(facts['upload_bytes'])} up, {_size(facts['download_bytes'])} down"
    rows = facts.get("rows_per_batch")
    text = f"{up}, for up to {_text(rows)} rows" if rows else up
    return f"{text}; {_size(small)} up for up to {_text(few)} rows" if small and few and few != rows else text


def _link(name: str) -> str:
    return f'<a href="#model-{escape(name)}">{escape(name)}</a>'


def _name(value: Any) -> str:
    """A text of others: whatever direction it is written in, what follows is not turned around."""
    text = str(value)
    shown = text if len(text) <= _MAX_CHARACTERS else text[:_MAX_CHARACTERS] + "…"
    return escape(shown) if shown.isascii() else f"<bdi>{escape(shown)}</bdi>"


def _text(value: Any) -> str:
    return escape("; ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value or ""))


def _size(value: Any) -> str:
    if isinstance(value, dict):
        return escape(", ".join(f"{readable_bytes(size)} for {rows} rows" for rows, size in value.items()))
    return readable_bytes(value)


def _seconds(predicted: Any) -> str:
    if not isinstance(predicted, dict):
        return ""
    times = (
        f"{seconds:.2g} s for {int(rows):,} {'row' if rows == '1' else 'rows'}" for rows, seconds in predicted.items()
    )
    return escape("about " + ", ".join(times))


def _connect(card: dict[str, Any], url: str, needs_token: bool, several: bool) -> str:
    if not card["client_archive"]:
        return (
            "<p>The model's owner hands out its client archive, which <code>RemoteModel</code> and "
            "<code>fhe-estimators connect --client-archive</code> need.</p>"
        )
    if card.get("explains"):
        code = f"{_remote(card['explains'], url, needs_token, several)}\nmodel.predict_contributions(rows)"
        return _blocks([("In Python", ["from fhe_estimators.serving import RemoteModel", "", code])])
    model = f" --model {card['name']}" if several else ""
    token = ["export FHE_ESTIMATORS_TOKEN=..."] if needs_token else []
    address = shlex.quote(url)
    python = [
        "from fhe_estimators.serving import RemoteModel",
        "",
        _remote(card["name"], url, needs_token, several),
        "model.predict(rows)  # encrypted here, scored there",
        *(["model.predict_contributions(rows)"] if card.get("contributions") else []),
    ]
    return _blocks(
        [
            ("In a browser", [*token, f"fhe-estimators connect {address}{model}"]),
            ("A table of rows", [*token, f"fhe-estimators predict {address} rows.csv --out scores.csv{model}"]),
            ("In Python", python),
        ]
    )


def _remote(name: str, url: str, needs_token: bool, several: bool) -> str:
    arguments = [json.dumps(url), *([f'model="{name}"'] if several else []), *(["token=..."] if needs_token else [])]
    return f"model = RemoteModel({', '.join(arguments)})"


def _blocks(blocks: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Code under titles; it scrolls by itself, so that it can be focused."""
    return "".join(
        f'<h3>{title}</h3><pre tabindex="0" aria-label="{title}"><code>{escape(chr(10).join(lines))}</code></pre>'
        for title, lines in blocks
    )
