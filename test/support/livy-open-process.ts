/**
 * A process of its own that opens a Livy session with records on disk, as a run does: `node
 * livy-open-process.js <url> <folder of records> <when>`. Kills itself once the intent is written
 * (`intent`) or before the answer is (`answer`); else says `open` and waits.
 */
import { createLivyClient } from '../../spark-bridge/livy/livy-client.js';
import { openLivySession } from '../../spark-bridge/livy/session-lifecycle.js';
import { claimSessionKey, folderSessionStore } from '../../spark-bridge/livy/session-store.js';

const [, , url = '', folder = '', when = ''] = process.argv;
const die = (): void => void process.kill(process.pid, 'SIGKILL');
const records = folderSessionStore(folder);

await openLivySession(createLivyClient({ url }), {
  key: await claimSessionKey(folder, 'test'),
  spec: {},
  store: {
    ...records,
    save: async (record) => {
      if (when === 'answer' && record.phase === 'created') die();
      await records.save(record);
      if (when === 'intent' && record.phase === 'intent') die();
    },
  },
});
process.stdout.write('open\n');
setInterval(() => {}, 1000);
