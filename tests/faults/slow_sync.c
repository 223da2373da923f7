/* A disk that takes its time: every sync of a file below a folder. Loaded with LD_PRELOAD.
**
**   SLOW_DIR  the folder
**   SLOW_MS   how long a sync of a file there takes more
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void wait_for(int fd){
  const char *dir = getenv("SLOW_DIR"), *ms = getenv("SLOW_MS");
  char link[64], path[4096];
  ssize_t n;
  snprintf(link, sizeof link, "/proc/thread-self/fd/%d", fd);
  n = readlink(link, path, sizeof path - 1);
  if( n<0 || !dir || !ms ) return;
  path[n] = 0;
  if( !strncmp(path, dir, strlen(dir)) ) usleep(1000 * (useconds_t)atoi(ms));
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

int fsync(int fd){ REAL(fsync); wait_for(fd); return real(fd); }
int fdatasync(int fd){ REAL(fdatasync); wait_for(fd); return real(fd); }
