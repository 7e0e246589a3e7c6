/**
 * Newton's method where the Hessian is small: one weighted Gram matrix a model and pass, one system a
 * step. A few passes lead to the least point, each of them more work than one for a gradient.
 */
import { type Matrix, ones } from '../../../driver/index.js';
import { descend, type Minimum, type Seen, squared, type Trial } from './descent.js';

export interface NewtonProblem {
  /** [p, 1] */
  readonly start: Matrix;
  /** Gradient and Hessian at a point, in one pass. */
  readonly pass: (point: Matrix) => Required<Pick<Seen, 'slope' | 'form'>>;
  /** Added to the diagonal of the Hessian, so that rounding leaves it positive: [p, 1]. */
  readonly floor: Matrix;
  /** 1 for coordinates whose size the tolerance is relative to: [p, 1]. */
  readonly measured: Matrix;
  /** Steps whose squared size (in the norm of the Hessian) is at most this are rounding: [1, 1]. */
  readonly least: Matrix;
  readonly tolerance: number | Matrix;
  readonly maxIterations: number;
}

export function newtonDescent(problem: NewtonProblem): Promise<Minimum> {
  const { start, pass, floor, measured, least, tolerance, maxIterations } = problem;
  const bound = least.div(squared(tolerance));
  const norm = (form: Matrix, v: Matrix): Matrix => v.mul(form.matmul(v)).sum().asMatrix();
  const unit = ones(start.session, start.rows, 1).diag();
  const ahead = ({ taken, slope, point, seen }: Trial) => {
    // What is seen of a refused step may be no number.
    const form = taken.ifelse(seen.form!.addDiag(floor), unit);
    const direction = form.solve(slope, { assume: 'spd' }).neg();
    const size = norm(form, direction);
    const whole = norm(form, point.mul(measured)).add(bound);
    return { direction, ending: size.div(whole).sqrt(), memory: {} };
  };
  return descend({
    ...{ start, pass, ahead, tolerance, maxIterations },
    one: ones(start.session, 1, 1),
    along: (slope, _, direction) => direction.mul(slope).sum().asMatrix(),
    memory: {},
  });
}
