"""A predictor that remembers: what it was asked before it answers from the result cache."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segdesk.core.geometry import Grid
from segdesk.core.labels import LabelMap
from segdesk.core.prediction import Prediction, PredictOptions, Predictor
from segdesk.core.progress import Progress
from segdesk.core.provenance import Origin, OriginKind
from segdesk.core.volume import Volume
from segdesk.session.result_cache import ResultCache
from segdesk.session.stored_result import StoredResult

if TYPE_CHECKING:
    from segdesk.zoo.spec import ModelSpec

_PARTS = ("load", "preprocess", "network", "postprocess")


class CachedPredictor:
    """Asks another predictor only for what it has not answered before; a `Predictor` itself.

    Runs with probabilities or a map of uncertainty are never stored: a float per voxel and label,
    some hundred times the size of the mask, would push out the masks of a whole project.

    Parameters
    ----------
    predictor : Predictor
        Runs models.
    cache : ResultCache
        Where results lie.
    """

    def __init__(self, predictor: Predictor, cache: ResultCache) -> None:
        self._predictor = predictor
        self._cache = cache

    def __call__(
        self, channels: Mapping[str, Volume], model: Path, options: PredictOptions, report: Progress
    ) -> Prediction:
        """Return the prediction; its manifest says "cached", and whose seconds are whose.

        A result from the cache has this run's "seconds", and below "cache" when it was made and
        what that took. The weights are held against their hash before it is handed out.

        Raises
        ------
        SegdeskError
            As the predictor; the cache itself never fails one.
        """
        # Loaded when needed: pydantic takes longer than a window may.
        from segdesk.session.result_key import result_key
        from segdesk.zoo.channel_choice import chosen_channels
        from segdesk.zoo.model_folder import ModelFolder

        start = time.perf_counter()
        folder = ModelFolder.load(model)
        chosen = chosen_channels(folder.spec, channels)
        if chosen is None or options.probabilities or options.uncertainty is not None or not self._cache.limit_bytes:
            return self._predictor(channels, model, options, report)
        report(0, 0, "Looking for an earlier result")
        key = result_key(chosen, folder.spec, options)
        stored = self._cache.find(key)
        if stored is None:
            prediction = self._predictor(channels, model, options, report)
            self._cache.keep(key, StoredResult.of(prediction))
            return prediction
        folder.verify()
        manifest = _manifest(stored, time.perf_counter() - start)
        return Prediction(_labels(stored, next(iter(chosen.values())).geometry, folder.spec), manifest)


def cached_text(manifest: Mapping[str, Any]) -> str:
    """Return a sentence on where a result came from, "" when a model has just run."""
    if not manifest.get("cached"):
        return ""
    made = manifest["cache"]
    seconds = (made["seconds"] or {}).get("total")
    took = "" if seconds is None else f" in {seconds:.1f} s"
    return f"From the result cache: made {datetime.fromisoformat(made['created']).astimezone():%Y-%m-%d %H:%M}{took}"


def _labels(stored: StoredResult, grid: Grid, spec: ModelSpec) -> LabelMap:
    origin = Origin(OriginKind.MODEL, spec.identity, (), stored.parameters, spec.weights_sha256, created=stored.created)
    return LabelMap((stored.labels,), grid, spec.label_table, origin)


def _manifest(stored: StoredResult, seconds: float) -> dict[str, Any]:
    """Return the manifest of the run that made the labels, with what was spent now in place of then."""
    spent = dict.fromkeys(_PARTS, 0.0) | {"total": round(seconds, 4)}
    made = {name: stored.manifest.get(name) for name in ("seconds", "peak_memory_mib")}
    return {
        **stored.manifest,
        "cached": True,
        "seconds": spent,
        "peak_memory_mib": None,
        "cache": {"created": stored.created.isoformat(), **made},
    }
