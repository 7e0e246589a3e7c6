/** The JSON Schema of job and pipeline files, for editors; printed from zod's, so they agree. */
import * as z from 'zod';
import { pipelineEditorSchema } from '../pipeline/schema.js';
import { editorSchema } from './schema.js';

/** The schema as the text of `job.schema.json`. */
export function jobJsonSchema(): string {
  const either = z.union([editorSchema(), pipelineEditorSchema()]).meta({
    title: 'Reprise job or pipeline',
    description: 'A file for `reprise run`.',
  });
  const schema = z.toJSONSchema(either, { io: 'input', target: 'draft-7' });
  return `${JSON.stringify(schema, null, 2)}\n`;
}
