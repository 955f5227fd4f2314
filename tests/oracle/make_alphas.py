#!/usr/bin/env python3
"""Writes what nas-derive must read of other programs: tests/golden/alphas_*.npy as NumPy writes them, and
tests/golden/alphas_darts.log as PyTorch prints what train_search.py of DARTS prints.

    python3 tests/oracle/make_alphas.py        (PyTorch and NumPy; the tests themselves need neither)
"""
import os

import numpy as np
import torch

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden")
OPS = ["none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3",
       "dil_conv_5x5"]


def save(name, array, version=None):
    with open(os.path.join(GOLDEN, name), "wb") as f:
        np.lib.format.write_array(f, array, version)


def cell(weights):
    """The rule of DARTS on a table of 14 edges, written independently of src/search/derive.c."""
    pairs, start = [], 0
    for node in range(4):
        rows = weights[start:start + node + 2]
        start += node + 2
        for i in sorted(range(node + 2), key=lambda i: -max(rows[i][1:]))[:2]:
            pairs.append((OPS[1 + int(np.argmax(rows[i][1:]))], i))
    return pairs


def genotype(normal, reduce):
    return (f"Genotype(normal={cell(normal)}, normal_concat=range(2, 6), "
            f"reduce={cell(reduce)}, reduce_concat=range(2, 6))")


def main():
    table = np.loadtxt(os.path.join(GOLDEN, "derive_cifar10.txt")).reshape(2, 14, 8)
    save("alphas_normal.npy", table[0].astype("<f4"))
    save("alphas_reduce.npy", table[1].astype("<f4"))
    save("alphas_both_f8_fortran.npy", np.asfortranarray(table), (2, 0))
    save("alphas_flat_big_endian.npy", table.reshape(28, 8).astype(">f4"), (3, 0))

    generator = torch.Generator().manual_seed(1)
    with open(os.path.join(GOLDEN, "alphas_darts.log"), "w") as log:
        for epoch in range(3):
            scale = [0.2, 0.5, 3][epoch] # the last ones are printed with exponents
            normal, reduce = (torch.softmax(scale * torch.randn(14, 8, generator=generator), -1) for _ in range(2))
            print(f"2019-10-14 13:0{epoch}:50,607 epoch {epoch} lr 2.500000e-02", file=log)
            print(f"2019-10-14 13:0{epoch}:50,609 genotype = {genotype(normal.numpy(), reduce.numpy())}", file=log)
            for t in (normal, reduce):
                print(str(t)[:-1] + ",\n       device='cuda:0', grad_fn=<SoftmaxBackward>)", file=log)
            print(f"2019-10-14 13:0{epoch}:55,001 train 000 2.301585e+00 12.500000 51.562500", file=log)


main()
