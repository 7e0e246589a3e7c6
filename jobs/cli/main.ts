#!/usr/bin/env node
/**
 * Where `reprise` begins: says at once when Node is too old. Invariant: nothing is imported before
 * that, and what stands here is read by Node 14 too, as an old Node would stop at the first new
 * word of any module. What follows comes from the bundle (`npm run bundle`: one file in place of 670)
 * unless sources were compiled after it.
 */
const PARTS = ['driver', 'spark-bridge', 'gpu-executor', 'jobs'];

/** The bundle, unless there is a newer file of any part. */
function freshBundle(): string | undefined {
  const { statSync } = process.getBuiltinModule('node:fs');
  const { fileURLToPath } = process.getBuiltinModule('node:url');
  const pathOf = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));
  const changed = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const bundle = pathOf('bundle/command.cjs');
  const made = changed(bundle);
  const isFresh = made > 0 && PARTS.every((part) => changed(pathOf(`${part}.tsbuildinfo`)) <= made);
  return isFresh ? bundle : undefined;
}

async function load(): Promise<typeof import('./command.js')> {
  const bundle = freshBundle();
  if (bundle === undefined) return import('./command.js');
  const { loadBundle } = await import('./load-bundle.js');
  return loadBundle(bundle, process.argv.slice(2));
}

const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    `error: node: expected version 20.19 or later, got ${process.versions.node} (${process.execPath}); install a newer one, or put it first on the PATH\n`,
  );
  process.exit(3);
} else {
  // A command runs most of its functions a few times. V8 optimises them beside it, on the cores that
  // its data need: one sixth as eager, a run takes a fifth less processor time; hot loops wait longer.
  process.getBuiltinModule('node:v8').setFlagsFromString('--interrupt-budget=400000');
  // From Node 22 on compiled code of other modules is kept as well.
  const module: object = process.getBuiltinModule('node:module');
  (module as { enableCompileCache?(): unknown }).enableCompileCache?.();
  void load().then(({ runCommandLine }) => runCommandLine(process.argv.slice(2)));
}
