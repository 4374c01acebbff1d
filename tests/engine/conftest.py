import pytest
import torch


def differences(one, two, where=""):
    if isinstance(one, torch.Tensor):
        same = isinstance(two, torch.Tensor) and one.dtype == two.dtype and torch.equal(one, two)
        return [] if same else [where]
    if type(one) is not type(two):
        return [where]
    if isinstance(one, dict):
        if list(one) != list(two):
            return [where]
        return [found for key in one for found in differences(one[key], two[key], f"{where}/{key}")]
    if isinstance(one, (list, tuple)):
        if len(one) != len(two):
            return [where]
        return [
            found for i, pair in enumerate(zip(one, two, strict=True)) for found in differences(*pair, f"{where}/{i}")
        ]
    return [] if one == two else [where]


@pytest.fixture(scope="session")
def assert_same_bits():
    """Assert that two nested states are equal to the bit; the message names every place that is not."""

    def check(one, two):
        assert differences(one, two) == []

    return check
