/* A process that dies inside the sync of its commit: what it committed is written, and nobody was told. Loaded with LD_PRELOAD.
**
**   DIE_FILE  the file whose sync is the last call
**   DIE_WHEN  a file: as long as it is not there, nothing happens
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void die(int fd){
  const char *file = getenv("DIE_FILE"), *when = getenv("DIE_WHEN");
  char link[64], path[4096];
  ssize_t n;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  n = readlink(link, path, sizeof path - 1);
  if( n<0 || !file || !when ) return;
  path[n] = 0;
  if( !strcmp(path, file) && !access(when, F_OK) ) kill(getpid(), SIGKILL);
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

int fsync(int fd){ REAL(fsync); die(fd); return real(fd); }
int fdatasync(int fd){ REAL(fdatasync); die(fd); return real(fd); }
