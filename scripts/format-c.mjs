// Formats the C and C++ sources by .clang-format, or with --check lists those that differ from it. Where
// clang-format is not installed it says so, and changes nothing.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const check = process.argv.includes('--check');

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
const result = spawnSync('clang-format', [...mode, ...files], { cwd: root, stdio: 'inherit' });
if (result.error?.code === 'ENOENT') {
  console.error('clang-format is not installed (Debian: clang-format): C and C++ were not looked at');
  process.exit(0);
}
process.exit(result.status ?? 1);
