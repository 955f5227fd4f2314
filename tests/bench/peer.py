#!/usr/bin/env python3
"""The networks of bench_step in PyTorch, timed part by part: the peer that bench-peer compares nas-tools with.

    peer.py [CONFIG] [THREADS] [STEPS]         (PyTorch 1.13 or later; written anew from the papers)

Prints the key=value lines of bench_step: wall and CPU time, median over STEPS, and the process's peak memory so far.
PyTorch at its best, as far as eager mode goes: channels_last throughout, gradients set to None instead of zeroed, fused
or multi-tensor optimisers, the operation `none` left out (it adds zero), only the gradients that a pass needs; the
second-order step perturbs the weights in place instead of building a second model. The allocator's settings come with
the environment (bench-peer).
"""
import os
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

CLASSES, NODES, LEARNING_RATE, MOMENTUM, DECAY, CLIP = 10, 4, 0.025, 0.9, 3e-4, 5
OPS = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
DARTS_V2 = {  # pairs 2i, 2i+1 enter node i
    False: [("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 1),
            ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2)],
    True: [("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1), ("max_pool_3x3", 0),
           ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1)],
}
# net, channels, layers, (input channels, height, width), batch, parameters: bench_step's table
CONFIGS = {
    "a": ("supernet", 16, 8, (3, 32, 32), 64, 1930618),
    "b": ("supernet", 16, 8, (1, 28, 28), 64, None),
    "c": ("supernet", 8, 5, (1, 28, 28), 32, None),
    "v2": ("DARTS_V2", 16, 8, (1, 28, 28), 64, None),
    "resnet": ("resnet-18", 64, 18, (1, 28, 28), 64, None),
}


# ---- networks ----

class FactorizedReduce(nn.Module):
    def __init__(self, c_in, c_out, affine):
        super().__init__()
        self.conv_1 = nn.Conv2d(c_in, c_out // 2, 1, stride=2, bias=False)
        self.conv_2 = nn.Conv2d(c_in, c_out - c_out // 2, 1, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(c_out, affine=affine)

    def forward(self, x):
        x = F.relu(x)
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], 1))


def relu_conv_bn(c_in, c_out, affine):
    return nn.Sequential(nn.ReLU(), nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out, affine=affine))


def separable(c, k, stride, dilation, affine):
    pad = dilation * (k - 1) // 2
    return [nn.ReLU(), nn.Conv2d(c, c, k, stride, pad, dilation, groups=c, bias=False), nn.Conv2d(c, c, 1, bias=False),
            nn.BatchNorm2d(c, affine=affine)]


def operation(name, c, stride, derived):
    """The operations of a derived net have gamma and beta; pools have a BN in the supernet alone."""
    k = int(name[-1]) if name[-1].isdigit() else 0
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(c, c, derived)
    if "pool" in name:
        pool = nn.MaxPool2d(k, stride, k // 2) if "max" in name else nn.AvgPool2d(k, stride, k // 2,
                                                                                 count_include_pad=False)
        return pool if derived else nn.Sequential(pool, nn.BatchNorm2d(c, affine=False))
    if name.startswith("sep_conv"):
        return nn.Sequential(*separable(c, k, stride, 1, derived), *separable(c, k, 1, 1, derived))
    assert name.startswith("dil_conv"), name
    return nn.Sequential(*separable(c, k, stride, 2, derived))


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
        return add(w * op(x) for w, op in zip(weights[1:], self._ops))  # weights[0] is that of none


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

    def __init__(self, c_in, c, layers, derived):
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
        self.classifier = nn.Linear(last, CLASSES)

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

    def __init__(self, c_in, c):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c)
        blocks, last = [], c
        for stage in range(4):
            for stride in (2 if stage else 1, 1):
                blocks.append(Block(last, c << stage, stride))
                last = c << stage
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(last, CLASSES)

    def features(self, x, mix):
        return self.blocks(F.relu(self.bn1(self.conv1(x)), inplace=True).contiguous(memory_format=torch.channels_last))

    def forward(self, x, mix):
        return self.fc(self.features(x, mix).mean((2, 3)))


# ---- steps ----

def fastest(make, *args, **kwargs):
    """An optimiser in its fastest form that this version has for the CPU."""
    for how in ({"fused": True}, {"foreach": True}, {}):
        try:
            return make(*args, **kwargs, **how)
        except (TypeError, RuntimeError):
            continue
    raise RuntimeError("no form of %s works here" % make.__name__)


