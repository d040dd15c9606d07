"""Makes state dicts of LeNet k=1 (`make FOLDER`), and compares what runs made of them (`compare FOLDER`); see
scripts/check-imports."""
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from torch.nn.utils import prune

verb, folder = sys.argv[1], pathlib.Path(sys.argv[2])


class LeNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = torch.nn.Conv2d(1, 6, 3), torch.nn.Conv2d(6, 16, 3)
        self.fc1, self.fc2, self.fc3 = torch.nn.Linear(400, 120), torch.nn.Linear(120, 84), torch.nn.Linear(84, 10)


def nets():
    """The network as it is, and with half of each layer's weights pruned."""
    found = {}
    for name in ("plain", "pruned"):
        torch.manual_seed(5)
        found[name] = LeNet()
    for layer in found["pruned"].children():
        prune.l1_unstructured(layer, "weight", amount=0.5)
    return found


def effective(net):
    """What its layers compute with."""
    layers = net.named_children()
    return {f"{name}.{field}": getattr(own, field).detach() for name, own in layers for field in ("weight", "bias")}


def made(name):
    (model,) = folder.glob(f"{name}/*/model.safetensors")
    return load_file(model)


if verb == "make":
    for name, net in nets().items():
        torch.save(net.state_dict(), folder / f"{name}.pt")
        save_file(net.state_dict(), folder / f"{name}.safetensors")
else:
    for start in ("plain.pt", "pruned.pt", "pruned.safetensors"):
        wanted = effective(nets()[start.split(".")[0]])
        same, further = made(f"same-{start}"), made(f"further-{start}")
        assert same.keys() == wanted.keys(), (same.keys(), wanted.keys())
        for name, value in wanted.items():
            # A pruned weight may be -0.0 in PyTorch.
            assert torch.equal(same[name], value), f"{start}: `{name}` differs"
            assert not torch.any((value == 0) & (further[name] != 0)) or start == "plain.pt", f"{start}: `{name}` regrew"
        weights = torch.cat([value.flatten() for name, value in further.items() if name.endswith("weight")])
        share = float((weights == 0).float().mean())
        assert abs(share - 0.9) < 1e-4, f"{start}: {share} of the weights are zero, wanted 0.9"
        print(f"ok    {start}: the same weights, pruned on to {100 * share:.2f} %")
