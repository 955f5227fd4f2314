/* compliance: how far a design gives way under its loads, and the gradient of that.
 *
 * Density x in [0, 1] of each designable element -> density filter (structure/filter.h) -> stiffness by SIMP,
 * E = Emin + rho^3 (E0 - Emin), E0 = 1, Emin = 1e-9 -> K(rho) u = f on the degrees of freedom that are not held, by sparse
 * Cholesky (CHOLMOD; the symbolic factorisation is made once a problem) -> C = f.u. The elements are bilinear squares of
 * plane stress, Poisson's ratio 0.3. C is self-adjoint, so its gradient needs no second solution:
 * dC/drho = -3 rho^2 (E0 - Emin) u_e' K0 u_e. Bendsøe, Sigmund 2004, "Topology Optimization"; the conventions are those of
 * Hoyer et al. 2019 (arXiv:1909.04240).
 *
 * One Compliance belongs to one thread at a time; several may work side by side. Its numbers do not depend on threads.
 */
#ifndef NAS_COMPLIANCE_H
#define NAS_COMPLIANCE_H
#include "structure/problem.h"

typedef struct Compliance Compliance;

/* For a problem that passes problem_check(), which stays the caller's and must live as long. 0 and *why (in perm)
 * otherwise. What CHOLMOD takes is not in the arena: compliance_close() gives it back. */
Compliance *compliance_open(Arena *perm, const Problem *p, const char **why);
void compliance_close(Compliance *c); /* may be 0 */

/* C of the design x, and dC/dx unless gradient is 0; both (H, W) row-major. What x has outside the mask is ignored, the
 * gradient is 0 there. NaN on failure (a value outside [0, 1], a matrix that is not positive definite, a C that is not
 * finite), and then compliance_why(). */
double compliance_density(Compliance *c, const double *x, double *gradient);
/* C of unbounded logits z, (H, W): x = sigmoid(z + b), b such that x has exactly the mean density of the problem (before
 * the filter); and dC/dz. */
double compliance_logits(Compliance *c, const double *z, double *gradient);
const char *compliance_why(const Compliance *c); /* of the last failure */

/* Of the last evaluation: displacements (dofs), filtered densities (H, W). */
const double *compliance_displacements(const Compliance *c);
const double *compliance_filtered(const Compliance *c);
const Problem *compliance_problem(const Compliance *c);
const struct DensityFilter *compliance_filter(const Compliance *c);
/* Writes the matrix and right side of the last evaluation to a file, for other solvers: int32 unknowns, int32 entries, the
 * lower triangle by columns (int32 starts, int32 rows, double values), double right side. False: it could not. */
bool compliance_save(const Compliance *c, const char *path);
#endif
