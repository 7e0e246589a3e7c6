/**
 * The values of the `reuse` setting, for what has to start at once; `reuse/setting.ts` says what each
 * allows.
 */
export const REUSE_WORDS = [
  'off',
  'operators',
  'steps',
  'input',
  'predictions',
  'layers',
  'functions',
  'full',
] as const;

export type ReuseSetting = (typeof REUSE_WORDS)[number];
