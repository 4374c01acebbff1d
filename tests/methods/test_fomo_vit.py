"""A vision transformer through FOMO from end to end."""

import pytest
import torch
import torch.nn.functional as F

import lethe
from lethe import forget
from lethe.attacks import PGD

timm = pytest.importorskip("timm")


@pytest.mark.parametrize("criterion", ["random", "snip", "dormant"])
@pytest.mark.parametrize("granularity", ["weights", "channels"])
def test_a_vit_forgets_relearns_and_is_averaged(criterion, granularity):
    torch.manual_seed(0)
    model = timm.models.VisionTransformer(
        img_size=8, patch_size=4, embed_dim=16, depth=2, num_heads=2, num_classes=4, in_chans=3
    )
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    fomo = lethe.FOMO(
        model, optimizer, start=1, period=1, fraction=0.1, criterion=criterion, granularity=granularity,
        forgotten_state="mean", dormant_tau=0.5, clean_consistency=1.0,
    )  # fmt: skip
    attack, images, labels = PGD(steps=1), torch.rand(8, 3, 8, 8), torch.arange(8) % 4
    for epoch in range(3):
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        report = fomo.begin_epoch(epoch, [(images, labels)])
        if epoch:
            changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
            assert changed == {name for name, count in report.by_name.items() if count}
            assert "cls_token" not in report.by_name
        for _ in range(2):
            x = attack(model, images, labels)
            logits = model(x)
            loss = F.cross_entropy(logits, labels) + fomo.consistency(x, logits, images)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            fomo.end_step()
    assert torch.isfinite(loss)
    assert fomo.stable(images).shape == (8, 4)


def test_what_a_vit_owns_directly_has_no_initialiser_and_is_not_selected():
    model = timm.models.VisionTransformer(img_size=8, patch_size=4, embed_dim=16, depth=1, num_heads=2, num_classes=4)
    assert not {"cls_token", "pos_embed"} & set(forget.random_mask(model, 0.1))
    with pytest.raises(ValueError, match="cannot re-draw 'cls_token'"):
        lethe.FOMO(model, None, select=forget.everything)
    report = forget.reinitialize(model, forget.random_mask(model, 0.1, select=forget.everything), init="kaiming")
    assert report.by_name["pos_embed"] > 0
