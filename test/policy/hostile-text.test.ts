// Text that would pass for something else where it is shown: no text about a policy contains a control character, and
// no path reads like a line about another one.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { JUMP, KILL, LABEL, Policy, PolicyBuilder } from '../../host/index.js';
import { plainOrQuoted, quotedText, shown } from '../../host/policy/quoting.js';

const test = suite('hostile text');

const hostile: readonly string[] = [
  'a\nNothing else is shown.\n\nNetwork: none',
  'a\r  R /q',
  '\u001b[8m\u001b]0;title\u0007',
  '\u009b8m\u0085',
  '\u202egnp.exe\u2066',
  '\u2028\u2029\ufeff\u200b',
  '\ud800',
  'a from b',
  'x" from "y',
  '\\n\\',
  '\u007f\u0000',
];

/** Control characters, and characters that change the direction of writing or break lines. */
const uncanny = /[\p{C}\p{Zl}\p{Zp}]/u;

const base = () => JSON.parse(JSON.stringify(new PolicyBuilder().build())) as Record<string, unknown>;

test('quoting', () => {
  for (const text of [...hostile, ...hostile.map((text) => `/${text}/`)]) {
    for (const made of [shown(text), quotedText(text), plainOrQuoted(text)]) {
      assert.match(made, /^[\x20-\x7e…]+$/, made);
      assert.match(made, /^".*"…?$/);
      // Nothing in it ends the quotes.
      assert.not.match(made.slice(1, -1).replaceAll(/\\\\|\\"/g, ''), /"/);
    }
  }
  assert.is(
    plainOrQuoted('/usr/lib/x86_64-linux-gnu/libstdc++.so.6'),
    '/usr/lib/x86_64-linux-gnu/libstdc++.so.6',
  );
  assert.is(plainOrQuoted(''), '""');
  assert.is(plainOrQuoted('/a b'), '"/a b"');
  assert.is(plainOrQuoted('/müller'), '"/m\\xfcller"');
  assert.is(shown({ toJSON: () => '\u202e' }), '"\\u{202e}"');
  assert.is(quotedText('x'.repeat(300)).length, 203);
});

test('explain() has one line for each mount, whatever the paths', () => {
  const usual = Policy.fromJSON({ ...base(), mounts: [{ file: '/etc/hosts' }] }).explain();
  const lines = usual.split('\n').length;
  for (const text of hostile) {
    if (text.includes('\0')) continue;
    const mounts: object[] = [
      { file: `/${text}` },
      { file: '/etc/hosts', at: `/${text}` },
      { directory: `/${text}`, writable: true },
      { directory: '/srv', at: `/${text}` },
      { tmpfs: `/${text}`, sizeBytes: 4096 },
      { symlink: `/${text}`, target: '/x' },
      { symlink: '/x', target: text },
      { proc: `/${text}` },
      { sysfs: `/${text}` },
      { emptyDirectory: `/${text}` },
    ];
    for (const mount of mounts) {
      const told = Policy.fromJSON({ ...base(), mounts: [mount] }).explain();
      assert.is(told.split('\n').length, lines, JSON.stringify(mount));
      assert.not.match(told.replaceAll('\n', ''), uncanny, JSON.stringify(mount));
      const line = told.split('\n').find((one) => /^ {2}(R|W| ) /.test(one)) ?? '';
      // Unambiguous: outside of quotes there is at most one " from " or " leads to ".
      const bare = line.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
      assert.ok(bare.split(' from ').length <= 2, line);
      assert.not.match(bare, /[\\]|" from "y|a from b/, line);
    }
  }
});

test('a directory of the host with such a name', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'sandwire-text-'));
  try {
    const evil = path.join(directory, 'a\nW ', 'etc from ', '\u001b[8m');
    mkdirSync(evil, { recursive: true });
    const policy = new PolicyBuilder().addDirectory(evil, false).build();
    for (const told of [policy.explain(), Policy.fromJSON(JSON.stringify(policy)).explain()]) {
      assert.match(told, /W ".*\/a\\nW \/etc from \/\\x1b\[8m\/"\n/);
      assert.not.match(told.replaceAll('\n', ''), uncanny);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('no error shows them', () => {
  const ways: Readonly<Record<string, (text: string) => unknown>> = {
    syscall: (text) => new PolicyBuilder().allowSyscall(text),
    errno: (text) => new PolicyBuilder().blockSyscallWithErrno('umask', text),
    action: (text) => new PolicyBuilder().syscall('umask', text as never),
    'other action': (text) => new PolicyBuilder().syscall('umask', { [text]: text } as never),
    option: (text) => new PolicyBuilder().allowSyscall('umask', { [text]: true } as never),
    token: (text) => new PolicyBuilder().allow(text as never),
    arch: (text) => new PolicyBuilder({ arch: text as never }),
    hostname: (text) => new PolicyBuilder().setHostname(text),
    value: (text) => new PolicyBuilder().syscall('umask', (arg) => arg(0).eq(text as never)),
    argument: (text) => new PolicyBuilder().syscall('umask', (arg) => arg(text as never).eq(1)),
    jump: (text) => new PolicyBuilder().addPolicyOnSyscall('umask', [JUMP(text), KILL]),
    label: (text) => new PolicyBuilder().addPolicyOnSyscall('umask', [LABEL(text), LABEL(text), KILL]),
    thrown: (text) =>
      new PolicyBuilder().syscall('umask', () => {
        throw new Error(text);
      }),
    file: (text) => new PolicyBuilder().addFile(text),
    'absolute file': (text) => new PolicyBuilder().addFile(`/${text}`),
    directory: (text) => new PolicyBuilder().addDirectoryAt('/etc', `${text}/..`),
    libraries: (text) => new PolicyBuilder().addLibrariesForBinary(`/nowhere/${text}`),
    evaluate: (text) => new PolicyBuilder().build().evaluate({ syscall: text }),
    'evaluate arch': (text) => new PolicyBuilder().build().evaluate({ syscall: 'read', arch: text as never }),
    json: (text) => Policy.fromJSON(text),
    'json text': (text) => Policy.fromJSON(`{"a": "${text}`),
    'json name twice': (text) => Policy.fromJSON(`{${JSON.stringify(text)}: 1, ${JSON.stringify(text)}: 2}`),
    'json field': (text) => Policy.fromJSON({ ...base(), [text]: 1 }),
    'json version': (text) => Policy.fromJSON({ ...base(), sandwirePolicy: text }),
    'json arch': (text) => Policy.fromJSON({ ...base(), arch: text }),
    'json token': (text) => Policy.fromJSON({ ...base(), tokens: [text] }),
    'json hostname': (text) => Policy.fromJSON({ ...base(), hostname: text }),
    'json syscall': (text) => Policy.fromJSON({ ...base(), syscalls: { [text]: [] } }),
    'json by': (text) => Policy.fromJSON({ ...base(), syscalls: { read: [{ by: text, do: 'allow' }] } }),
    'json do': (text) => Policy.fromJSON({ ...base(), syscalls: { read: [{ by: 'syscall', do: text }] } }),
    'json bpf': (text) =>
      Policy.fromJSON({ ...base(), syscalls: { read: [{ by: 'syscall', bpf: [text] }] } }),
    'json value': (text) =>
      Policy.fromJSON({
        ...base(),
        syscalls: {
          read: [{ by: 'syscall', do: 'allow', when: { arg: 0, bits: 32, op: '==', value: `0x1 ${text}` } }],
        },
      }),
    'json file': (text) => Policy.fromJSON({ ...base(), mounts: [{ file: text }] }),
    'json twice': (text) =>
      Policy.fromJSON({ ...base(), mounts: [{ file: '/etc/hosts', at: `/${text}` }, { proc: `/${text}` }] }),
  };
  for (const [way, attempt] of Object.entries(ways)) {
    for (const text of hostile) {
      try {
        attempt(text);
      } catch (error) {
        assert.ok(error instanceof Error);
        assert.not.match(error.message, uncanny, `${way}: ${JSON.stringify(error.message)}`);
        continue;
      }
      assert.unreachable(`${way}: ${JSON.stringify(text)}`);
    }
  }
});

test.run();
