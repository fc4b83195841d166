from __future__ import annotations

import pytest
import torch

from segdesk.errors import ModelError
from segdesk.nn.networks.registry import build_network, network_named, network_names, network_of
from segdesk.zoo.allowed_networks import ALLOWED_NETWORKS
from segdesk.zoo.spec import Channel, LabelSpec, ModelSpec, NetworkSpec

torch.set_num_threads(1)


def _build(name: str, dims: int = 3, **numbers: object) -> torch.nn.Module:
    network = NetworkSpec.model_validate({"name": name, "parameters": numbers})
    return build_network(network, dimensions=dims, in_channels=1, out_channels=3).eval()


def test_classic_unet_gives_the_sizes_of_the_paper() -> None:
    network = _build("classic_unet", 2, width=2)
    assert network(torch.zeros(1, 1, 572, 572)).shape == (1, 3, 388, 388)
    assert network.output_margin == 92


@pytest.mark.parametrize("wanted", [190, 200, 213])
def test_valid_size_is_the_first_length_the_classic_unet_takes(wanted: int) -> None:
    network = _build("classic_unet", 2, width=1)
    size = network.valid_size(wanted)
    out = network(torch.zeros(1, 1, size, size))
    assert size >= wanted
    assert out.shape[-1] == size - 2 * network.output_margin
    assert not any(network._fits(smaller) for smaller in range(wanted, size))


def test_classic_unet_is_the_same_wherever_the_tile_lies() -> None:
    network = _build("classic_unet", 2, width=2, depth=1)
    m = network.output_margin
    image = torch.randn(1, 1, 60, 60)
    whole = network(image)
    tile = network(image[..., 20:50, 10:40])
    torch.testing.assert_close(tile, whole[..., 20 : 50 - 2 * m, 10 : 40 - 2 * m], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("dims", "size"), [(3, (1, 1, 8, 12, 16)), (2, (1, 1, 12, 16))])
def test_residual_unet_keeps_the_size_of_the_image(dims: int, size: tuple[int, ...]) -> None:
    network = _build("residual_unet", dims, widths=[4, 8, 8])
    assert network.size_divisor == 4
    assert network(torch.zeros(size)).shape == (1, 3, *size[2:])


def test_deep_supervision_halves_the_size_of_each_further_head() -> None:
    network = _build("residual_unet", widths=[4, 8, 8], deep_supervision=1)
    heads = network.forward_deep(torch.zeros(1, 1, 8, 8, 8))
    assert [tuple(head.shape[2:]) for head in heads] == [(8, 8, 8), (4, 4, 4)]


def test_batch_of_one_equals_batch_of_many() -> None:
    network = _build("residual_unet", widths=[4, 8])
    images = torch.randn(3, 1, 8, 8, 8)
    one_by_one = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(network(images), one_by_one, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", sorted(set(network_names()) - {"classic_unet", "two_path_cnn", "patch_cnn"}))
@pytest.mark.parametrize("dims", [2, 3])
def test_padded_networks_run_at_their_default_numbers(name: str, dims: int) -> None:
    network = build_network(network_named(name), dimensions=dims, in_channels=2, out_channels=3).eval()
    size = (1, 2, *[max(16, 2 * network.size_divisor)] * dims)
    assert network.output_margin == 0
    with torch.inference_mode():
        assert network(torch.zeros(size)).shape == (1, 3, *size[2:])


def test_every_network_that_can_be_built_is_on_the_allow_list() -> None:
    assert set(network_names()) <= ALLOWED_NETWORKS


def test_unknown_name_is_refused() -> None:
    with pytest.raises(ModelError, match="unknown"):
        network_named("os.system")
    spec = NetworkSpec.model_construct(name="evil", parameters={})
    with pytest.raises(ModelError, match="unknown"):
        build_network(spec, dimensions=3, in_channels=1, out_channels=2)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("residual_unet", {"widths": []}),
        ("residual_unet", {"widths": "abc"}),
        ("residual_unet", {"colour": 3}),
        ("unet", {"strides": [2]}),
        ("classic_unet", {"width": 4}),
    ],
)
def test_numbers_that_make_no_network_are_refused(name: str, numbers: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="not valid"):
        _build(name, 3, **numbers)


def test_network_of_a_model_takes_its_channels_and_gives_background_and_its_labels() -> None:
    spec = ModelSpec(
        name="m", title="m", dimensions=3, patch_kji=(8, 8, 8), weights_sha256="0" * 64,
        network=NetworkSpec.model_validate({"name": "residual_unet", "parameters": {"widths": [4, 4]}}),
        channels=(Channel(name="a"), Channel(name="b")),
        labels=(LabelSpec(value=3, name="x", colour_rgb=(1, 2, 3)),),
    )  # fmt: skip
    assert network_of(spec)(torch.zeros(1, 2, 8, 8, 8)).shape == (1, 2, 8, 8, 8)
