/* Finds out which sandbox this process is in, by the magic syscall that no kernel has. Async-signal-safe. */
#ifndef SANDWIRE_DETECT_H
#define SANDWIRE_DETECT_H

enum sandwire_sandbox {
  SANDWIRE_SANDBOX_NONE,    /* or one of another kind */
  SANDWIRE_SANDBOX_OURS,    /* a policy of a sandwire host is in force */
  SANDWIRE_SANDBOX_FOREIGN, /* one of sandbox2 itself */
};

enum sandwire_sandbox sandwire_detect_sandbox(void);

#endif
