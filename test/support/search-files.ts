/** Looks for text in everything below folders, whatever the files are. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files that hold one of the texts. */
export function filesWith(texts: readonly string[], ...folders: readonly string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => {
        const bytes = readFileSync(path);
        return texts.some((text) => bytes.includes(text));
      }),
  );
}
