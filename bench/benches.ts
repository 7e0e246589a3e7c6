/** Every bench, in the order `npm run bench` lists them. Adding one: its file and one line here. */

import { asynchronous } from './async.js';
import { blas } from './blas.js';
import { broadcasts } from './broadcasts.js';
import { cacheSize } from './cache-size.js';
import { channel } from './channel.js';
import { mnist, svm } from './classifiers.js';
import { cleaning, cleaningSettings } from './cleaning.js';
import { cleaningSearch } from './cleaning-search.js';
import { deviceChains } from './device-chains.js';
import { deviceGpu } from './device-gpu.js';
import { deviceMemory } from './device-memory.js';
import { deviceNetwork } from './device-network.js';
import { deviceProducts } from './device-products.js';
import { deviceSearch } from './device-search.js';
import { deviceStream } from './device-stream.js';
import { enet } from './enet.js';
import { estimatorsAgreement } from './estimators-agreement.js';
import { fileParts } from './file-parts.js';
import { flights, flightsRerun } from './flights.js';
import type { Bench } from './harness.js';
import { hcv10, hcvGrid } from './hcv.js';
import { hcvSpark } from './hcv-spark.js';
import { hyperbandBench, hyperbandIterations } from './hyperband.js';
import { hyperbandSettings } from './hyperband-settings.js';
import { incremental } from './incremental.js';
import { kernelProviders } from './kernel-providers.js';
import { kmeansBench } from './kmeans.js';
import { livyBlas } from './livy-blas.js';
import { livyOverhead } from './livy-overhead.js';
import { logisticBench } from './logistic.js';
import { migration } from './migration.js';
import { networkStep } from './network-step.js';
import { networks } from './networks.js';
import { nights } from './nights.js';
import { partial } from './partial.js';
import { placement } from './placement.js';
import { probe } from './probe.js';
import { rddReuse } from './rdd-reuse.js';
import { reuseOverhead } from './reuse-overhead.js';
import { reuseSettings, reuseSettingsSpark } from './reuse-settings.js';
import { search5gb, search5gbMllib } from './search-5gb.js';
import { secondProcess } from './second-process.js';
import { sklearnAgreement } from './sklearn-agreement.js';
import { soakBench } from './soak.js';
import { sparseBenches } from './sparse.js';
import { spill } from './spill.js';
import { stackBench } from './stack.js';
import { storeProcesses } from './store-processes.js';
import { stream } from './stream.js';
import { tracing } from './tracing.js';
import { trials } from './trials.js';
import { workloadAutoencoder } from './workloads/autoencoder.js';
import { workloadCleaning } from './workloads/cleaning.js';
import { workloadHcv } from './workloads/hcv.js';
import { pnmfRatings, pnmfSpark, pnmfWords } from './workloads/loops.js';
import { workloadPnmf } from './workloads/pnmf.js';
import { workloadSvm } from './workloads/svm.js';
import { workloadTransfer } from './workloads/transfer.js';
import { workloadTranslation } from './workloads/translation.js';

export const benches: readonly Bench[] = [
  hcv10,
  hcvGrid,
  hcvSpark,
  workloadHcv,
  workloadPnmf,
  pnmfWords,
  pnmfRatings,
  pnmfSpark,
  workloadSvm,
  workloadAutoencoder,
  workloadTranslation,
  workloadTransfer,
  logisticBench,
  mnist,
  svm,
  hyperbandBench,
  hyperbandIterations,
  hyperbandSettings,
  kmeansBench,
  networkStep,
  stackBench,
  cleaning,
  workloadCleaning,
  cleaningSearch,
  cleaningSettings,
  enet,
  ...sparseBenches,
  search5gb,
  search5gbMllib,
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
  deviceMemory,
  deviceSearch,
  deviceChains,
  deviceNetwork,
  deviceProducts,
  deviceGpu,
  deviceStream,
  reuseSettings,
  reuseSettingsSpark,
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
  networks,
  kernelProviders,
];
