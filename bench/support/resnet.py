"""The ResNet of the CNN and the SwAV step in PyTorch, with the numbers of a state file."""

from torch import nn
from torch.nn import functional as F

from training import linear, with_parameters


class NormedConv(nn.Module):
    def __init__(self, state, path, statistics, stride=1):
        super().__init__()
        weight = state[f"{path}/conv/weight"]
        outputs, inputs, size, _ = weight.shape
        self.conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
        self.conv.weight.data = weight
        norm = nn.BatchNorm2d(outputs)
        self.norm = with_parameters(norm, state[f"{path}/norm/gain"], state[f"{path}/norm/bias"])
        norm.running_mean.data, norm.running_var.data = state[f"{statistics}/mean"], state[f"{statistics}/variance"]

    def forward(self, x):
        return self.norm(self.conv(x))


class Block(nn.Module):
    def __init__(self, state, path, statistics, stride):
        super().__init__()
        layer = lambda i, step: NormedConv(state, f"{path}/layers/{i}", f"{statistics}/layers/{i}", step)
        self.first, self.second = layer(0, stride), layer(1, 1)
        changes = f"{path}/shortcut/conv/weight" in state
        self.shortcut = (
            NormedConv(state, f"{path}/shortcut", f"{statistics}/shortcut", stride) if changes else nn.Identity()
        )

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x), inplace=True)


class ResNet(nn.Module):
    def __init__(self, model, state, path, statistics):
        super().__init__()
        self.stem = NormedConv(state, f"{path}/stem", f"{statistics}/stem")
        self.blocks = nn.Sequential(
            *[
                Block(state, f"{path}/stages/{s}/{i}", f"{statistics}/stages/{s}/{i}", 2 if s > 0 and i == 0 else 1)
                for s, count in enumerate(model["blocks"])
                for i in range(count)
            ]
        )
        self.head = linear(state, f"{path}/head") if f"{path}/head/weight" in state else nn.Identity()

    def forward(self, x):
        return self.head(self.blocks(F.relu(self.stem(x))).mean((2, 3)))
