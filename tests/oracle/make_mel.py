#!/usr/bin/env python3
"""Writes tests/golden/oracle_mel.txt: mel filters and log-mel spectrograms computed with NumPy alone, in double, from the
definitions that src/data/readers/mel.h cites.  The clip is a formula, which tests/unit/test_media.c has as well.

    python3 tests/oracle/make_mel.py
"""
import os

import numpy as np

RATE, SAMPLES, WINDOW, HOP, MELS, FLOOR = 8000, 1000, 256, 100, 20, 1e-6


def clip():
    i = np.arange(SAMPLES)
    tones = 0.5 * np.sin(2 * np.pi * 440 * i / RATE) + 0.25 * np.sin(2 * np.pi * 1250.5 * i / RATE)
    return (tones + 0.05 * ((i * 7919 % 1000) / 1000 - 0.5)).astype(np.float32).astype(np.float64)


def hz_to_mel(f, htk):
    f = np.asarray(f, float)
    if htk:
        return 2595 * np.log10(1 + f / 700)
    return np.where(f < 1000, 3 * f / 200, 15 + 27 * np.log(np.maximum(f, 1) / 1000) / np.log(6.4))


def mel_to_hz(m, htk):
    if htk:
        return 700 * (10 ** (m / 2595) - 1)
    return np.where(m < 15, 200 * m / 3, 1000 * np.exp((m - 15) * np.log(6.4) / 27))


def filters(fmin, fmax, htk):
    edge = mel_to_hz(np.linspace(hz_to_mel(fmin, htk), hz_to_mel(fmax, htk), MELS + 2), htk)
    f = np.arange(WINDOW // 2 + 1) * RATE / WINDOW
    rows = []
    for low, peak, high in zip(edge, edge[1:], edge[2:]):
        row = np.interp(f, [low, peak, high], [0, 1, 0])
        rows.append(row if htk else row * 2 / (high - low))
    return np.array(rows)


def spectrogram(bank):
    x = clip()
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    frames = [x[t:t + WINDOW] * hann for t in range(0, SAMPLES - WINDOW + 1, HOP)]
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    return np.log(np.maximum(FLOOR, bank @ power.T))


def main():
    path = os.path.join(os.path.dirname(__file__), "..", "golden", "oracle_mel.txt")
    with open(path, "w") as out:
        for name, htk, fmin, fmax in (("slaney", False, 0, 4000), ("htk", True, 50, 3500)):
            bank = filters(fmin, fmax, htk)
            for what, values in (("filters", bank), ("spectrogram", spectrogram(bank))):
                out.write(f"{name} {what} {values.shape[0]} {values.shape[1]}\n")
                for row in values:
                    out.write(" ".join(f"{v:.9g}" for v in row) + "\n")


if __name__ == "__main__":
    main()
