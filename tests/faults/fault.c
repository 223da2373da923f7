/* A disk that fails, or a machine that stops, at the n-th change of a file below a folder. Loaded into a process with
** LD_PRELOAD, so that it sees SQLite's own calls and remy's alike.
**
**   FAULT_DIR    the folder; calls on other files go through uncounted
**   FAULT_AT     the number of the call at which it happens, from 1; 0: never
**   FAULT_KIND   kill    the process dies before the call
**                killed  the process dies after it
**                enospc, eio   the call fails, and every later one too
**                once    the call fails with EIO, later ones do not
**                short   a write writes half, and later ones fail with ENOSPC
**   FAULT_COUNT  a file that is given the number of calls when the process ends
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int calls;

static int at(void){ const char *n = getenv("FAULT_AT"); return n ? atoi(n) : 0; }
static int is(const char *kind){ const char *k = getenv("FAULT_KIND"); return k && !strcmp(k, kind); }

static int below(const char *path){
  const char *dir = getenv("FAULT_DIR");
  size_t n = dir ? strlen(dir) : 0;
  return n && !strncmp(path, dir, n);
}

static int below_fd(int fd){
  char link[64], path[4096];
  ssize_t n;
  snprintf(link, sizeof link, "/proc/thread-self/fd/%d", fd);
  n = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
  if( n<0 ) return 0;
  path[n] = 0;
  return below(path);
}

__attribute__((destructor)) static void report(void){
  const char *path = getenv("FAULT_COUNT");
  char text[16];
  int fd;
  if( !path ) return;
  fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY|O_CREAT|O_TRUNC, 0600);
  snprintf(text, sizeof text, "%d", calls);
  if( fd>=0 ){ syscall(SYS_write, fd, text, strlen(text)); syscall(SYS_close, fd); }
}

/* What happens to this call: 0 nothing, 1 it fails with errno set, 2 a write is cut short, 3 the process dies after it. */
static int fault(int counts){
  int n, when = at();
  if( !counts ) return 0;
  n = atomic_fetch_add(&calls, 1) + 1;
  if( !when || n<when ) return 0;
  if( is("kill") ) kill(getpid(), SIGKILL);
  if( is("killed") ) return n==when ? 3 : 0;
  if( is("once") ){ errno = EIO; return n==when; }
  if( is("short") && n==when ) return 2;
  errno = is("eio") ? EIO : ENOSPC;
  return 1;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define CALL(result, counts, call) do{ \
    int what = fault(counts); \
    result r; \
    if( what==1 ) return -1; \
    r = call; \
    if( what==3 ) kill(getpid(), SIGKILL); \
    return r; \
  }while(0)
#define WRITE(counts, full, half) do{ \
    int what = fault(counts); \
    ssize_t r; \
    if( what==1 ) return -1; \
    r = what==2 ? half : full; \
    if( what==3 ) kill(getpid(), SIGKILL); \
    return r; \
  }while(0)

ssize_t write(int fd, const void *p, size_t n){
  REAL(write);
  WRITE(below_fd(fd), real(fd,p,n), real(fd,p,n>1?n/2:n));
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t o){
  REAL(pwrite);
  WRITE(below_fd(fd), real(fd,p,n,o), real(fd,p,n>1?n/2:n,o));
}
ssize_t pwrite64(int fd, const void *p, size_t n, off_t o){
  REAL(pwrite64);
  WRITE(below_fd(fd), real(fd,p,n,o), real(fd,p,n>1?n/2:n,o));
}
int fsync(int fd){ REAL(fsync); CALL(int, below_fd(fd), real(fd)); }
int fdatasync(int fd){ REAL(fdatasync); CALL(int, below_fd(fd), real(fd)); }
int ftruncate(int fd, off_t n){ REAL(ftruncate); CALL(int, below_fd(fd), real(fd,n)); }
int ftruncate64(int fd, off_t n){ REAL(ftruncate64); CALL(int, below_fd(fd), real(fd,n)); }
int fallocate(int fd, int m, off_t o, off_t n){
  REAL(fallocate); CALL(int, below_fd(fd), real(fd,m,o,n));
}
int fallocate64(int fd, int m, off_t o, off_t n){
  REAL(fallocate64); CALL(int, below_fd(fd), real(fd,m,o,n));
}
int unlink(const char *p){ REAL(unlink); CALL(int, below(p), real(p)); }
int rename(const char *a, const char *b){ REAL(rename); CALL(int, below(a), real(a,b)); }
int renameat2(int d, const char *a, int e, const char *b, unsigned int f){
  REAL(renameat2); CALL(int, below(a), real(d,a,e,b,f));
}
int chmod(const char *p, mode_t m){ REAL(chmod); CALL(int, below(p), real(p,m)); }
int mkdir(const char *p, mode_t m){ REAL(mkdir); CALL(int, below(p), real(p,m)); }
int open(const char *p, int f, ...){
  REAL(open);
  mode_t m = 0;
  if( f & O_CREAT ){ va_list a; va_start(a, f); m = va_arg(a, mode_t); va_end(a); }
  CALL(int, (f & O_CREAT) && below(p), real(p,f,m));
}
int open64(const char *p, int f, ...){
  REAL(open64);
  mode_t m = 0;
  if( f & O_CREAT ){ va_list a; va_start(a, f); m = va_arg(a, mode_t); va_end(a); }
  CALL(int, (f & O_CREAT) && below(p), real(p,f,m));
}
