/** The source tree's shape: import arrows, no cycles, file sizes, no registry address anywhere. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { ops } from '../../driver/operators/index.js';
import { packageRoot } from '../../driver/support/package-root.js';

const root = packageRoot();

/** What each top folder may import from, besides itself. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  driver: [],
  'spark-bridge': ['driver'],
  'gpu-executor': ['driver'],
  jobs: ['driver', 'spark-bridge', 'gpu-executor'],
};

/** The rooms of `driver/`, ground first. A room imports only itself and rooms before it. */
const FLOORS: readonly string[] = [
  'errors',
  'support',
  'ir',
  'operators',
  'frame',
  'lineage',
  'matrix',
  'gradient',
  'backend',
  'cost',
  'reuse',
  'compiler',
  'functions',
  'batch',
  'runtime',
  'index',
];

const tracked = trackedFiles();
const sources = tracked.filter((file) => /\.ts$/.test(file) && !file.endsWith('.d.ts'));

/** Files git knows or would take; a package without git has only its folders to look at. */
function trackedFiles(): string[] {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '-z'];
  const output = execFileSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });
  return output.split('\0').filter((file) => file !== '' && existsSync(join(root, file)));
}

interface Import {
  readonly from: string;
  /** Path of the imported source, relative to the root. */
  readonly to: string;
  readonly isType: boolean;
  readonly isDynamic: boolean;
}

function importsOf(file: string): Import[] {
  const text = withoutComments(readFileSync(join(root, file), 'utf8'));
  const found: Import[] = [];
  const statement =
    /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'(\.{1,2}\/[^']+)'|import\(\s*'(\.{1,2}\/[^']+)'\s*\)/g;
  for (const match of text.matchAll(statement)) {
    const specifier = match[2] ?? match[3];
    if (specifier === undefined) continue;
    const to = normalize(join(dirname(file), specifier)).replace(/\.js$/, '.ts');
    const isDynamic = match[3] !== undefined;
    found.push({ from: file, to, isType: match[1] !== undefined, isDynamic });
  }
  return found;
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
}

const topFolder = (file: string): string => file.split('/')[0] ?? '';

