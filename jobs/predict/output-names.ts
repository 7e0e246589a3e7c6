/** What `reprise predict` can write, by name: apart from how, which the command line need not load. */
export const OUTPUTS = [
  'prediction',
  'probability',
  'decision',
  'components',
  'reconstruction',
] as const;
export type OutputName = (typeof OUTPUTS)[number];
