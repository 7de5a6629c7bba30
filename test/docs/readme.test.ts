// README.md: its sample unpacks what it should and stops what it should.
import { existsSync } from 'node:fs';
import { runDocument } from './run-document.js';

/** What npm run demo runs once all is built. */
const demo = (...args: string[]) => [process.execPath, 'dist/examples/crc4/host.js', ...args, 'README.md'];

runDocument('README.md', {
  commands: { kind: 'command', command: demo(), prints: /^0x[0-9a-f]{8}\nFinal execution status: OK/ },
  unpack: {
    kind: 'run',
    added: `import { gzipSync } from 'node:zlib';
import { writeFileSync } from 'node:fs';
const attempt = async (name: string, bytes: Uint8Array) => {
  writeFileSync(name, bytes);
  try {
    console.log(name, (await unpack(name)).length);
  } catch (error) {
    console.log(name, String(error));
  }
};
await attempt('good', gzipSync('hello'));
await attempt('bomb', gzipSync(Buffer.alloc(64 << 20)));
await attempt('bad', Buffer.from('no gzip at all'));
`,
    prints:
      /^good 5\nbomb Error: it unpacks to more than 16 MiB\nbad Error: gzip failed:\s+gzip: stdin: not in gzip format\s+$/,
    skipIf: () => (existsSync('/usr/bin/gzip') ? undefined : 'there is no /usr/bin/gzip'),
  },
  violate: { kind: 'command', command: demo('--violate'), prints: /^Final execution status/, exitCode: 1 },
  install: { kind: 'tested-by', file: 'dist/test/package/install.test.js' },
});
