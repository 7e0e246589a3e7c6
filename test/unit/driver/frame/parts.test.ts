/** How files are grouped, and that groups stay as files come. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type FileGroup, fileSeed, fileTree, partFiles } from '../../../../driver/frame/parts.js';
import type { FrameFile } from '../../../../driver/ir/frame-engine.js';

function files(count: number, rows = 10): FrameFile[] {
  return Array.from({ length: count }, (_, i) => fileNamed(`file ${i}`, rows));
}

function fileNamed(name: string, rows = 10): FrameFile {
  const digest = createHash('sha256').update(name).digest('hex');
  return { path: `/data/${name}`, digest, bytes: rows * 8, rows };
}

function changesOf(all: readonly FrameFile[]): [string, FrameFile[]][] {
  return [
    ['appended', [...all, fileNamed('new')]],
    ['inserted', [...all.slice(0, 400), fileNamed('new'), ...all.slice(400)]],
    ['replaced', [...all.slice(0, 400), fileNamed('new'), ...all.slice(401)]],
    ['removed', [...all.slice(0, 400), ...all.slice(401)]],
  ];
}

const digestsOf = (groups: readonly (readonly FrameFile[])[]): string[] =>
  groups.map((group) => group.map((file) => file.digest).join());

function leavesOf(tree: readonly FileGroup[]): FrameFile[] {
  return tree.flatMap(({ parts, files }) => (parts ? leavesOf(parts) : files));
}

function leafCount(tree: readonly FileGroup[]): number {
  return tree.reduce((sum, { parts }) => sum + (parts ? leafCount(parts) : 1), 0);
}

/** Those that have parts, on all levels. */
function groupsOf(tree: readonly FileGroup[]): FileGroup[] {
  return tree.flatMap((group) => (group.parts ? [group, ...groupsOf(group.parts)] : []));
}

const nameOf = ({ files, parts }: FileGroup): string =>
  `${parts!.length}: ${files.map(({ digest }) => digest).join()}`;

describe('files as parts', () => {
  it('are a part each while they are few, without those that have no rows', () => {
    const all = [...files(5), fileNamed('empty', 0), ...files(7).slice(5)];
    assert.deepEqual(
      partFiles(all, 1000).map((group) => group.length),
      [1, 1, 1, 1, 1, 1, 1],
    );
  });

  it('are grouped when they are many, in order and all of them', () => {
    for (const count of [65, 100, 1000, 5000]) {
      const all = files(count);
      const groups = partFiles(all, 1000);
      assert.ok(groups.length <= 64 && groups.length >= 8, `${groups.length} groups of ${count}`);
      assert.deepEqual(groups.flat(), all);
    }
  });

  it('keep all groups but the next ones when a file is added, replaced or removed', () => {
    const all = files(1000);
    const before = new Set(digestsOf(partFiles(all, 1000)));
    for (const [what, changed] of changesOf(all)) {
      const fresh = digestsOf(partFiles(changed, 1000)).filter((group) => !before.has(group));
      assert.ok(fresh.length <= 2, `${what}: ${fresh.length} groups are new`);
    }
  });

  it('are fewer when the results kept for each are large, down to one', () => {
    const all = files(40);
    assert.ok(partFiles(all, 100 * 1024 ** 2).length <= 5);
    assert.equal(partFiles(all, 1024 ** 3).length, 1);
  });

  it('are a tree: groups of some eight parts, of these again, until few are left', () => {
    for (const count of [2, 16, 17, 100, 1000, 5000]) {
      const all = files(count);
      const tree = fileTree(all, 1000);
      assert.ok(tree.length >= 2 && tree.length <= 24, `${tree.length} parts of ${count}`);
      assert.deepEqual(leavesOf(tree), all);
      for (const { parts } of groupsOf(tree)) assert.ok(parts!.length >= 2 && parts!.length <= 24);
    }
    assert.ok(fileTree(files(16), 1000).every(({ parts }) => parts === undefined));
  });

  it('keep all groups but one a level when a file is added, and nearly all when one changes', () => {
    const all = files(1000);
    const before = new Set(groupsOf(fileTree(all, 1000)).map(nameOf));
    for (const [what, changed] of changesOf(all)) {
      const fresh = groupsOf(fileTree(changed, 1000)).filter((group) => !before.has(nameOf(group)));
      const most = what === 'appended' ? 3 : 6;
      assert.ok(fresh.length <= most, `${what}: ${fresh.length} groups are new`);
    }
  });

  it('never change a closed group by what comes after it, nor one file on the way', () => {
    const all = files(400);
    const closed = new Map<string, number>();
    for (let count = 17; count <= all.length; count++) {
      const groups = groupsOf(fileTree(all.slice(0, count), 1000));
      const now = new Set(groups.filter(({ isClosed }) => isClosed).map(nameOf));
      // A group goes only where what it is the last part of has so few that no group is needed.
      for (const name of now) if (!closed.has(name)) closed.set(name, count);
      for (const name of closed.keys()) assert.ok(now.has(name), `${count} files: a group is gone`);
    }
  });

  it('are groups of files that are read together where memory does not do for each', () => {
    const all = files(100);
    const tree = fileTree(all, 1000, 25_000);
    assert.ok(leafCount(tree) <= 25, `${leafCount(tree)} parts are read`);
    assert.deepEqual(leavesOf(tree), all);
    assert.equal(fileTree(all, 1000, 500).length, 1);
    for (const most of [2, 3, 5, 8]) {
      for (let count = 1; count <= 60; count++) {
        const some = files(count);
        const read = leafCount(fileTree(some, 1000, most * 1000));
        assert.ok(read <= most, `${read} parts of ${count} files are read, not ${most}`);
        const parts = partFiles(some, 1000, most * 1000);
        assert.ok(parts.length <= most, `${parts.length} parts of ${count} files, not ${most}`);
      }
    }
  });

  it('shuffle each file by a seed of its own content', () => {
    const [a, b] = files(2);
    assert.equal(fileSeed(7, a!), fileSeed(7, { digest: a!.digest }));
    assert.notEqual(fileSeed(7, a!), fileSeed(8, a!));
    assert.notEqual(fileSeed(7, a!), fileSeed(7, b!));
    assert.ok(Number.isSafeInteger(fileSeed(7, a!)));
  });
});
