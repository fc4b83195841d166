"""The networks a model folder may name; `segdesk.nn.networks` builds exactly these."""

from __future__ import annotations

ALLOWED_NETWORKS: frozenset[str] = frozenset(
    {
        "residual_unet",
        "unet",
        "basic_unet",
        "dyn_unet",
        "segresnet",
        "classic_unet",
        "fcn",
        "deeplab",
        "all_dropout",
        "all_convolutional",
        "inverted_net",
        "two_path_cnn",
        "patch_cnn",
        "plain_conv_unet",
        "residual_encoder_unet",
    }
)
"""A folder that names anything else is refused before a single weight is read."""
