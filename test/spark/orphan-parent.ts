/** A driver that starts embedded Spark, says so, and waits to be killed. Run by `embedded.test.ts`. */
import { startEmbeddedSpark } from '../../spark-bridge/index.js';

const spark = await startEmbeddedSpark({ memoryBytes: 1024 ** 3, cores: 1 });
console.log(`SPARK ${spark.pid}`);
setInterval(() => {}, 1000);
