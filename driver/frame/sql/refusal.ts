/** Why an expression is not taken; the checker adds the expression to it. */
export class SqlRefusal extends Error {
  /** What was found, as the end of `expected .., got ..`. */
  readonly got: string;
  readonly remedy: string | undefined;

  constructor(got: string, remedy?: string) {
    super(remedy === undefined ? got : `${got}; ${remedy}`);
    this.got = got;
    this.remedy = remedy;
  }
}

export function refuse(got: string, remedy?: string): SqlRefusal {
  return new SqlRefusal(got, remedy);
}
