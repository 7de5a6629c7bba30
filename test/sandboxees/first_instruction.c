/* Waits with its very first instruction: not even a C library has done anything before. */
#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\tmov $34, %eax\n\tsyscall\n\tjmp _start\n"); /* pause() */
#elif defined(__aarch64__)
__asm__(
    ".globl _start\n_start:\n\tmov x0, #0\n\tmov x1, #0\n\tmov x2, #0\n\tmov x3, #0\n\tmov x8, #73\n\tsvc "
    "#0\n"
    "\tb _start\n"); /* ppoll() of nothing */
#endif

char zeros[65536]; /* memory that is not the file's */
