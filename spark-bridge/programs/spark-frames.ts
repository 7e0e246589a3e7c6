/**
 * The frame engine of Spark. Local files are listed and identified here, by content, so that a
 * frame has the same lineage on every engine; remote ones are listed and identified where they are.
 * Invariant: what is told of files was read while they were what they are named by.
 */
import { BackendLostError } from '../../driver/errors.js';
import { remoteFault, requireStorage } from '../../driver/frame/addresses.js';
import { listDataFiles, withoutFileScheme } from '../../driver/frame/files.js';
import { isGlob, requireBounded, requireFewStars } from '../../driver/frame/glob.js';
import { identifyFiles, isRemote, readUnchanged } from '../../driver/frame/identity.js';
import {
  fixedPart,
  partitionColumns,
  withoutOwn,
  withPartitions,
} from '../../driver/frame/partitions.js';
import { droppedRows, givenOptions, requireTarget } from '../../driver/frame/read-options.js';
import {
  agreeOnText,
  classOfText,
  type TextColumn,
  type TextFile,
  type TextTable,
  type TextType,
} from '../../driver/frame/text-columns.js';
import type {
  ColumnProfile,
  ColumnType,
  FrameColumn,
  FrameDescription,
  FrameEngine,
  FrameFile,
  FrameFormat,
  FrameSource,
  PartitionValue,
  ProfileRequest,
} from '../../driver/ir/frame-engine.js';
import type { DescribeOptions, ReadOptions } from '../../driver/ir/read-options.js';
import type { Channel } from '../channel/channel.js';
import { toNumber } from '../channel/frame-codec.js';
import type {
  WireColumn,
  WireFrameFile,
  WireFrameSource,
  WireJson,
  WireProfile,
} from '../channel/wire.js';
import { type SparkExpressions, textKey } from './expressions.js';
import type { Survey } from './survey.js';
import { wireSource } from './wire-source.js';

export function createSparkFrames(
  channel: Channel,
  newRun: () => string,
  expressions: SparkExpressions,
  survey: Survey,
): FrameEngine {
  /** As `readUnchanged`, on files that the cluster has as well. */
  const readEverywhere = async <T>(source: FrameSource, read: () => Promise<T>): Promise<T> => {
    const result = await readUnchanged(source, async () => {
      try {
        return await read();
      } catch (error) {
        throw await survey.causeOf(source.files, error);
      }
    });
    // Executors may have come meanwhile.
    await survey.check(source.files);
    return result;
  };
  const asked = async (source: FrameSource, requests: readonly ProfileRequest[]) => {
    const translated = await expressions.translate(requests, source);
    return {
      run: newRun(),
      source: wireSource(source),
      requests: requests.map((request) => {
        const { top, quantiles, fromStatistics = false } = request;
        return { ...translated.get(textKey(request))!, top, quantiles, fromStatistics };
      }),
    };
  };
  const identifyRemote = async (paths: readonly string[]): Promise<readonly (string | null)[]> =>
    (await channel.call('identifyFiles', { paths })).result.digests;
  return {
    name: 'spark',
    async describe(given: string, options: DescribeOptions = {}): Promise<FrameDescription> {
      const path = withoutFileScheme(given);
      requireStorage(path);
      if (isRemote(path)) {
        requireBounded(path);
        requireFewStars(path);
      }
      const { format } = options;
      const said = givenOptions(options);
      const local = isRemote(path) ? null : await localSource(path, options);
      const call = () =>
        channel.call('describeFrame', {
          path: local === null ? path : null,
          format: format ?? null,
          options: (said ?? null) as WireJson,
          source: local,
        });
      if (local !== null) await survey.check(local.files.map(toFile));
      const { result } = await (local === null
        ? call().catch((cause: unknown) => {
            throw remoteFault(path, cause);
          })
        : readUnchanged(local as unknown as FrameSource, call));
      const { rows, dropped } = result;
      const kind = result.source.format as FrameFormat;
      const found = result.source.files.map(toFile);
      const placed = local === null ? withPartitions(found, remoteRoot(path), said) : found;
      const table = result.text === null ? undefined : agreedText(result.text, kind, found, said);
      const own = table?.columns.map(textColumn) ?? result.columns.map(toColumn);
      const ownNames = own.map((column) => column.name);
      const { files, warnings } = withoutOwn(placed, ownNames);
      const columns = [...own, ...partitionColumns(files, PARTITION_TYPES)];
      const source: FrameSource = {
        format: kind,
        files,
        ...(said ? { options: said } : {}),
        columns,
        ...(table ? { text: table.columns } : {}),
        ...(local === null ? { identify: identifyRemote } : {}),
      };
      return {
        source,
        columns,
        rows,
        dropped,
        isUniform: table?.isUniform ?? true,
        warnings: [
          ...(table?.warnings ?? []),
          ...warnings,
          ...droppedRows(dropped, rows, said?.dropMissing),
        ],
      };
    },
    async profile(
      source: FrameSource,
      requests: readonly ProfileRequest[],
    ): Promise<ColumnProfile[]> {
      const request = await asked(source, requests);
      const { result } = await readEverywhere(source, () => channel.call('profileFrame', request));
      return result.profiles.map(toProfile);
    },
    async profileFiles(
      source: FrameSource,
      requests: readonly ProfileRequest[],
    ): Promise<ColumnProfile[][]> {
      const request = await asked(source, requests);
      const { result } = await readEverywhere(source, () => channel.call('profileFiles', request));
      return result.files.map((profiles) => profiles.map(toProfile));
    },
  };
}

