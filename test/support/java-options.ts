/**
 * Required by every test process. A JVM of a test lives for seconds and runs little code often, so
 * compiling that code well costs more than it saves: starting Spark takes 4.7 s of processor time
 * with the first compiler alone and 7.8 s with both. Options that are set already stay.
 */
process.env.JDK_JAVA_OPTIONS ??= '-XX:TieredStopAtLevel=1';
