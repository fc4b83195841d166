"""`segdesk cache`: the predictions that are kept, and room on the disk."""

from __future__ import annotations

from segdesk.cli.console import Console, Json
from segdesk.cli.options import JsonOption
from segdesk.session.result_cache import LIMIT_VARIABLE, CacheSize, ResultCache


def info(json: JsonOption = False) -> None:
    """Say where results of models are kept, how many, and how much room they take."""
    cache = ResultCache.of_user()
    size = cache.size()
    payload = {**_payload(cache, size), "limit_bytes": cache.limit_bytes}
    limit = f" of {_megabytes(cache.limit_bytes)}" if cache.limit_bytes else f"; turned off by {LIMIT_VARIABLE}"
    text = f"{cache.folder}: {size.results} results, {_megabytes(size.bytes)}{limit}."
    Console(json=json, quiet=True).show(payload, lambda page: page.line(text))


def clear(json: JsonOption = False) -> None:
    """Forget all results; no project, mask or model is touched."""
    cache = ResultCache.of_user()
    removed = cache.clear()
    text = f"{cache.folder}: {removed.results} results removed, {_megabytes(removed.bytes)}."
    Console(json=json, quiet=True).show(_payload(cache, removed), lambda page: page.line(text))


def _payload(cache: ResultCache, size: CacheSize) -> Json:
    return {"folder": cache.folder, "results": size.results, "bytes": size.bytes}


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"
