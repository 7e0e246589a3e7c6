/** Where a secret comes from, as a part of schemas. Invariant: it takes what `isSecretSource` does. */
import * as z from 'zod';
import { MAX_SOURCE_CHARACTERS, MAX_SOURCE_WORDS, type SecretSource } from './secrets.js';

const word = z.string().min(1).max(MAX_SOURCE_CHARACTERS);

/** `{env: NAME}`, `{file: PATH}` or `{command: [PROGRAM, ..]}`. */
export const secretSource = z.union([
  z.strictObject({ env: word }),
  z.strictObject({ file: word }),
  z.strictObject({ command: z.array(word).min(1).max(MAX_SOURCE_WORDS) }),
]) satisfies z.ZodType<SecretSource>;
