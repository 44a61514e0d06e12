// Writes the `resolutions` of package.json: every @jupyterlab package at one complete release, and the bundler at a
// version whose binaries all exist. Run `node scripts/resolutions.mjs`, then `jlpm install`; never edit by hand.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const RELEASE = '4.6.4';
const ALSO = ['core-meta', 'testing', 'testutils'];
// A package that is not part of the release set: lib0 newer than this breaks the types of yjs under TypeScript 5.5.
const FIXED = { '@rspack/core': '2.2.9', lib0: '0.2.111' };

function corePackage(folder) {
  execFileSync('npm', ['pack', `@jupyterlab/core-meta@${RELEASE}`], {
    cwd: folder,
    stdio: 'ignore'
  });
  execFileSync('tar', ['xzf', `jupyterlab-core-meta-${RELEASE}.tgz`], {
    cwd: folder
  });
  return JSON.parse(
    readFileSync(join(folder, 'package', 'core.package.json'), 'utf8')
  );
}

function resolutions(core) {
  const found = { ...FIXED };
  for (const [name, range] of Object.entries(core.resolutions)) {
    if (name.startsWith('@jupyterlab/')) {
      found[name] = range.replace(/^[~^]/, '');
    }
  }
  for (const name of ALSO) {
    found[`@jupyterlab/${name}`] = RELEASE;
  }
  return Object.fromEntries(
    Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1))
  );
}

const folder = mkdtempSync(join(tmpdir(), 'aiinfn-resolutions-'));
try {
  const file = new URL('../package.json', import.meta.url);
  const manifest = JSON.parse(readFileSync(file, 'utf8'));
  manifest.resolutions = resolutions(corePackage(folder));
  writeFileSync(file, JSON.stringify(manifest, null, 4) + '\n');
} finally {
  rmSync(folder, { recursive: true });
}
