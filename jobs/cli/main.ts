#!/usr/bin/env node
/**
 * Where `reprise` begins: says at once when Node is too old. Invariant: nothing is imported before
 * that, and what stands here is read by Node 14 too, as an old Node would stop at the first new
 * word of any module.
 */
const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    `error: node: expected version 20.19 or later, got ${process.versions.node} (${process.execPath}); install a newer one, or put it first on the PATH\n`,
  );
  process.exit(3);
} else {
  void import('./command.js').then(({ runCommandLine }) => runCommandLine(process.argv.slice(2)));
}
