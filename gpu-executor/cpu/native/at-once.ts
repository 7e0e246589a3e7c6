/**
 * The same routines without the thread pool: what would run beside other work runs here and now,
 * products that are given together on helper threads too. Invariant: callers divide their work as
 * ever, by `lanes`, so results have the same bits.
 */
import type { Blas } from './blas.js';

export function atOnce(blas: Blas): Blas {
  const { kind, description, lanes, addressOf, viewOf } = blas;
  return {
    ...{ kind, description, lanes },
    ...(addressOf && { addressOf }),
    ...(viewOf && { viewOf }),
    gemm: (...args) => blas.gemm(...args),
    gemmAsync: async (...args) => blas.gemm(...args),
    gemms: (calls) => blas.gemms(calls),
    gemmsAsync: async (calls) => blas.gemms(calls),
    syrk: (...args) => blas.syrk(...args),
    syrkAsync: async (...args) => blas.syrk(...args),
    gemv: (...args) => blas.gemv(...args),
    gemvAsync: async (...args) => blas.gemv(...args),
    cholesky: (...args) => blas.cholesky(...args),
    choleskyAsync: async (...args) => blas.cholesky(...args),
    solveSpd: (...args) => blas.solveSpd(...args),
    solveSpdAsync: async (...args) => blas.solveSpd(...args),
    solveGeneral: (...args) => blas.solveGeneral(...args),
    solveGeneralAsync: async (...args) => blas.solveGeneral(...args),
    eigen: (...args) => blas.eigen(...args),
    eigenAsync: async (...args) => blas.eigen(...args),
  };
}
