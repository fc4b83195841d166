from __future__ import annotations

from segdesk.nn.networks.registry import network_names
from segdesk.zoo.allowed_networks import ALLOWED_NETWORKS


def test_a_folder_may_name_exactly_the_networks_that_can_be_built() -> None:
    assert set(network_names()) == ALLOWED_NETWORKS
