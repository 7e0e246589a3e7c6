/** Reads the code of statements of ours, as the fake server gets it. */

/** The nonce of a question for versions; undefined for any other code. */
export function questionOf(code: string): string | undefined {
  return /^print\("reprise1 (\S+) versions " \+ _root_\.org\.apache\.spark\./.exec(code)?.[1];
}

/** The argument of a statement of ours; undefined for any other code. */
export function argumentOf(code: string): string | undefined {
  const match = /^_root_\.reprise\.livy\.Statements\.run\("([A-Za-z0-9_-]{24,60000})"\)$/.exec(
    code,
  );
  return match?.[1];
}
