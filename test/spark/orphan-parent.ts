/** A driver that starts Spark, embedded or at its first argument, says so, and waits for a kill. */
import { startEmbeddedSpark } from '../../spark-bridge/index.js';

const [master, conf = '{}'] = process.argv.slice(2);
const spark = await startEmbeddedSpark({
  memoryBytes: 1024 ** 3,
  cores: 1,
  conf: JSON.parse(conf) as Record<string, string>,
  ...(master === undefined ? {} : { submit: { master } }),
});
console.log(`SPARK ${spark.pid}`);
setInterval(() => {}, 1000);
