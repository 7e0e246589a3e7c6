/** A driver of a batch, to be killed: opens one at the address given, says its name, and stays. */

import { parseAllowedHosts } from '../../spark-bridge/livy/allowed-hosts.js';
import { openBatch } from '../../spark-bridge/livy/livy-batch.js';
import { createLivyClient } from '../../spark-bridge/livy/livy-client.js';
import { folderSessionStore } from '../../spark-bridge/livy/session-store.js';

const [url = '', jarUri = '', folder = '', leaseSeconds = '3'] = process.argv.slice(2);
const batch = await openBatch(createLivyClient({ url }), {
  key: 'killed',
  store: folderSessionStore(folder),
  jarUri,
  allow: parseAllowedHosts(),
  leaseSeconds: Number(leaseSeconds),
});
console.log(`BATCH ${batch.name}`);
setInterval(() => undefined, 1000);
