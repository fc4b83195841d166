"""The descriptions of a MONAI bundle: ``metadata.json`` and an ``inference.json`` without a single expression."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from segdesk.zoo.foreign.axes import network_in_our_axes, to_foreign
from segdesk.zoo.foreign.bundle import CONTRACT_KEY, OWN_TARGET
from segdesk.zoo.monai_networks import MONAI_NETWORKS, monai_arguments
from segdesk.zoo.spec import Channel, ModelSpec, NetworkSpec, Normalisation

_CONTRACT_FIELDS = (
    "name", "version", "title", "dimensions", "channels", "labels", "spacing_kji_mm", "patch_kji", "orientation",
    "flip_axes", "post_processing", "metrics",
)  # fmt: skip


def bundle_axes(spec: ModelSpec) -> tuple[int, ...]:
    """Return MONAI's order of axes, (i, j, k), as a permutation of ours."""
    return tuple(reversed(range(spec.dimensions)))


def bundle_network(spec: ModelSpec) -> NetworkSpec:
    """Return the network with its numbers per axis in MONAI's order (reversing twice changes nothing)."""
    return network_in_our_axes(spec.network, bundle_axes(spec))


def network_definition(spec: ModelSpec) -> dict[str, Any]:
    """Return ``network_def``: MONAI's class where it has one, else our builder."""
    network = bundle_network(spec)
    sizes = {"in_channels": len(spec.channels), "out_channels": len(spec.label_values)}
    if network.name in MONAI_NETWORKS:
        arguments = monai_arguments(network, dimensions=spec.dimensions, **sizes)
        return {"_target_": MONAI_NETWORKS[network.name].class_name, **arguments}
    return {
        "_target_": OWN_TARGET,
        "name": network.name,
        "dimensions": spec.dimensions,
        **sizes,
        "parameters": network.parameters,
    }


def inference_config(spec: ModelSpec) -> dict[str, Any]:
    """Return ``inference.json``: network, preparation, window and answer."""
    window = to_foreign(spec.patch_kji[3 - spec.dimensions :], bundle_axes(spec))
    answer = {"_target_": "Activationsd", "keys": "pred", "softmax": True}
    decide = {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}
    largest = [rule.label for rule in spec.post_processing if rule.largest_component]
    keep = {"_target_": "KeepLargestConnectedComponentd", "keys": "pred", "applied_labels": largest}
    return {
        "network_def": network_definition(spec),
        "preprocessing": {"_target_": "Compose", "transforms": _preparation(spec)},
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": list(window),
            "sw_batch_size": 1,
            "overlap": 0.5,
            "mode": "gaussian",
        },
        "postprocessing": {"_target_": "Compose", "transforms": [answer, decide, *([keep] if largest else [])]},
    }


def metadata(spec: ModelSpec) -> dict[str, Any]:
    """Return ``metadata.json``; under `CONTRACT_KEY` what only segdesk understands, for the way back."""
    plain = spec.model_dump(mode="json")
    contract = {name: plain[name] for name in _CONTRACT_FIELDS}
    terms = "not known" if spec.training is None else spec.training.licence
    data = "not known" if spec.training is None else spec.training.dataset
    if spec.training is not None:
        # Names and hashes of cases stay at home.
        contract["training"] = {"dataset": data, "licence": terms, "recipe": spec.training.recipe}
    image = {
        "type": "image",
        "format": "magnitude",
        "modality": next((channel.modality for channel in spec.channels if channel.modality), "n/a"),
        "num_channels": len(spec.channels),
        "spatial_shape": list(to_foreign(spec.patch_kji[3 - spec.dimensions :], bundle_axes(spec))),
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": True,
        "channel_def": {str(n): channel.name for n, channel in enumerate(spec.channels)},
    }
    outputs = {"0": "background"} | {str(n + 1): label.name for n, label in enumerate(spec.labels)}
    answer = image | {
        "format": "segmentation",
        "num_channels": len(spec.label_values),
        "value_range": [0, 1],
        "channel_def": outputs,
    }
    own = {} if spec.network.name in MONAI_NETWORKS else {"segdesk": version("segdesk")}
    return {
        "version": spec.version,
        "changelog": {spec.version: f"exported from {spec.identity}"},
        "monai_version": version("monai"),
        "pytorch_version": version("torch"),
        "numpy_version": version("numpy"),
        "required_packages_version": own,
        "name": spec.title,
        "task": spec.title,
        "description": "For research use only; not a medical device. Arrays are (i, j, k).",
        "authors": "exported by segdesk",
        "copyright": terms,
        "data_source": data,
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": answer}},
        CONTRACT_KEY: contract,
    }


def _preparation(spec: ModelSpec) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = [{"_target_": "LoadImaged"}, {"_target_": "EnsureChannelFirstd"}]
    if spec.orientation is not None:
        steps.append({"_target_": "Orientationd", "axcodes": spec.orientation})
    steps += _intensities(spec.channels)
    if spec.spacing_kji_mm is not None:
        pixdim = list(reversed(spec.spacing_kji_mm[3 - spec.dimensions :]))
        steps.append({"_target_": "Spacingd", "pixdim": pixdim, "mode": "bilinear"})
    steps.append({"_target_": "EnsureTyped"})
    return [{"_target_": step.pop("_target_"), "keys": "image", **step} for step in steps]


def _intensities(channels: tuple[Channel, ...]) -> list[dict[str, Any]]:
    """Return MONAI's steps for one normalisation of all channels; [] where MONAI has none like it."""
    kinds = {channel.normalisation for channel in channels}
    return _normalisation(kinds.pop()) if len(kinds) == 1 else []


def _normalisation(how: Normalisation) -> list[dict[str, Any]]:
    low, high = how.low or 0.0, 0.0 if how.high is None else how.high
    clip = {"_target_": "ClipIntensityPercentilesd", "lower": low, "upper": high, "channel_wise": True}
    scale = {"_target_": "NormalizeIntensityd", "channel_wise": True, "nonzero": how.kind == "zscore_inside"}
    if how.kind in ("zscore", "zscore_inside") and how.low is None:
        return [scale]
    if how.kind == "zscore" and how.high is not None:
        return [clip, scale]
    if how.kind == "percentiles":
        clipped = {"b_min": 0.0, "b_max": 1.0, "clip": True, "channel_wise": True}
        return [{"_target_": "ScaleIntensityRangePercentilesd", "lower": low, "upper": high, **clipped}]
    if how.kind == "window" and how.mean is not None and how.std is not None:
        scaled = {"b_min": (low - how.mean) / how.std, "b_max": (high - how.mean) / how.std, "clip": True}
        return [{"_target_": "ScaleIntensityRanged", "a_min": low, "a_max": high, **scaled}]
    return []
