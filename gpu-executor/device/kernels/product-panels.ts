/**
 * The kernel of all products for devices that are processors: one item computes a tile by itself,
 * from panels of both factors that lie as it reads them, a few rows by one or two vector registers
 * at a time. The tiles of GPUs (`product-code.ts`) share memory between the items of a group, which
 * a processor has to run one after another between barriers. Invariant: a cell adds up its products
 * in the order of the inner side, as there.
 *
 * Source: Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008.
 */
import type { DType } from '../../../driver/ir/dtype.js';
import { cellSource } from './cell-code.js';
import type { KernelCode } from './lowered.js';

/** Rows and columns of a tile. */
export const PANEL_SIDE = 64;

export function panelCode(dtype: DType): KernelCode {
  return { name: 'product_panels', source: cellSource(panelText, dtype) };
}

/** What the kernels of products are given, as `tileSteps` orders it. */
export const productParameters = `GLOBAL const cell *RESTRICT a, GLOBAL const cell *RESTRICT b,
    GLOBAL const cell *RESTRICT w, GLOBAL cell *RESTRICT out, const int64 m, const int64 n,
    const int64 inner, const int64 a_first, const int64 a_outer, const int64 a_inner,
    const int64 a_step, const int64 b_first, const int64 b_outer, const int64 b_inner,
    const int64 b_step, const int64 w_inner, const int64 w_step, const int64 out_first,
    const int64 out_row, const int64 out_col, const int64 out_step, const int64 out_cells,
    const int64 across, const int64 tiles, const int64 chunks,
    const int64 length, const int is_weighted, const int is_symmetric`;

/** A group's tile, part of the inner side, and model; it ends where the tile is a copy. */
export const tileOfGroup = `  const int64 tile = GROUP_ID(0) % tiles;
  const int64 rest = GROUP_ID(0) / tiles;
  const int64 chunk = rest % chunks;
  const int64 model = rest / chunks;
  const int64 first_row = tile / across * SIDE;
  const int64 first_col = tile % across * SIDE;
  if (is_symmetric && first_col > first_row) return;
  const int64 end = (chunk + 1) * length < inner ? (chunk + 1) * length : inner;`;

const panelText = `
#define SIDE ${PANEL_SIDE}
#define DEPTH 64
#define ROWS 4
#define COLS 16

FUNCTION void pack(GLOBAL const cell *RESTRICT x, const int64 outer, const int64 inner,
    const int count, const int depth, const int width, cell *RESTRICT panels) {
  for (int first = 0; first < count; first += width) {
    GLOBAL const cell *RESTRICT from = x + first * outer;
    cell *RESTRICT panel = panels + first * DEPTH;
    if (outer == 1 && first + width <= count) {
      for (int k = 0; k < depth; k++)
        for (int i = 0; i < width; i++) panel[k * width + i] = from[k * inner + i];
      continue;
    }
    for (int i = 0; i < width; i++)
      for (int k = 0; k < depth; k++)
        panel[k * width + i] = first + i < count ? from[i * outer + k * inner] : 0;
  }
}

KERNEL void product_panels(${productParameters}) {
  cell a_panels[SIDE * DEPTH];
  cell b_panels[SIDE * DEPTH];
  cell totals[SIDE * SIDE];
${tileOfGroup}
  const int is_diagonal = is_symmetric && first_col == first_row;
  const int rows = m - first_row < SIDE ? (int)(m - first_row) : SIDE;
  const int cols = n - first_col < SIDE ? (int)(n - first_col) : SIDE;
  GLOBAL const cell *RESTRICT a_tile = a + a_first + model * a_step + first_row * a_outer;
  GLOBAL const cell *RESTRICT b_tile = b + b_first + model * b_step + first_col * b_outer;
  for (int at = 0; at < SIDE * SIDE; at++) totals[at] = 0;
  for (int64 from = chunk * length; from < end; from += DEPTH) {
    const int depth = end - from < DEPTH ? (int)(end - from) : DEPTH;
    // Panels that are read once are not worth being laid out.
    const int is_direct = cols <= COLS && !is_weighted;
    if (!is_direct) pack(a_tile + from * a_inner, a_outer, a_inner, rows, depth, ROWS, a_panels);
    pack(b_tile + from * b_inner, b_outer, b_inner, cols, depth, COLS, b_panels);
    if (is_weighted) {
      for (int i = 0; i < rows; i += ROWS)
        for (int k = 0; k < depth; k++)
          for (int r = 0; r < ROWS; r++)
            a_panels[i * DEPTH + k * ROWS + r] *= w[(from + k) * w_inner + model * w_step];
    }
    for (int j = 0; j < cols; j += COLS) {
      for (int i = 0; i < rows; i += ROWS) {
        if (is_diagonal && j >= i + ROWS) continue;
        const cell *RESTRICT left = a_panels + i * DEPTH;
        const cell *RESTRICT right = b_panels + j * DEPTH;
        cell sums[ROWS][COLS];
        for (int r = 0; r < ROWS; r++)
          for (int c = 0; c < COLS; c++) sums[r][c] = totals[(i + r) * SIDE + j + c];
        if (is_direct && i + ROWS <= rows) {
          GLOBAL const cell *RESTRICT far = a_tile + i * a_outer + from * a_inner;
          for (int k = 0; k < depth; k++)
            for (int r = 0; r < ROWS; r++)
              for (int c = 0; c < COLS; c++)
                sums[r][c] += far[r * a_outer + k * a_inner] * right[k * COLS + c];
        } else {
          if (is_direct)
            pack(a_tile + i * a_outer + from * a_inner, a_outer, a_inner, rows - i, depth, ROWS,
                a_panels + i * DEPTH);
          for (int k = 0; k < depth; k++)
            for (int r = 0; r < ROWS; r++)
              for (int c = 0; c < COLS; c++)
                sums[r][c] += left[k * ROWS + r] * right[k * COLS + c];
        }
        for (int r = 0; r < ROWS; r++)
          for (int c = 0; c < COLS; c++) totals[(i + r) * SIDE + j + c] = sums[r][c];
      }
    }
  }
  GLOBAL cell *RESTRICT target = out + out_first + chunk * out_cells + model * out_step;
  for (int i = 0; i < rows; i++) {
    for (int j = 0; j < cols; j++) {
      const int64 row = first_row + i;
      const int64 col = first_col + j;
      if (is_diagonal && j > i) continue;
      target[row * out_row + col * out_col] = totals[i * SIDE + j];
      if (is_symmetric) target[col * out_row + row * out_col] = totals[i * SIDE + j];
    }
  }
}
`;
