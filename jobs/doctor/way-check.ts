/** Which way `--engine spark` takes, whether it can be reached, and the BLAS. Starts nothing. */
import type { Finding } from './finding.js';

const NAME = 'cluster';

export async function wayCheck(): Promise<Finding> {
  const bridge = await import('../../spark-bridge/index.js');
  const sendsBlas = bridge.nativeBlasFiles().length > 0;
  try {
    const way = bridge.sparkWay();
    if (way.kind === 'embedded') {
      const found =
        'none: Spark runs in a JVM of this machine (REPRISE_SPARK_MASTER, REPRISE_LIVY_URL)';
      return { name: NAME, status: 'ok', found, remedy: null };
    }
    if (way.kind === 'livy') return withBlas(await bridge.describeLivy(), sendsBlas);
    bridge.requireSubmit(way.master);
    if (bridge.isLocalMaster(way.master)) {
      const found = `spark-submit to ${way.master} on this machine`;
      return { name: NAME, status: 'ok', found, remedy: null };
    }
    return withBlas({ text: `spark-submit to ${way.master}`, sendsBlas: true }, sendsBlas);
  } catch (error) {
    const [found = '', remedy] = (error as Error).message.split(/; (?=[^;]*$)/);
    return { name: NAME, status: 'missing', found, remedy: remedy ?? 'see docs/livy.md' };
  }
}

function withBlas(
  { text, sendsBlas }: { readonly text: string; readonly sendsBlas: boolean },
  hasBlas: boolean,
): Finding {
  if (sendsBlas && hasBlas) {
    return { name: NAME, status: 'ok', found: `${text}; OpenBLAS goes to executors`, remedy: null };
  }
  const found = `${text}; executors use the BLAS they have, which is Java's where there is no libblas.so.3`;
  const remedy = sendsBlas ? 'run `reprise setup` to bring an OpenBLAS that goes along' : null;
  return { name: NAME, status: sendsBlas ? 'degraded' : 'ok', found, remedy };
}
