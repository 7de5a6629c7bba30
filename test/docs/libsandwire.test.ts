// sandboxee-c/README.md: its example, compiled as written, does its work under the host that stands beside it.
import { runDocument } from './run-document.js';

const packageTest = 'dist/test/sandboxee-c/package.test.js';

runDocument('sandboxee-c/README.md', {
  synopsis: { kind: 'tested-by', file: packageTest },
  install: { kind: 'tested-by', file: packageTest },
  cmake: { kind: 'tested-by', file: packageTest },
  makefile: { kind: 'tested-by', file: packageTest },
  tool: { kind: 'needed' },
  host: { kind: 'run', prints: '6c6c6507\nOK - Exit code: 0\n', needs: ['tool'] },
});
