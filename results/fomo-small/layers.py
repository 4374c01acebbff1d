"""layers.py: how many of the weights that may be forgotten the later layers of the study's two networks hold."""

from lethe.forget import later_layers, weights
from lethe.models import ModelConfig, build

NETWORKS = {"16px": ModelConfig(model="small-resnet", width=16), "32px": ModelConfig(model="timm:test_resnet")}
print("| protocol | weights that may be forgotten | in the later half of the layers | in the later three quarters |")
print("|---|---:|---:|---:|")
for protocol, config in NETWORKS.items():
    network = build(config, 10, (0.5,) * 3, (0.25,) * 3, int(protocol.removesuffix("px")))
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    selectors = weights, later_layers(0.5), later_layers(0.75)
    whole, *parts = (sum(sizes[name] for name in selector.find(network)) for selector in selectors)
    print(f"| {protocol} | {whole:,} | " + " | ".join(f"{part / whole:.0%}" for part in parts) + " |")
