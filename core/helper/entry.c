/* What makes a shared library a program as well: where it begins, and the loader that it names.
**
** It is linked into the shared libraries alone. In libremy.a it would give a program of somebody else's
** a second interpreter: linked statically, such a program dies as it starts. */

int remy_helper_main(int argc, char **argv, char **envp) __attribute__((visibility("hidden")));
int __libc_start_main(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void),
                      void (*)(void), void *);

#if defined(__x86_64__)
#define LOADER "/lib64/ld-linux-x86-64.so.2"
/* The kernel jumps here with the stack as the only argument, and the loader's exit function in rdx. No
** frame is above this one. */
__asm__(
  ".text\n.globl remy_start\n.hidden remy_start\n.type remy_start, @function\n"
  "remy_start:\n"
  ".cfi_startproc\n.cfi_undefined rip\n"
  "endbr64\n"
  "xor %ebp, %ebp\n"
  "mov %rsp, %rdi\n"
  "mov %rdx, %rsi\n"
  "and $-16, %rsp\n"
  "call remy_begin\n"
  "hlt\n"
  ".cfi_endproc\n.size remy_start, . - remy_start\n");
#elif defined(__aarch64__)
#define LOADER "/lib/ld-linux-aarch64.so.1"
__asm__(
  ".text\n.globl remy_start\n.hidden remy_start\n.type remy_start, %function\n"
  "remy_start:\n"
  ".cfi_startproc\n.cfi_undefined x30\n"
  "mov x29, #0\n"
  "mov x30, #0\n"
  "mov x1, x0\n"
  "mov x0, sp\n"
  "and sp, x0, #-16\n"
  "bl remy_begin\n"
  "brk #0\n"
  ".cfi_endproc\n.size remy_start, . - remy_start\n");
#else
#error "remy runs on x86_64 and aarch64"
#endif

/* `retain`: without it a linker that collects what nobody refers to drops the section, and the file would
** be started without a loader. */
__attribute__((used, retain, section(".interp"))) static const char loader[] = LOADER;

/* The stack holds argc, argv and the environment. */
__attribute__((visibility("hidden"), used, noreturn)) void remy_begin(long *stack, void (*at_exit)(void)) {
  __libc_start_main(remy_helper_main, (int)stack[0], (char **)(stack + 1), 0, 0, at_exit, stack);
  __builtin_trap();
}
