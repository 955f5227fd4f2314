"""Makes tests/golden/oracle_lbfgs.txt: the values that SciPy's L-BFGS-B (10 corrections, tests that end a run as good as
off) sees, evaluation by evaluation, of functions that tests/unit/test_lbfgs.c has too. Needs numpy and scipy:

    python3 tests/oracle/make_lbfgs.py > tests/golden/oracle_lbfgs.txt
"""
import numpy as np
import scipy.optimize


def rosenbrock(x):
    g = np.zeros_like(x)
    a, b = 1 - x[0::2], x[1::2] - x[0::2] ** 2
    g[0::2], g[1::2] = -2 * a - 400 * x[0::2] * b, 200 * b
    return (a * a + 100 * b * b).sum(), g


def quadratic(x):
    n = len(x)
    weight = 10.0 ** (3.0 * np.arange(n) / (n - 1))
    u = 0.6 * x + 0.8 * np.roll(x, -1) - 1
    return (weight * u * u / 2).sum(), 0.6 * weight * u + np.roll(0.8 * weight * u, 1)


def brown(x):
    a, b, c = x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2
    return a * a + b * b + c * c, np.array([2 * a + 2 * c * x[1], 2 * b + 2 * c * x[0]])


def absolute(x):
    k = np.arange(1, len(x) + 1)
    return (k * abs(x)).sum(), np.where(x > 0, k, -k).astype(float)


for name, function, n, x0, x1, most in [("rosenbrock", rosenbrock, 2, -1.2, 1, 40),
                                        ("valleys", rosenbrock, 100, -1.2, 1, 40),
                                        ("quadratic", quadratic, 51, 3, -2, 40),
                                        ("brown", brown, 2, 1, 1, 30), ("absolute", absolute, 3, 1.3, -0.7, 15)]:
    seen = []

    def record(x):
        f, g = function(x)
        seen.append(f)
        return f, g

    start = np.where(np.arange(n) % 2 == 0, x0, x1).astype(float)
    scipy.optimize.minimize(record, start, jac=True, method="L-BFGS-B",
                            options={"maxcor": 10, "ftol": np.finfo(float).eps, "gtol": 1e-14, "maxfun": 400})
    print(name, *(f"{f:.17g}" for f in seen[:most]))
