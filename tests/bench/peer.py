#!/usr/bin/env python3
"""The networks of bench_step in PyTorch, timed part by part: the peer that bench-peer compares nas-tools with.

    peer.py [CONFIG] [THREADS] [STEPS]         (PyTorch 1.13 or later; networks: ../oracle/networks.py)

Prints the key=value lines of bench_step: wall and CPU time, median over STEPS, and the process's peak memory so far.
PyTorch at its best, as far as eager mode goes: channels_last throughout, gradients set to None instead of zeroed, fused
or multi-tensor optimisers, the operation `none` left out (it adds zero), only the gradients that a pass needs; the
second-order step perturbs the weights in place instead of building a second model. The allocator's settings come with
the environment (bench-peer). NAS_PEER_DEVICE=cuda measures on a GPU (gpu-check).
"""
import os
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
from networks import NODES, OPS, CellNet, ResNet18

CLASSES, LEARNING_RATE, MOMENTUM, DECAY, CLIP = 10, 0.025, 0.9, 3e-4, 5
# net, channels, layers, (input channels, height, width), batch, parameters: bench_step's table
CONFIGS = {
    "a": ("supernet", 16, 8, (3, 32, 32), 64, 1930618),
    "b": ("supernet", 16, 8, (1, 28, 28), 64, None),
    "c": ("supernet", 8, 5, (1, 28, 28), 32, None),
    "v2": ("DARTS_V2", 16, 8, (1, 28, 28), 64, None),
    "resnet": ("resnet-18", 64, 18, (1, 28, 28), 64, None),
}


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
        self.net = (ResNet18(shape[0], channels, CLASSES) if net == "resnet-18" else
                    CellNet(shape[0], channels, layers, CLASSES, not self.search))
        self.net = self.net.to(memory_format=torch.channels_last).train()
        self.params = list(self.net.parameters())
        edges = NODES * (NODES + 3) // 2
        self.alphas = [(1e-3 * torch.randn(edges, len(OPS))).requires_grad_() for _ in range(2 * self.search)]
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
    place = os.environ.get("NAS_PEER_DEVICE", "cpu")
    if place != "cpu":  # PyTorch 2.0 or later; everything is made there
        torch.set_default_device(place)
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
    device = "PyTorch %s, channels_last, %s" % (torch.__version__, place)
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
            if place != "cpu":
                torch.cuda.synchronize()
            wall.append(1e3 * (time.perf_counter() - t0))
            cpu.append(1e3 * (time.process_time() - c0))
        print(same % part, "wall_ms=%.2f cpu_ms=%.2f peak_mb=%.1f" % (statistics.median(wall), statistics.median(cpu),
                                                                     peak_mb()), flush=True)


if __name__ == "__main__":
    main()
