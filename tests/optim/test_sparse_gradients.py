"""Every rule over an embedding with sparse gradients takes the steps that it takes with dense ones."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from two_pass_trials import every_rule


def trained(rule, *, sparse, foreach):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(10, 4, sparse=sparse), nn.Flatten(), nn.Linear(12, 3))
    optimizer = rule.build(model.parameters(), lr=0.1, foreach=foreach)
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        # A word occurs more than once, so that its gradient is a sum of several entries.
        words, labels = (torch.randint(n, shape, generator=generator) for n, shape in ((5, (6, 3)), (3, (6,))))

        def closure(words=words, labels=labels):
            optimizer.zero_grad()
            F.cross_entropy(model(words), labels).backward()

        optimizer.step(closure)
    return list(model.parameters())


@every_rule
@pytest.mark.parametrize("foreach", [True, False])
def test_sparse_gradients_take_the_steps_of_dense_ones(rule, foreach):
    pairs = zip(trained(rule, sparse=True, foreach=foreach), trained(rule, sparse=False, foreach=foreach), strict=True)
    for sparse, dense in pairs:
        torch.testing.assert_close(sparse, dense, rtol=1e-5, atol=1e-6)
