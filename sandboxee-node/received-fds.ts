// What a sandboxee makes of file descriptors that its host sends: it trusts them, and might not be allowed to make threads.
import { createReadStream, createWriteStream, fstatSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { Socket } from 'node:net';
import { addon } from '../native/addon.js';
import type { ReceivedFds } from '../native/received-fds.js';

function streamOf<T>(fd: number, isReadable: boolean, openFile: () => T): T | Socket | undefined {
  const status = fstatSync(fd);
  if (status.isFile()) return openFile();
  if (status.isFIFO() || status.isSocket()) {
    try {
      return new Socket({ fd, readable: isReadable, writable: !isReadable });
    } catch {
      // A socket, but no stream: as the rest.
    }
  }
  addon().closeFd(fd);
  return undefined;
}

export const trustedFds: ReceivedFds = {
  async fileHandle(fd) {
    const status = fstatSync(fd);
    if (!status.isFile() && !status.isDirectory()) {
      addon().closeFd(fd);
      return undefined;
    }
    // Node makes FileHandles only of what it opens itself, so the fd takes the place of one.
    const handle = await open('/', 'r').catch((error) => {
      addon().closeFd(fd);
      throw error;
    });
    try {
      addon().replaceFd(fd, handle.fd);
    } catch (error) {
      addon().closeFd(fd);
      await handle.close();
      throw error;
    }
    return handle;
  },
  readable: async (fd) => streamOf(fd, true, () => createReadStream('', { fd, autoClose: true })),
  writable: async (fd) => streamOf(fd, false, () => createWriteStream('', { fd, autoClose: true })),
};
