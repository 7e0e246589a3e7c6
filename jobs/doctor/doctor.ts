/**
 * What is there, what is missing and how to get it. Invariant: a check never throws and changes
 * nothing; `missing` means that an engine can't run, `degraded` that everything works but slower or
 * on fewer engines.
 */
import type { DeviceProperties } from '../../gpu-executor/device/index.js';
import { runChecks } from './checks.js';
import { devicesHere } from './device-checks.js';
import type { Finding } from './finding.js';

export interface Diagnosis {
  /** Whether the local engine works. */
  readonly local: boolean;
  /** Whether embedded Spark works. */
  readonly spark: boolean;
  /** GPUs and what else OpenCL and CUDA find. */
  readonly devices: readonly DeviceProperties[];
  readonly findings: readonly Finding[];
}

/** Names of findings that an engine can't do without. */
const NEEDED = {
  local: ['node', 'settings', 'duckdb', 'home', 'disk'],
  spark: ['node', 'settings', 'duckdb', 'home', 'disk', 'java', 'spark', 'shim', 'cluster'],
} as const;

const isPassedOver = ({ name, status }: Finding): boolean => name === 'spark' && status !== 'ok';

/** Examines this machine; takes a few seconds at most. */
export async function diagnose(): Promise<Diagnosis> {
  const findings = await runChecks();
  const isMissing = (name: string): boolean =>
    findings.some((finding) => finding.name === name && finding.status === 'missing');
  return {
    local: !NEEDED.local.some(isMissing),
    // A SPARK_HOME that is passed over stops who asks for Spark.
    spark: !NEEDED.spark.some(isMissing) && !findings.some(isPassedOver),
    devices: devicesHere(),
    findings,
  };
}
