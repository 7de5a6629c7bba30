// Formats the C and C++ sources by .clang-format, or with --check lists those that differ from it. Every version of
// clang-format breaks some lines in its own way, so only one counts. Where that is not installed the script says so, and
// changes nothing.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const check = process.argv.includes('--check');
const major = 14;

const versionOf = (command) =>
  /version (\d+)/.exec(spawnSync(command, ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1];
const command = [`clang-format-${major}`, 'clang-format'].find((name) => versionOf(name) === String(major));
if (command === undefined) {
  const found = versionOf('clang-format');
  console.error(
    `clang-format ${major} is not installed${found === undefined ? '' : ` (but ${found} is)`}: C and C++ were not looked at`,
  );
  process.exit(0);
}

const listed = spawnSync('git', ['ls-files', '-co', '--exclude-standard', '*.c', '*.h', '*.cc'], {
  cwd: root,
  encoding: 'utf8',
});
if (listed.status !== 0) {
  console.error(`git ls-files failed: ${listed.error?.message ?? listed.stderr.trim()}`);
  process.exit(1);
}
const files = listed.stdout.split('\n').filter((file) => file !== '' && !file.includes('.generated.'));
const mode = check ? ['--dry-run', '--Werror', '--ferror-limit=1'] : ['-i'];
const result = spawnSync(command, [...mode, ...files], { cwd: root, stdio: 'inherit' });
process.exit(result.status ?? 1);
