"""The networks in PyTorch that ours are compared with, numbers (make_golden.py) and speed (../bench/peer.py): the supernet
and the derived network of DARTS, and ResNet-18 for small images, written anew from the papers with the parameter names
that PyTorch implementations of them use. PyTorch 1.13 or later.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

NODES = 4
OPS = ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3",
       "dil_conv_5x5")
DARTS_V2 = {  # pairs 2i, 2i+1 enter node i
    False: [("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 1),
            ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2)],
    True: [("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1), ("max_pool_3x3", 0),
           ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1)],
}


class FactorizedReduce(nn.Module):
    def __init__(self, c_in, c_out, affine):
        super().__init__()
        self.conv_1 = nn.Conv2d(c_in, c_out // 2, 1, stride=2, bias=False)
        self.conv_2 = nn.Conv2d(c_in, c_out - c_out // 2, 1, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(c_out, affine=affine)

    def forward(self, x):
        x = F.relu(x)
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], 1))


class Stack(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.op = nn.Sequential(*layers)

    def forward(self, x):
        return self.op(x)


def relu_conv_bn(c_in, c_out, affine):
    return Stack(nn.ReLU(), nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out, affine=affine))


def separable(c, k, stride, dilation, affine):
    pad = dilation * (k - 1) // 2
    return [nn.ReLU(), nn.Conv2d(c, c, k, stride, pad, dilation, groups=c, bias=False), nn.Conv2d(c, c, 1, bias=False),
            nn.BatchNorm2d(c, affine=affine)]


def operation(name, c, stride, derived):
    """The operations of a derived net have gamma and beta; pools have a BN in the supernet alone."""
    k = int(name[-1]) if name[-1].isdigit() else 0
    if name == "none":
        return nn.Identity()  # holds the place; what it would add is zero, and Edge leaves it out
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(c, c, derived)
    if "pool" in name:
        pool = nn.MaxPool2d(k, stride, k // 2) if "max" in name else nn.AvgPool2d(k, stride, k // 2,
                                                                                 count_include_pad=False)
        return pool if derived else nn.Sequential(pool, nn.BatchNorm2d(c, affine=False))
    if name.startswith("sep_conv"):
        return Stack(*separable(c, k, stride, 1, derived), *separable(c, k, 1, 1, derived))
    assert name.startswith("dil_conv"), name
    return Stack(*separable(c, k, stride, 2, derived))


def add(terms):
    total = None
    for term in terms:
        total = term if total is None else total + term
    return total


class Edge(nn.Module):
    def __init__(self, c, stride):
        super().__init__()
        self._ops = nn.ModuleList(operation(name, c, stride, False) for name in OPS)

    def forward(self, x, weights):
        return add(weights[i] * op(x) for i, op in enumerate(self._ops) if OPS[i] != "none")


class SearchEdges(nn.ModuleList):
    def __init__(self, c, reduction):
        super().__init__(Edge(c, 2 if reduction and j < 2 else 1) for i in range(NODES) for j in range(i + 2))

    def forward(self, states, weights):
        first = 0
        for _ in range(NODES):
            states.append(add(self[first + j](s, weights[first + j]) for j, s in enumerate(states)))
            first += len(states) - 1


class ChosenEdges(nn.ModuleList):
    def __init__(self, c, reduction):
        self.genes = DARTS_V2[reduction]
        super().__init__(operation(name, c, 2 if reduction and j < 2 else 1, True) for name, j in self.genes)

    def forward(self, states, weights):
        for i in range(NODES):
            states.append(add(self[k](states[self.genes[k][1]]) for k in (2 * i, 2 * i + 1)))


class Cell(nn.Module):
    def __init__(self, c_before, c_last, c, reduction, reduction_before, derived):
        super().__init__()
        self.reduction = reduction
        self.preprocess0 = (FactorizedReduce if reduction_before else relu_conv_bn)(c_before, c, derived)
        self.preprocess1 = relu_conv_bn(c_last, c, derived)
        self._ops = (ChosenEdges if derived else SearchEdges)(c, reduction)

    def forward(self, s0, s1, weights):
        states = [self.preprocess0(s0), self.preprocess1(s1)]
        self._ops(states, weights)
        return torch.cat(states[-NODES:], 1)


class CellNet(nn.Module):
    """Supernet or derived net: stem, cells, global average, linear."""

    def __init__(self, c_in, c, layers, classes, derived):
        super().__init__()
        stem = 3 * c
        self.stem = nn.Sequential(nn.Conv2d(c_in, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem))
        self.cells = nn.ModuleList()
        before, last, reduced = stem, stem, False
        for i in range(layers):
            reduction = i in (layers // 3, 2 * layers // 3)
            c *= 2 if reduction else 1
            self.cells.append(Cell(before, last, c, reduction, reduced, derived))
            before, last, reduced = last, NODES * c, reduction
        self.classifier = nn.Linear(last, classes)

    def features(self, x, mix):
        # Layouts of a single channel look alike: say here which one is meant.
        s0 = s1 = self.stem(x).contiguous(memory_format=torch.channels_last)
        for cell in self.cells:
            s0, s1 = s1, cell(s0, s1, mix[int(cell.reduction)] if mix else None)
        return s1

    def forward(self, x, mix):
        return self.classifier(self.features(x, mix).mean((2, 3)))


class Block(nn.Module):
    def __init__(self, c_in, c, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c)
        self.conv2 = nn.Conv2d(c, c, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c)
        self.downsample = nn.Sequential(nn.Conv2d(c_in, c, 1, stride, bias=False),
                                        nn.BatchNorm2d(c)) if stride > 1 else nn.Identity()

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x), inplace=True)


class ResNet18(nn.Module):
    """For small images: a 3x3 stem of stride 1 without pooling."""

    def __init__(self, c_in, c, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c)
        blocks, last = [], c
        for stage in range(4):
            for stride in (2 if stage else 1, 1):
                blocks.append(Block(last, c << stage, stride))
                last = c << stage
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(last, classes)

    def features(self, x, mix):
        return self.blocks(F.relu(self.bn1(self.conv1(x)), inplace=True).contiguous(memory_format=torch.channels_last))

    def forward(self, x, mix):
        return self.fc(self.features(x, mix).mean((2, 3)))
