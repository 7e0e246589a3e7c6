/** Packages that are loaded by name and lie in the bundle of the command line, which fills this in. */
export const bundledPackages: ReadonlyMap<string, () => unknown> = new Map();