describe('source layout', () => {
  it('finds the sources it is about', () => {
    assert.ok(sources.includes('driver/errors.ts'));
    assert.ok(sources.includes('jobs/cli/main.ts'));
    assert.ok(importsOf('jobs/cli/main.ts').some((found) => found.to === 'jobs/cli/command.ts'));
  });

  it('keeps to the import arrows between top folders', () => {
    const wrong: string[] = [];
    for (const file of sources) {
      const allowed = ARROWS[topFolder(file)];
      if (!allowed) continue;
      for (const { to } of importsOf(file)) {
        const target = topFolder(to);
        if (target !== topFolder(file) && !allowed.includes(target)) wrong.push(`${file} -> ${to}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  it('has no arrow that runs back up between the floors of driver/', () => {
    const floorOf = (file: string): number =>
      FLOORS.indexOf(
        file
          .replace(/^driver\//, '')
          .replace(/\.ts$/, '')
          .split('/')[0] ?? '',
      );
    const drivers = sources.filter((file) => topFolder(file) === 'driver');
    assert.deepEqual(
      drivers.filter((file) => floorOf(file) < 0),
      [],
      'a room of driver/ has no floor yet',
    );
    const up = drivers.flatMap(importsOf).filter(({ from, to }) => floorOf(to) > floorOf(from));
    assert.deepEqual(
      up.map(({ from, to }) => `${from} -> ${to}`),
      [],
    );
  });

  it('imports only files that exist', () => {
    const missing = sources
      .flatMap(importsOf)
      .filter(({ to }) => !to.endsWith('.json') && !existsSync(join(root, to)))
      .map(({ from, to }) => `${from} -> ${to}`);
    assert.deepEqual(missing, []);
  });

  it('has no import cycle at load time', () => {
    const edges = new Map<string, string[]>();
    for (const file of sources) {
      const loaded = importsOf(file).filter(({ isType, isDynamic }) => !isType && !isDynamic);
      edges.set(
        file,
        loaded.map(({ to }) => to),
      );
    }
    assert.deepEqual(findCycle(edges), undefined);
  });

  it('loads little before a command is chosen and its settings are known', () => {
    const loadedFrom = (...first: string[]) => {
      const loaded = new Set(first);
      for (const file of loaded) {
        for (const found of importsOf(file)) {
          if (!found.isType && !found.isDynamic) loaded.add(found.to);
        }
      }
      const packages = [...loaded].flatMap((file) => {
        const text = readFileSync(join(root, file), 'utf8');
        const imports = text.matchAll(/^(?:import (?!type)|export )[^;']*from '([^.'][^']*)';/gm);
        return [...imports].map(([, name = '']) => name);
      });
      const others = packages.filter((name) => !name.startsWith('node:'));
      return { files: loaded.size, packages: [...new Set(others)] };
    };
    const first = loadedFrom('jobs/cli/command.ts', 'jobs/config/current.ts');
    assert.deepEqual(first.packages, ['commander']);
    assert.ok(first.files < 60, `${first.files} files: import what a command needs when it runs`);
    assert.deepEqual(loadedFrom('jobs/cli/complete.ts').packages, []);
    // A project with a file of settings pays for that in every command.
    assert.deepEqual(loadedFrom('jobs/config/settings-file.ts').packages, ['yaml']);
  });

  it('compares operators only where they are defined, rewritten and computed', () => {
    const names = Object.keys(ops).join('|');
    const comparison = new RegExp(
      [
        // expr.op === ops.matmul, op.name !== 'matmul', op === matmulOp
        `\\bop(?:\\.name)?\\s*[!=]==?\\s*(?:ops\\.|(?:${names})(?:Op)?\\b|'(?:${names})')`,
        // new Set([ops.rbind, ..]), [ops.sum, ops.add]
        '\\[ops\\.',
        // PRODUCTS.has(expr.op.name); what a backend can do is asked for by name
        '(?<!capabilities\\.ops)\\.(?:has|includes)\\((?:\\w+\\.)*op(?:\\.name)?\\)',
      ].join('|'),
    );
    const rooms =
      /^driver\/(operators|compiler\/(plan-)?rules)\/|^gpu-executor\/(cpu|device)\/kernels\//;
    const comparing = sources
      .filter((file) => topFolder(file) in ARROWS && !rooms.test(file))
      .flatMap((file) => {
        const lines = withoutComments(readFileSync(join(root, file), 'utf8')).split('\n');
        return lines.filter((line) => comparison.test(line)).map((line) => `${file}: ${line}`);
      });
    assert.deepEqual(comparing, []);
  });

  it('keeps source files at 400 lines or fewer', () => {
    const long = sources
      .map((file) => ({
        file,
        lines: readFileSync(join(root, file), 'utf8').split('\n').length - 1,
      }))
      .filter(({ lines }) => lines > 400)
      .map(({ file, lines }) => `${file}: ${lines}`);
    assert.deepEqual(long, []);
  });

  it('gives each exported name one meaning', () => {
    const declared = new Map<string, string[]>();
    const statement =
      /^export (?:abstract )?(?:async )?(?:function|class|const|interface|type) ([A-Za-z_$][\w$]*)/gm;
    for (const file of sources.filter((path) => topFolder(path) in ARROWS)) {
      const text = readFileSync(join(root, file), 'utf8');
      const names = new Set([...text.matchAll(statement)].map(([, name]) => name!));
      for (const name of names) declared.set(name, [...(declared.get(name) ?? []), file]);
    }
    // An operator and the function that users call for it have one name, and one meaning.
    const rooms = ['driver/operators/', 'driver/matrix/'];
    const twice = [...declared].filter(
      ([, files]) =>
        files.length > 1 && !files.every((file) => rooms.some((room) => file.startsWith(room))),
    );
    assert.deepEqual(Object.fromEntries(twice), {});
  });

  it('formats numbers without Intl, which takes up to 90 ms of every process that uses it', () => {
    // The report's script runs in a page.
    const using = sources.filter(
      (file) =>
        topFolder(file) in ARROWS &&
        file !== 'jobs/report/script.ts' &&
        /\bIntl\.|toLocale\w*String|localeCompare/.test(
          withoutComments(readFileSync(join(root, file), 'utf8')),
        ),
    );
    assert.deepEqual(using, []);
  });

  it('takes zod as a namespace, so that the bundle has none of its 50 languages', () => {
    const named = sources.filter((file) =>
      /^import \{.*\} from 'zod'/m.test(readFileSync(join(root, file), 'utf8')),
    );
    assert.deepEqual(
      named.filter((file) => topFolder(file) in ARROWS),
      [],
    );
  });

  it('opens every source file with a comment that says what it owns', () => {
    const silent = sources.filter((file) => {
      const text = readFileSync(join(root, file), 'utf8').replace(/^#!.*\n/, '');
      return topFolder(file) in ARROWS && !text.startsWith('/**');
    });
    assert.deepEqual(silent, []);
  });

  it('locks every build of packages that come built for each platform', () => {
    // `npm ci` refuses a lock file that lacks one; npm leaves it out when the registry does not
    // hold it.
    const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { optionalDependencies?: Record<string, string> }>;
    };
    const packages = Object.entries(lock.packages);
    const missing = packages.flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) =>
          !(`${path}/node_modules/${name}` in lock.packages) &&
          !(`node_modules/${name}` in lock.packages),
      ),
    );
    assert.ok(packages.length > 100);
    assert.deepEqual(missing, [], 'pin the package to a version all of whose builds can be had');
  });

  it('names no registry, so that mirrors work', () => {
    // Written in parts, so that this file does not name one either.
    const hosts = [
      ['registry', 'npmjs', 'org'],
      ['registry', 'yarnpkg', 'com'],
      ['repo', 'maven', 'apache', 'org'],
      ['repo1', 'maven', 'org'],
      ['repo', 'maven', 'org'],
      ['files', 'pythonhosted', 'org'],
    ].map((parts) => parts.join('.'));
    const naming: string[] = [];
    for (const file of tracked) {
      const text = readFileSync(join(root, file), 'latin1');
      for (const host of hosts) if (text.includes(host)) naming.push(`${file}: ${host}`);
    }
    assert.deepEqual(naming, []);
  });
});

/** A cycle as a list of files, or undefined. */
function findCycle(edges: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] | undefined => {
    const at = path.indexOf(file);
    if (at >= 0) return [...path.slice(at), file];
    if (done.has(file)) return undefined;
    path.push(file);
    for (const next of edges.get(file) ?? []) {
      const cycle = visit(next);
      if (cycle) return cycle;
    }
    path.pop();
    done.add(file);
    return undefined;
  };
  for (const file of edges.keys()) {
    const cycle = visit(file);
    if (cycle) return cycle;
  }
  return undefined;
}