/** The columns of a source as Spark has them. */
export async function columnsOnSpark(
  channel: Channel,
  source: FrameSource,
): Promise<readonly FrameColumn[]> {
  const folders = partitionColumns(source.files, PARTITION_TYPES);
  if (source.text) {
    return [...source.text.map((column) => textColumn(column as TextColumn)), ...folders];
  }
  const sent = wireSource(source);
  const given = { path: null, format: source.format, options: sent.options, source: sent };
  const { columns } = (await channel.call('describeFrame', given)).result;
  return [...columns.map(toColumn), ...folders];
}

/** The same engine, reading once more when Spark ended under it: reading leaves nothing behind. */
export function retryingFrames(frames: FrameEngine, recover: () => Promise<void>): FrameEngine {
  const again = async <T>(read: () => Promise<T>): Promise<T> => {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof BackendLostError)) throw error;
      await recover();
      return await read();
    }
  };
  return {
    name: frames.name,
    describe: (path, options) => again(() => frames.describe(path, options)),
    profile: (source, requests) => again(() => frames.profile(source, requests)),
    ...(frames.profileFiles
      ? { profileFiles: (source, requests) => again(() => frames.profileFiles!(source, requests)) }
      : {}),
  };
}

async function localSource(path: string, options: DescribeOptions): Promise<WireFrameSource> {
  const listed = await listDataFiles(path, options.format);
  const files = await identifyFiles(listed.paths);
  const given = givenOptions(options);
  return wireSource({
    format: listed.format,
    files: withPartitions(files, listed.root, given).map((file) => ({ ...file, rows: 0 })),
    ...(given ? { options: given } : {}),
  });
}

/** The columns of text files, as they are found out for every engine alike. */
function agreedText(
  text: readonly Pick<TextFile, 'columns'>[],
  format: FrameFormat,
  files: readonly Pick<FrameFile, 'path'>[],
  options: ReadOptions = {},
): TextTable {
  const found = text.map(({ columns }, i) => ({ path: files[i]!.path, columns }));
  const table = agreeOnText(found, format, options.schema);
  const names = table.columns.map((column) => column.name);
  if (options.dropMissing !== undefined) requireTarget(options.dropMissing, names);
  return table;
}

/** Spark's names of the types text is read as. */
const SPARK_TYPES: Readonly<Record<TextType, string>> = {
  integer: 'bigint',
  double: 'double',
  text: 'string',
  boolean: 'boolean',
  date: 'date',
  timestamp: 'timestamp',
  nested: 'json',
};

function textColumn({ name, type }: TextColumn): FrameColumn {
  return { name, type: classOfText(type), engineType: SPARK_TYPES[type] };
}

/** Spark's names of the types of columns that stand in the names of folders. */
const PARTITION_TYPES = { integer: 'bigint', date: 'date', text: 'string' } as const;

/** Where partition folders begin; a path without wildcards, folder or file, has none above it. */
function remoteRoot(path: string): string {
  return isGlob(path) ? fixedPart(path) : path;
}

function toFile({ partition, ...file }: WireFrameFile): FrameFile {
  return partition === null ? file : { ...file, partition: partition as readonly PartitionValue[] };
}

function toColumn(column: WireColumn): FrameColumn {
  return { ...column, type: column.type as ColumnType };
}

function toProfile({ fromStatistics, ...profile }: WireProfile): ColumnProfile {
  return {
    ...profile,
    ...(fromStatistics ? { fromStatistics } : {}),
    type: profile.type as ColumnType,
    min: profile.min === null ? null : toNumber(profile.min),
    max: profile.max === null ? null : toNumber(profile.max),
    quantiles: profile.quantiles.map(toNumber),
  };
}
