/** Every bench, in the order `npm run bench` lists them. Adding one: its file and one line here. */

import { asynchronous } from './async.js';
import { blas } from './blas.js';
import { broadcasts } from './broadcasts.js';
import { cacheSize } from './cache-size.js';
import { channel } from './channel.js';
import { mnist, svm } from './classifiers.js';
import { enet } from './enet.js';
import { estimatorsAgreement } from './estimators-agreement.js';
import { fileParts } from './file-parts.js';
import { flights, flightsRerun } from './flights.js';
import type { Bench } from './harness.js';
import { hcv10, hcvGrid } from './hcv.js';
import { hcvSpark } from './hcv-spark.js';
import { incremental } from './incremental.js';
import { kmeansBench } from './kmeans.js';
import { livyBlas } from './livy-blas.js';
import { livyOverhead } from './livy-overhead.js';
import { logisticBench } from './logistic.js';
import { migration } from './migration.js';
import { nights } from './nights.js';
import { partial } from './partial.js';
import { placement } from './placement.js';
import { probe } from './probe.js';
import { rddReuse } from './rdd-reuse.js';
import { reuseOverhead } from './reuse-overhead.js';
import { search5gb } from './search-5gb.js';
import { secondProcess } from './second-process.js';
import { sklearnAgreement } from './sklearn-agreement.js';
import { soakBench } from './soak.js';
import { sparse } from './sparse.js';
import { spill } from './spill.js';
import { stackBench } from './stack.js';
import { storeProcesses } from './store-processes.js';
import { stream } from './stream.js';
import { tracing } from './tracing.js';
import { trials } from './trials.js';

export const benches: readonly Bench[] = [
  hcv10,
  hcvGrid,
  hcvSpark,
  logisticBench,
  mnist,
  svm,
  kmeansBench,
  stackBench,
  enet,
  sparse,
  search5gb,
  stream,
  flights,
  flightsRerun,
  incremental,
  fileParts,
  nights,
  partial,
  storeProcesses,
  soakBench,
  sklearnAgreement,
  estimatorsAgreement,
  tracing,
  reuseOverhead,
  cacheSize,
  spill,
  probe,
  trials,
  secondProcess,
  placement,
  migration,
  rddReuse,
  broadcasts,
  asynchronous,
  channel,
  livyOverhead,
  livyBlas,
  blas,
];
