/** Tells the two kinds of files apart; loads nothing. */

/** Whether a document is that of a pipeline; else it is a job's. */
export function isPipeline(document: unknown): boolean {
  return (document as { readonly kind?: unknown } | null)?.kind === 'pipeline';
}