class Steps:
    def __init__(self, net, channels, layers, shape, batch):
        self.search = net == "supernet"
        self.net = (ResNet18(shape[0], channels) if net == "resnet-18" else
                    CellNet(shape[0], channels, layers, not self.search))
        self.net = self.net.to(memory_format=torch.channels_last).train()
        self.params = list(self.net.parameters())
        edges = NODES * (NODES + 3) // 2
        self.alphas = [(1e-3 * torch.randn(edges, len(OPS) + 1)).requires_grad_() for _ in range(2 * self.search)]
        self.sgd = fastest(torch.optim.SGD, self.params, LEARNING_RATE, momentum=MOMENTUM, weight_decay=DECAY)
        if self.search:
            self.adam = fastest(torch.optim.Adam, self.alphas, 3e-4, betas=(0.5, 0.999), weight_decay=1e-3)
        self.train, self.valid = [
            (torch.randn(batch, *shape).contiguous(memory_format=torch.channels_last), torch.arange(batch) % CLASSES)
            for _ in range(2)]

    def loss(self, batch):
        return F.cross_entropy(self.net(batch[0], [F.softmax(a, 1) for a in self.alphas]), batch[1])

    def forget(self):
        for p in self.params + self.alphas:
            p.grad = None

    def forward(self):
        with torch.no_grad():
            self.loss(self.train)

    def forward_backward(self):
        self.forget()
        self.loss(self.train).backward()

    def weight_step(self):
        self.forward_backward()
        nn.utils.clip_grad_norm_(self.params, CLIP)
        self.sgd.step()

    def first_order(self):
        """As published: the alpha step's backward pass computes all gradients."""
        if self.search:
            self.forget()
            self.loss(self.valid).backward()
            self.adam.step()
        self.weight_step()

    def second_order(self):
        """Unrolled by one step; the Hessian-vector product by finite differences."""
        rate, weights = LEARNING_RATE, [p.data for p in self.params]
        buffers = list(self.net.buffers())
        gradient = torch.autograd.grad(self.loss(self.train), self.params)
        saved, statistic = [w.clone() for w in weights], [b.clone() for b in buffers]
        with torch.no_grad():
            torch._foreach_mul_(weights, 1 - rate * DECAY)
            torch._foreach_add_(weights, gradient, alpha=-rate)
            momentum = [self.sgd.state[p].get("momentum_buffer") for p in self.params]
            torch._foreach_add_(weights, momentum, alpha=-rate * MOMENTUM)
        del gradient
        every = torch.autograd.grad(self.loss(self.valid), self.alphas + self.params)
        unrolled, direction = every[:2], every[2:]
        with torch.no_grad():
            for b, s in zip(buffers, statistic):
                b.copy_(s)
            r = 0.01 / torch.norm(torch.stack(torch._foreach_norm(direction))).item()
            for w, s in zip(weights, saved):
                w.copy_(s)
            torch._foreach_add_(weights, direction, alpha=r)
        plus = torch.autograd.grad(self.loss(self.train), self.alphas)
        torch._foreach_add_(weights, direction, alpha=-2 * r)
        minus = torch.autograd.grad(self.loss(self.train), self.alphas)
        for w, s in zip(weights, saved):
            w.copy_(s)
        del every, direction, saved
        for a, u, p, n in zip(self.alphas, unrolled, plus, minus):
            a.grad = u - rate * (p - n) / (2 * r)
        self.adam.step()
        self.weight_step()


# ---- measuring ----

def count_macs(steps):
    """Multiply-adds of the convolutions and the linear layer in one forward pass."""
    total = [0]

    def hook(layer, inputs, output):
        total[0] += output.numel() * layer.weight[0].numel()

    hooks = [m.register_forward_hook(hook) for m in steps.net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    steps.forward()
    for h in hooks:
        h.remove()
    return total[0]


def peak_mb():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) * 1024 / 1e6


def main():
    base = peak_mb()
    name = sys.argv[1] if len(sys.argv) > 1 else "c"
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else os.cpu_count()
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    if name not in CONFIGS or threads < 1 or count < 1:
        sys.exit("usage: peer.py [%s] [THREADS] [STEPS]" % "|".join(CONFIGS))
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    net, channels, layers, shape, batch, expected = CONFIGS[name]
    steps = Steps(net, channels, layers, shape, batch)
    params = sum(p.numel() for p in steps.params)
    assert expected in (None, params), "config %s has %d parameters, not %d" % (name, params, expected)
    macs = count_macs(steps)
    with torch.no_grad():
        features = steps.net.features(steps.train[0], [F.softmax(a, 1) for a in steps.alphas])
    assert features.is_contiguous(memory_format=torch.channels_last), "a layer left channels_last"
    del features
    same = "config=%s part=%%s threads=%d batch=%d" % (name, threads, batch)
    device = "PyTorch %s, channels_last" % torch.__version__
    print(same % "ready", 'params=%d gmacs=%.3f base_mb=%.1f device="%s"' % (params, macs / 1e9, base, device),
          flush=True)
    parts = [("forward", steps.forward), ("forward+backward", steps.forward_backward), ("step", steps.first_order)]
    if steps.search:
        parts.append(("step2", steps.second_order))
    for part, run in parts:
        if part != "step2":  # nothing new is touched then, and it takes long
            run()
        wall, cpu = [], []
        for _ in range(count):
            t0, c0 = time.perf_counter(), time.process_time()
            run()
            wall.append(1e3 * (time.perf_counter() - t0))
            cpu.append(1e3 * (time.process_time() - c0))
        print(same % part, "wall_ms=%.2f cpu_ms=%.2f peak_mb=%.1f" % (statistics.median(wall), statistics.median(cpu),
                                                                     peak_mb()), flush=True)


if __name__ == "__main__":
    main()
