// Converts the unwinder's text to a Result's stack traces. The text comes from a process that has read a hostile one,
// so it is treated as text and nothing more.
import { decodeMessage } from '../protocol/index.js';
import type { Ended, StackTraces } from '../protocol/messages.generated.js';
import { printable } from './policy/quoting.js';
import type { ResultFields, ThreadStackTrace } from './result.js';

function text(bytes: Uint8Array): string {
  return printable(new TextDecoder().decode(bytes));
}

function decode(bytes: Uint8Array): StackTraces | undefined {
  try {
    return decodeMessage('StackTraces', bytes);
  } catch {
    return undefined; // the unwinder was taken over and wrote nonsense
  }
}

/** The stack traces in the supervisor's Ended event. */
export function stackTracesOf(
  event: Ended,
): Pick<ResultFields, 'stackTrace' | 'threadStackTraces' | 'stackTraceNote'> {
  const missing = event.stackTracesMissing;
  if (missing !== undefined && missing.length > 0) return { stackTraceNote: text(missing) };
  if (event.stackTraces === undefined || event.stackTraces.length === 0) return {};
  const message = decode(event.stackTraces);
  if (message === undefined) return { stackTraceNote: 'the unwinder wrote nothing that can be decoded' };
  const threads: ThreadStackTrace[] = (message.threads ?? []).map(({ tid = -1, frames = [] }) => ({
    tid,
    frames: frames.map(text),
  }));
  const [first] = threads;
  return {
    ...(first !== undefined && { stackTrace: first.frames, threadStackTraces: threads }),
    ...(message.note !== undefined && message.note.length > 0 && { stackTraceNote: text(message.note) }),
  };
}
