// Runs a test in a user-mode Linux, a kernel that runs as a program and sees this machine's files: for kernels and
// settings that this machine does not have.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run } from './command.js';
import { checkout, isRoot } from './sandbox.js';

const kernel = '/usr/bin/linux.uml';

/** The exit code and output of the test file, or why it cannot run. cgroup v2 is mounted in it. */
export async function inUserModeLinux(
  test: string,
): Promise<{ readonly code: number; readonly output: string } | string> {
  if (process.env['SANDWIRE_IN_UML'] !== undefined) return 'this is one already';
  if (!existsSync(kernel)) return 'user-mode-linux is not installed';
  if (!isRoot) return 'only root can start a user-mode Linux with this machine’s files';
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-uml-'));
  try {
    const script = path.join(folder, 'init');
    const lines = [
      '#!/bin/sh',
      'export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin SANDWIRE_IN_UML=1',
      'mount -t proc proc /proc && mount -t sysfs sys /sys && mount -t cgroup2 cgroup /sys/fs/cgroup',
      // The checkout may be below /tmp, so it is moved.
      `mount --bind ${checkout} /mnt && mount -t tmpfs tmp /tmp`,
      `mkdir -p ${checkout} && mount --move /mnt ${checkout}`,
      'ip link set lo up 2>/dev/null',
      `cd ${checkout} && ${process.execPath} --enable-source-maps ${test}`,
      'echo "ended with $?"',
      'exec halt -f',
    ];
    writeFileSync(script, `${lines.join('\n')}\n`, { mode: 0o755 });
    const args = ['mem=1G', 'root=/dev/root', 'rootfstype=hostfs', 'rootflags=/', 'rw', `init=${script}`];
    const { stdout, stderr } = await run('timeout', [
      '--signal=KILL',
      '300',
      kernel,
      ...args,
      'con=null',
      'con0=null,fd:1',
      'quiet',
    ]);
    const code = Number(/ended with (\d+)/.exec(stdout)?.[1] ?? -1);
    return { code, output: stdout + stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
