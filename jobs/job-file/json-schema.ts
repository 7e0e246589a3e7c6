/** The JSON Schema of a job file, for editors; printed from the zod schema, so they agree. */
import { z } from 'zod';
import { editorSchema } from './schema.js';

/** The schema as the text of `job.schema.json`. */
export function jobJsonSchema(): string {
  const schema = z.toJSONSchema(editorSchema(), { io: 'input', target: 'draft-7' });
  return `${JSON.stringify(schema, null, 2)}\n`;
}
