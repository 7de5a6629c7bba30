// Checks what must be installed before anything can be built, and names what is missing in one line.
import { spawnSync } from 'node:child_process';

const tools = [
  { names: ['cc', 'gcc', 'clang'], title: 'a C compiler', debian: 'gcc', fedora: 'gcc' },
  { names: ['c++', 'g++', 'clang++'], title: 'a C++ compiler', debian: 'g++', fedora: 'gcc-c++' },
  { names: ['cmake'], title: 'cmake', debian: 'cmake', fedora: 'cmake' },
  { names: ['make'], title: 'make', debian: 'make', fedora: 'make' },
];

const isThere = (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;

/** Ends the process with one line if something is missing. */
export function checkSystem() {
  const fail = (message) => {
    console.error(`sandwire: ${message}`);
    process.exit(1);
  };
  if (process.platform !== 'linux') {
    fail(`Linux is needed (namespaces and seccomp make the sandbox); this is ${process.platform}`);
  }
  if (process.arch !== 'x64' && process.arch !== 'arm64') {
    fail(`an x86-64 or aarch64 CPU is needed; this is ${process.arch}`);
  }
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 17))
    fail(`Node.js 20.17 or newer is needed; this is ${process.version}`);
  const missing = tools.filter((tool) => !tool.names.some(isThere));
  if (missing.length > 0) {
    const packages = (kind) => missing.map((tool) => tool[kind]).join(' ');
    fail(
      `missing: ${missing.map((tool) => tool.title).join(', ')}; install with: apt-get install ${packages('debian')} ` +
        `libc6-dev (Debian, Ubuntu) or dnf install ${packages('fedora')} glibc-devel (Fedora)`,
    );
  }
}
