/** Statements over thousands of columns, in groups, as DuckDB's time for one grows faster. */

/** Expressions one statement aggregates; more pay where every statement parses whole rows. */
const STATEMENT_COLUMNS = { columnar: 1000, text: 5000 } as const;

/** Answers of groups of expressions, one statement each, in order. */
export async function inGroups<A, T>(
  asked: readonly A[],
  { isColumnar }: { readonly isColumnar: boolean },
  answer: (some: readonly A[]) => Promise<T[]>,
): Promise<T[]> {
  const most = isColumnar ? STATEMENT_COLUMNS.columnar : STATEMENT_COLUMNS.text;
  const out: T[] = [];
  for (let from = 0; from < asked.length; from += most) {
    out.push(...(await answer(asked.slice(from, from + most))));
  }
  return out;
}
