/* Another time of day, of the process alone. Loaded with LD_PRELOAD.
**
**   CLOCK_DAYS   by how many days the clock is ahead; negative: behind
**   CLOCK_FILE   a file that says by how many seconds it is, whenever somebody looks at it
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t ahead(void){
  const char *file = getenv("CLOCK_FILE");
  if( file ){
    char text[32] = {0};
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if( fd<0 ) return 0;
    if( read(fd, text, sizeof text - 1)<0 ) text[0] = 0;
    close(fd);
    return atol(text);
  }
  const char *days = getenv("CLOCK_DAYS");
  return days ? atol(days) * 86400 : 0;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

int clock_gettime(clockid_t clock, struct timespec *out){
  REAL(clock_gettime);
  int code = real(clock, out);
  if( !code && clock==CLOCK_REALTIME ) out->tv_sec += ahead();
  return code;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone){
  REAL(gettimeofday);
  int code = real(out, zone);
  if( !code && out ) out->tv_sec += ahead();
  return code;
}
