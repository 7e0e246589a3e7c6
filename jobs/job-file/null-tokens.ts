/** Words that stand for lists of tokens in `data.csv.null`. */

/** What `pandas.read_csv` takes for a missing value by default (pandas 2). */
export const PANDAS_NULLS: readonly string[] = [
  '#N/A',
  '#N/A N/A',
  '#NA',
  '-1.#IND',
  '-1.#QNAN',
  '-NaN',
  '-nan',
  '1.#IND',
  '1.#QNAN',
  '<NA>',
  'N/A',
  'NA',
  'NULL',
  'NaN',
  'None',
  'n/a',
  'nan',
  'null',
];
