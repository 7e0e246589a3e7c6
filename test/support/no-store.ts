/**
 * Required by every test process: runs keep nothing for later ones unless a test says so, since most
 * count what a run computes.
 */
process.env.REPRISE_STORE ??= 'off';
