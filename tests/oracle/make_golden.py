#!/usr/bin/env python3
"""Writes tests/golden/oracle_*.txt: what PyTorch says a small DARTS supernet computes.

    python3 tests/oracle/make_golden.py        (PyTorch 2.x and NumPy; the tests themselves need neither)

The supernet (C=4, 3 cells, the eight operations) is that of networks.py. Inputs and weights come from an integer hash of
their name and element, which tests/unit/test_engine.c computes too, so no tensor has to be stored. All arithmetic is
float64 from float32 weights.
"""
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from hashed import hash_u
from networks import NODES, OPS, CellNet

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

CLASSES, CHANNELS, LAYERS, SIDE, BATCH, STEPS = 5, 4, 3, 8, 4, 20
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden")


# ---- numbers that C can make too ----

def hash_tensor(name, shape, scale, shift=0.0):
    values = (shift + scale * hash_u(name, int(np.prod(shape)))).astype(np.float32)
    return torch.tensor(values.astype(np.float64)).reshape(shape)


def batch(name):
    x = hash_tensor(name, (BATCH, 3, SIDE, SIDE), 1.5)
    y = torch.tensor(np.floor((hash_u(name + "/label", BATCH) + 1) / 2 * CLASSES).astype(np.int64))
    return x, y


# ---- supernet ----

def supernet():
    return CellNet(3, CHANNELS, LAYERS, CLASSES, False)


def hash_weights(net):
    with torch.no_grad():
        for name, p in net.named_parameters():
            if p.dim() > 1:
                p.copy_(hash_tensor(name, p.shape, (3.0 / p[0].numel()) ** 0.5))
            elif name.startswith("classifier"):
                p.copy_(hash_tensor(name, p.shape, 0.1))
            else:
                p.copy_(hash_tensor(name, p.shape, 0.25, 1.0 if name.endswith("weight") else 0.0))


def alphas(scale):
    edges = NODES * (NODES + 3) // 2
    return [hash_tensor(name, (edges, len(OPS)), scale).requires_grad_() for name in ("normal", "reduce")]


class Golden:
    def __init__(self, name, about):
        self.file = open(os.path.join(GOLDEN, name), "w")
        self.file.write("# %s\n# PyTorch, float64, by tests/oracle/make_golden.py\n" % about)

    def line(self, key, *values):
        self.file.write(" ".join([key] + [v if isinstance(v, str) else "%.9g" % v for v in values]) + "\n")


def write_gradients():
    net, a = supernet(), alphas(1.0)
    hash_weights(net)
    mix = [F.softmax(v, 1).detach().requires_grad_() for v in a]
    x, y = batch("train0")
    out = Golden("oracle_gradients.txt", "one step: logits, loss; gradient NAME norm projection; mix gradients; "
                 "running statistics: norm projection")
    net.train()
    logits = net(x, mix)
    loss = F.cross_entropy(logits, y)
    loss.backward()
    for i, v in enumerate(logits.detach().flatten().tolist()):
        out.line("logit", str(i), v)
    out.line("loss", loss.item())
    for name, p in net.named_parameters():
        g = p.grad.flatten().numpy()
        out.line("gradient", name, np.linalg.norm(g), g @ hash_u(name + "/direction", g.size))
    for t, table in enumerate(mix):
        for i, v in enumerate(table.grad.flatten().tolist()):
            out.line("mix", str(t), str(i), v)
    for name, b in net.named_buffers():
        if name.endswith("running_mean") or name.endswith("running_var"):
            v = b.flatten().numpy()
            out.line("statistic", name, np.linalg.norm(v), v @ hash_u(name, v.size))
    net.eval()
    with torch.no_grad():
        for i, v in enumerate(net(x, mix).flatten().tolist()):
            out.line("eval", str(i), v)


def write_trajectory():
    net, a = supernet(), alphas(0.001)
    hash_weights(net)
    sgd = torch.optim.SGD(net.parameters(), 0.005, 0.9, weight_decay=3e-4)
    adam = torch.optim.Adam(a, 3e-3, (0.5, 0.999), weight_decay=1e-3)
    out = Golden("oracle_trajectory.txt", "first-order search: step, loss on the alpha batch, loss on the weight batch, "
                 "gradient norm; final alphas")
    net.train()
    for step in range(STEPS):
        x, y = batch("valid%d" % (step % 4))
        adam.zero_grad()
        valid = F.cross_entropy(net(x, [F.softmax(v, 1) for v in a]), y)
        valid.backward()
        adam.step()
        x, y = batch("train%d" % (step % 4))
        sgd.zero_grad()
        train = F.cross_entropy(net(x, [F.softmax(v, 1) for v in a]), y)
        train.backward()
        norm = nn.utils.clip_grad_norm_(net.parameters(), 5)
        sgd.step()
        out.line("step", str(step), valid.item(), train.item(), norm.item())
    for t, table in enumerate(a):
        for i, v in enumerate(table.detach().flatten().tolist()):
            out.line("alpha", str(t), str(i), v)


if __name__ == "__main__":
    write_gradients()
    write_trajectory()
