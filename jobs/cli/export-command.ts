/** `reprise export`: writes the model of a run as ONNX or PMML, and prints where. */
import { extname, resolve } from 'node:path';
import { ConfigError, ResourceError } from '../../driver/errors.js';
import { replaceFile } from '../../driver/support/replace-file.js';
import { readModel } from '../model/read-model.js';
import { EXIT } from './exit-codes.js';
import { runsFolder } from './settings.js';
import { writeData } from './terminal.js';

export async function exportCommand(
  run: string,
  file: string,
  options: { readonly runs?: string },
): Promise<number> {
  const path = resolve(file);
  const write = await writerOf(extname(path), file);
  const { model } = await readModel(run, runsFolder(options.runs));
  await replaceFile(path, write(model)).catch((cause: NodeJS.ErrnoException) => {
    throw new ResourceError(
      `export: expected to write ${path}, got ${cause.code ?? cause.message}`,
      { resource: 'disk', path },
      { cause },
    );
  });
  await writeData(`${path}\n`);
  return EXIT.done;
}

async function writerOf(extension: string, file: string) {
  if (extension === '.onnx') return (await import('../export/onnx.js')).onnxModel;
  if (extension === '.pmml') return (await import('../export/pmml.js')).pmmlModel;
  throw new ConfigError(`export: expected a name that ends in .onnx or .pmml, got ${file}`, {
    key: 'file',
    value: file,
    source: 'flag',
  });
}
