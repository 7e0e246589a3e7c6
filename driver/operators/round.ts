/** Nearest whole number, ties to the even one: IEEE 754 roundTiesToEven, as NumPy's `rint` and the JVM's `Math.rint`. */
import { unaryOp } from './elementwise.js';

export const round = unaryOp(
  'round',
  (a) => {
    const below = Math.floor(a);
    const rest = a - below;
    if (rest < 0.5) return below;
    if (rest > 0.5) return below + 1;
    // NaN and infinities have a NaN rest; both stay as they are.
    return rest === 0.5 ? below + (Math.abs(below) % 2) : a;
  },
  { zero: 'either', cellFlops: 4 },
);
