#!/usr/bin/env python3
"""Writes tests/golden/torch_*: a derived network of PyTorch (networks.py: DARTS_V2, C=2, 3 cells) as its state_dict in an
archive of NumPy, samples, and what it says of them in evaluation mode.

    python3 tests/oracle/make_weights.py       (PyTorch 2.x and NumPy; the tests themselves need neither)
"""
import os

import numpy as np
import torch

from hashed import hash_u
from networks import CellNet

CLASSES, CHANNELS, LAYERS, SIDE, SAMPLES = 3, 2, 3, 8, 24
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "torch_")


def hashed(name, shape):
    return torch.tensor(hash_u(name, int(np.prod(shape))).astype(np.float32)).reshape(tuple(shape))


torch.set_num_threads(1)
net = CellNet(1, CHANNELS, LAYERS, CLASSES, True)
images = 2 * hashed("images", (SAMPLES, 1, SIDE, SIDE))
with torch.no_grad():
    for name, p in net.named_parameters():
        kernel = p.dim() > 1
        p.copy_(hashed(name, p.shape) * ((3.0 / p[0].numel()) ** 0.5 if kernel else 0.5) + (0 if kernel else 0.5))
    net.classifier.weight /= 3  # no answer is certain
    for _ in range(20):  # running statistics
        net(images, None)
    said = torch.softmax(net.eval().double()(images.double(), None), 1)
np.savez_compressed(GOLDEN + "weights.npz", **{k: v.numpy().astype(np.float32 if v.is_floating_point() else np.int64)
                                               for k, v in net.state_dict().items()})
np.save(GOLDEN + "samples.npy", images.numpy())
np.save(GOLDEN + "labels.npy", (np.arange(SAMPLES) % CLASSES).astype(np.uint8))
np.savetxt(GOLDEN + "said.csv", said.numpy(), "%.9f", ",")
