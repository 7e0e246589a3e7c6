/**
 * The frame engine of Spark. Local files are listed and identified here, by content, so that a frame has the same
 * lineage on every engine; remote ones are listed and identified where they are. Invariant: what is told of files was
 * read while they were what they are named by.
 */
import { BackendLostError } from '../../driver/errors.js';
import { remoteFault, requireStorage } from '../../driver/frame/addresses.js';
import type {
  ColumnProfile,
  ColumnType,
  FrameColumn,
  FrameDescription,
  FrameEngine,
  FrameFile,
  FrameFormat,
  FrameSource,
  ProfileRequest,
} from '../../driver/frame/engine.js';
import { listDataFiles } from '../../driver/frame/files.js';
import { isGlob, requireBounded } from '../../driver/frame/glob.js';
import { identifyFiles, isRemote, readUnchanged } from '../../driver/frame/identity.js';
import {
  fixedPart,
  type PartitionValue,
  partitionColumns,
  withoutOwn,
  withPartitions,
} from '../../driver/frame/partitions.js';
import { type DescribeOptions, givenOptions } from '../../driver/frame/read-options.js';
import type { Channel } from '../channel/channel.js';
import type {
  Json,
  WireColumn,
  WireFrameFile,
  WireFrameSource,
  WireProfile,
} from '../channel/wire.js';
import { wireSource } from './wire-source.js';

export function createSparkFrames(channel: Channel, newRun: () => string): FrameEngine {
  const identifyRemote = async (paths: readonly string[]): Promise<readonly (string | null)[]> =>
    (await channel.call('identifyFiles', { paths })).result.digests;
  return {
    name: 'spark',
    async describe(path: string, options: DescribeOptions = {}): Promise<FrameDescription> {
      requireStorage(path);
      if (isRemote(path)) requireBounded(path);
      const { format } = options;
      const given = givenOptions(options);
      const local = isRemote(path) ? null : await localSource(path, options);
      const call = () =>
        channel.call('describeFrame', {
          path: local === null ? path : null,
          format: format ?? null,
          options: (given ?? null) as Json,
          source: local,
        });
      const { result } = await (local === null
        ? call().catch((cause: unknown) => {
            throw remoteFault(path, cause);
          })
        : readUnchanged(local as unknown as FrameSource, call));
      const { format: kind, columns } = result.source;
      const found = result.source.files.map(toFile);
      const placed = local === null ? withPartitions(found, remoteRoot(path), given) : found;
      const own = result.columns.map((column) => column.name);
      const { files, warnings } = withoutOwn(placed, own);
      const source = {
        format: kind as FrameFormat,
        files,
        ...(given ? { options: given } : {}),
        ...(columns ? { columns } : {}),
      };
      return {
        source: local === null ? { ...source, identify: identifyRemote } : source,
        columns: [...result.columns.map(toColumn), ...partitionColumns(files, PARTITION_TYPES)],
        warnings,
        rows: result.rows,
      };
    },
    async profile(
      source: FrameSource,
      requests: readonly ProfileRequest[],
    ): Promise<ColumnProfile[]> {
      const request = {
        run: newRun(),
        source: wireSource(source),
        requests: requests.map(({ sql, top, quantiles }) => ({ sql, top, quantiles })),
      };
      const { result } = await readUnchanged(source, () => channel.call('profileFrame', request));
      return result.profiles.map(toProfile);
    },
    async profileFiles(
      source: FrameSource,
      requests: readonly ProfileRequest[],
    ): Promise<ColumnProfile[][]> {
      const request = {
        run: newRun(),
        source: wireSource(source),
        requests: requests.map(({ sql, top, quantiles }) => ({ sql, top, quantiles })),
      };
      const { result } = await readUnchanged(source, () => channel.call('profileFiles', request));
      return result.files.map((profiles) => profiles.map(toProfile));
    },
  };
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

/** Spark's names of the types of columns that stand in the names of folders. */
const PARTITION_TYPES = { integer: 'bigint', date: 'date', text: 'string' } as const;

/** Where partition folders begin; a path without wildcards may be a folder or a file, above whose name none count. */
function remoteRoot(path: string): string {
  return isGlob(path) ? fixedPart(path) : path;
}

function toFile({ partition, ...file }: WireFrameFile): FrameFile {
  return partition === null ? file : { ...file, partition: partition as readonly PartitionValue[] };
}

function toColumn(column: WireColumn): FrameColumn {
  return { ...column, type: column.type as ColumnType };
}

function toProfile(profile: WireProfile): ColumnProfile {
  return {
    ...profile,
    type: profile.type as ColumnType,
    min: profile.min === null ? null : toNumber(profile.min),
    max: profile.max === null ? null : toNumber(profile.max),
    quantiles: profile.quantiles.map(toNumber),
  };
}

function toNumber(value: Json): number {
  return typeof value === 'number' ? value : Number((value as { $num: string }).$num);
}
