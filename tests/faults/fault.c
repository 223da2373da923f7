/* A disk that fails, a machine that stops, or a witness that writes down every change of a file below a folder. Loaded into
** a process with LD_PRELOAD, so that it sees SQLite's own calls and remy's alike.
**
**   FAULT_DIR    the folder; calls on other files go through uncounted
**   FAULT_AT     the number of the call at which it happens, from 1; 0: never
**   FAULT_KIND   kill    the process dies before the call
**                killed  the process dies after it
**                enospc, eio   the call fails, and every later one too
**                once    the call fails with EIO, later ones do not
**                short   a write writes half, and later ones fail with ENOSPC
**                read    as once, where the calls that count are those that read
**                sync    as once, where the calls that count are syncs of a file named FAULT_FILE
**                dies    the process dies inside such a sync, with what was written since the sync before: all of it in
**                dies-half, dies-none   the file, half of it, nothing
**   FAULT_FILE   the end of a path
**   FAULT_FREE   so many bytes are free on every disk, as the process sees it
**   FAULT_COUNT  a file that is given the number of calls when the process ends
**   FAULT_LOG    a file that every change is written to, as `struct record` and what follows it
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int calls;

static int at(void){ const char *n = getenv("FAULT_AT"); return n ? atoi(n) : 0; }
static int is(const char *kind){ const char *k = getenv("FAULT_KIND"); return k && !strcmp(k, kind); }
static int dies(void){ const char *k = getenv("FAULT_KIND"); return k && !strncmp(k, "dies", 4); }

static int ends_with(const char *path, const char *end){
  size_t n = strlen(path), m = end ? strlen(end) : 0;
  return m && n>=m && !strcmp(path+n-m, end);
}

/* Below the folder, and not a wal-index, which is memory that is shared and is made again after a crash. */
static int below(const char *path){
  const char *dir = getenv("FAULT_DIR");
  size_t n = dir ? strlen(dir) : 0;
  return n && !strncmp(path, dir, n) && !ends_with(path, "-shm") && !ends_with(path, "-shm (deleted)");
}

/* The path of a descriptor, if it counts. By /proc/thread-self: a thread may have a table of its own. */
static int below_fd(int fd, char path[4096]){
  char link[64];
  ssize_t n;
  snprintf(link, sizeof link, "/proc/thread-self/fd/%d", fd);
  n = syscall(SYS_readlinkat, AT_FDCWD, link, path, 4095);
  if( n<0 ) return 0;
  path[n] = 0;
  return below(path);
}

/* A name in a folder that is given by its descriptor. */
static const char *resolve(int dir, const char *name, char path[8200]){
  char folder[4096];
  if( name[0]=='/' || dir==AT_FDCWD ) return name;
  below_fd(dir, folder);
  snprintf(path, 8200, "%s/%s", folder, name);
  return path;
}

/* The permissions of files are to bind, also where root runs the tests. */
__attribute__((constructor)) static void drop_privileges(void){
  struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
  struct __user_cap_data_struct none[2] = { { 0 } };
  if( getenv("FAULT_DIR") ) syscall(SYS_capset, &header, none);
}

static void report(void){
  const char *path = getenv("FAULT_COUNT");
  char text[16];
  int fd;
  if( !path ) return;
  fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY|O_CREAT|O_TRUNC, 0600);
  snprintf(text, sizeof text, "%d", calls);
  if( fd>=0 ){ syscall(SYS_write, fd, text, strlen(text)); syscall(SYS_close, fd); }
}
__attribute__((destructor)) static void at_end(void){ report(); }

static void die(void){ report(); kill(getpid(), SIGKILL); for(;;) pause(); }

/* What happens to a call: 0 nothing, 1 it fails with errno set, 2 a write is cut short, 3 the process dies after it. */
static int hit(void){
  int n = atomic_fetch_add(&calls, 1) + 1, when = at();
  if( !when || n<when ) return 0;
  if( is("kill") ) die();
  if( is("killed") ) return n==when ? 3 : 0;
  if( is("once") || is("read") || is("sync") ){ errno = EIO; return n==when; }
  if( is("short") && n==when ) return 2;
  errno = is("eio") ? EIO : ENOSPC;
  return 1;
}
static int fault(int counts){ return counts && !is("read") && !is("sync") && !dies() ? hit() : 0; }

/* The log: one change after the other, in the order in which they were made. */
enum { WRITE=1, LENGTH, GROW, SYNC, SYNC_FOLDER, CREATE, UNLINK, RENAME, LINK, SYMLINK, MKDIR, RMDIR, MODE, UNKNOWN };
struct record { uint32_t kind, mode; uint64_t inode, offset, first, second, data; }; /* first, second: lengths of paths */

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

/* Opened for each record: a thread may have closed all descriptors that it was given. */
static void put(int kind, const struct stat *s, uint64_t offset, const char *a, const char *b, const void *data, size_t n){
  const char *log = getenv("FAULT_LOG");
  struct record r = { kind, s ? s->st_mode : 0, s ? s->st_ino : 0, offset, a?strlen(a):0, b?strlen(b):0, n };
  int fd;
  if( !log ) return;
  fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY|O_CREAT|O_APPEND|O_CLOEXEC, 0600);
  syscall(SYS_write, fd, &r, sizeof r);
  if( a ) syscall(SYS_write, fd, a, r.first);
  if( b ) syscall(SYS_write, fd, b, r.second);
  if( n ) syscall(SYS_write, fd, data, n);
  syscall(SYS_close, fd);
}
static void put_fd(int kind, int fd, uint64_t offset, const void *data, size_t n){
  struct stat s;
  fstat(fd, &s);
  put(kind, &s, offset, 0, 0, data, n);
}
/* What a call wrote that was not given the bytes. */
static void put_range(int fd, off_t offset, size_t n){
  char link[64], *data = malloc(n ? n : 1);
  int again;
  snprintf(link, sizeof link, "/proc/thread-self/fd/%d", fd);
  again = syscall(SYS_openat, AT_FDCWD, link, O_RDONLY|O_CLOEXEC, 0);
  n = syscall(SYS_pread64, again, data, n, offset);
  syscall(SYS_close, again);
  put_fd(WRITE, fd, offset, data, n);
  free(data);
}

/* What FAULT_FILE held where it was written to since its last sync, to take that back. */
struct before { struct before *next; off_t offset, length; size_t n; char bytes[]; };
static struct before *since_sync;

static void remember(int fd, const char *path, off_t offset, size_t n){
  struct before *b;
  struct stat s;
  ssize_t got;
  if( !dies() || !ends_with(path, getenv("FAULT_FILE")) ) return;
  fstat(fd, &s);
  b = malloc(sizeof *b + n);
  got = syscall(SYS_pread64, fd, b->bytes, n, offset);
  *b = (struct before){ since_sync, offset, s.st_size, got>0 ? got : 0 };
  since_sync = b;
}

/* A sync of FAULT_FILE, when such syncs count. */
static int fault_sync(int fd, const char *path){
  int n = 0, i;
  struct before *b;
  if( is("sync") && ends_with(path, getenv("FAULT_FILE")) ) return hit();
  if( !dies() || !ends_with(path, getenv("FAULT_FILE")) ) return 0;
  if( atomic_fetch_add(&calls, 1)+1==at() ){
    for(b=since_sync; b; b=b->next) n++;
    n = is("dies-half") ? n/2 : is("dies-none") ? n : 0;
    for(i=0, b=since_sync; i<n; i++, b=b->next){
      syscall(SYS_pwrite64, fd, b->bytes, b->n, b->offset);
      syscall(SYS_ftruncate, fd, b->length);
    }
    die();
  }
  since_sync = 0;
  return 0;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
/* Makes a call that may fail, and writes down what it did where it did not. */
#define CALL(counts, call, record) do{ \
    int it_counts = counts, what = fault(it_counts), r; \
    if( what==1 ) return -1; \
    if( it_counts ) pthread_mutex_lock(&order); \
    r = call; \
    if( it_counts ){ if( r>=0 ){ record; } pthread_mutex_unlock(&order); } \
    if( what==3 ) die(); \
    return r; \
  }while(0)

static ssize_t writes(ssize_t (*real)(int,const void*,size_t), int fd, const void *p, size_t n){
  char path[4096];
  int counted = below_fd(fd, path), what = fault(counted);
  ssize_t r;
  if( what==1 ) return -1;
  if( counted ) pthread_mutex_lock(&order);
  r = real(fd, p, what==2 && n>1 ? n/2 : n);
  if( counted ){
    if( r>0 ) put_fd(WRITE, fd, syscall(SYS_lseek, fd, 0, SEEK_CUR) - r, p, r);
    pthread_mutex_unlock(&order);
  }
  if( what==3 ) die();
  return r;
}
static ssize_t pwrites(ssize_t (*real)(int,const void*,size_t,off_t), int fd, const void *p, size_t n, off_t o){
  char path[4096];
  int counted = below_fd(fd, path), what = fault(counted);
  ssize_t r;
  if( what==1 ) return -1;
  if( counted ){ pthread_mutex_lock(&order); remember(fd, path, o, n); }
  r = real(fd, p, what==2 && n>1 ? n/2 : n, o);
  if( counted ){
    if( r>0 ) put_fd(WRITE, fd, o, p, r);
    pthread_mutex_unlock(&order);
  }
  if( what==3 ) die();
  return r;
}
static int syncs(int (*real)(int), int fd){
  char path[4096];
  int counted = below_fd(fd, path);
  struct stat s;
  if( counted && fault_sync(fd, path) ) return -1;
  CALL(counted, real(fd), fstat(fd, &s); if( S_ISDIR(s.st_mode) ) put(SYNC_FOLDER, &s, 0, path, 0, 0, 0); else put(SYNC, &s, 0, 0, 0, 0, 0));
}
static int truncates(int (*real)(int,off_t), int fd, off_t n){
  char path[4096];
  CALL(below_fd(fd, path), real(fd,n), put_fd(LENGTH, fd, n, 0, 0));
}
static int allocates(int (*real)(int,int,off_t,off_t), int fd, int m, off_t o, off_t n){
  char path[4096];
  CALL(below_fd(fd, path), real(fd,m,o,n), if( m!=FALLOC_FL_KEEP_SIZE ) put_fd(m ? UNKNOWN : GROW, fd, o+n, 0, 0));
}
static int opens(int (*real)(int,const char*,int,...), int dir, const char *name, int f, mode_t m){
  char path[8200];
  const char *p = resolve(dir, name, path);
  struct stat s;
  int may = (f & (O_CREAT|O_TRUNC)) && (f & O_TMPFILE)!=O_TMPFILE && below(p);
  int there = may && !syscall(SYS_faccessat, AT_FDCWD, p, F_OK);
  CALL(may && (!there || (f & O_TRUNC)), real(dir,name,f,m),
    fstat(r, &s); if( !there ) put(CREATE, &s, 0, p, 0, 0, 0); else if( f & O_TRUNC ) put(LENGTH, &s, 0, 0, 0, 0, 0));
}
static int removes(int (*real)(int,const char*,int), int dir, const char *name, int f){
  char path[8200];
  const char *p = resolve(dir, name, path);
  CALL(below(p), real(dir,name,f), put((f & AT_REMOVEDIR) ? RMDIR : UNLINK, 0, 0, p, 0, 0, 0));
}
static int renames(int (*real)(int,const char*,int,const char*,unsigned), int d, const char *a, int e, const char *b, unsigned f){
  char from[8200], to[8200];
  const char *p = resolve(d, a, from), *q = resolve(e, b, to);
  CALL(below(p) || below(q), real(d,a,e,b,f), put(f & ~RENAME_NOREPLACE ? UNKNOWN : RENAME, 0, 0, p, q, 0, 0));
}
static int links(int (*real)(int,const char*,int,const char*,int), int d, const char *a, int e, const char *b, int f){
  char from[8200], to[8200];
  const char *p = resolve(d, a, from), *q = resolve(e, b, to);
  CALL(below(q), real(d,a,e,b,f), put(LINK, 0, 0, p, q, 0, 0));
}
static int makes_folder(int (*real)(int,const char*,mode_t), int dir, const char *name, mode_t m){
  char path[8200];
  const char *p = resolve(dir, name, path);
  struct stat s;
  CALL(below(p), real(dir,name,m), stat(p, &s); put(MKDIR, &s, 0, p, 0, 0, 0));
}
static int makes_symlink(int (*real)(const char*,int,const char*), const char *aim, int dir, const char *name){
  char path[8200];
  const char *p = resolve(dir, name, path);
  CALL(below(p), real(aim,dir,name), put(SYMLINK, 0, 0, aim, p, 0, 0));
}
static ssize_t reads(int fd){
  char path[4096];
  return is("read") && below_fd(fd, path) && hit() ? -1 : 0;
}
/* Copies inside the kernel: the bytes are read back. */
static ssize_t copies(int fd, off_t *offset, ssize_t r){
  char path[4096];
  if( r>0 && below_fd(fd, path) ) put_range(fd, (offset ? *offset : syscall(SYS_lseek, fd, 0, SEEK_CUR)) - r, r);
  return r;
}

ssize_t write(int fd, const void *p, size_t n){ REAL(write); return writes(real, fd, p, n); }
ssize_t pwrite(int fd, const void *p, size_t n, off_t o){ REAL(pwrite); return pwrites(real, fd, p, n, o); }
ssize_t pwrite64(int fd, const void *p, size_t n, off_t o){ REAL(pwrite64); return pwrites(real, fd, p, n, o); }
int fsync(int fd){ REAL(fsync); return syncs(real, fd); }
int fdatasync(int fd){ REAL(fdatasync); return syncs(real, fd); }
int ftruncate(int fd, off_t n){ REAL(ftruncate); return truncates(real, fd, n); }
int ftruncate64(int fd, off_t n){ REAL(ftruncate64); return truncates(real, fd, n); }
int fallocate(int fd, int m, off_t o, off_t n){ REAL(fallocate); return allocates(real, fd, m, o, n); }
int fallocate64(int fd, int m, off_t o, off_t n){ REAL(fallocate64); return allocates(real, fd, m, o, n); }
ssize_t read(int fd, void *p, size_t n){ REAL(read); return reads(fd) ? -1 : real(fd, p, n); }
ssize_t pread(int fd, void *p, size_t n, off_t o){ REAL(pread); return reads(fd) ? -1 : real(fd, p, n, o); }
ssize_t pread64(int fd, void *p, size_t n, off_t o){ REAL(pread64); return reads(fd) ? -1 : real(fd, p, n, o); }

/* Every call that makes, removes or renames goes by its form with a folder, as the kernel has it. */
#define NEXT(name) ((void*)dlsym(RTLD_NEXT, name))
#define MODE_OF(f, m) mode_t m = 0; \
  if( (f) & (O_CREAT|__O_TMPFILE) ){ va_list a; va_start(a, f); m = va_arg(a, mode_t); va_end(a); }
int open(const char *p, int f, ...){ MODE_OF(f, m) return opens(NEXT("openat"), AT_FDCWD, p, f, m); }
int open64(const char *p, int f, ...){ MODE_OF(f, m) return opens(NEXT("openat64"), AT_FDCWD, p, f, m); }
int openat(int d, const char *p, int f, ...){ MODE_OF(f, m) return opens(NEXT("openat"), d, p, f, m); }
int openat64(int d, const char *p, int f, ...){ MODE_OF(f, m) return opens(NEXT("openat64"), d, p, f, m); }
int unlink(const char *p){ return removes(NEXT("unlinkat"), AT_FDCWD, p, 0); }
int rmdir(const char *p){ return removes(NEXT("unlinkat"), AT_FDCWD, p, AT_REMOVEDIR); }
int unlinkat(int d, const char *p, int f){ return removes(NEXT("unlinkat"), d, p, f); }
int rename(const char *a, const char *b){ return renames(NEXT("renameat2"), AT_FDCWD, a, AT_FDCWD, b, 0); }
int renameat(int d, const char *a, int e, const char *b){ return renames(NEXT("renameat2"), d, a, e, b, 0); }
int renameat2(int d, const char *a, int e, const char *b, unsigned f){ return renames(NEXT("renameat2"), d, a, e, b, f); }
int link(const char *a, const char *b){ return links(NEXT("linkat"), AT_FDCWD, a, AT_FDCWD, b, 0); }
int linkat(int d, const char *a, int e, const char *b, int f){ return links(NEXT("linkat"), d, a, e, b, f); }
int symlink(const char *a, const char *p){ return makes_symlink(NEXT("symlinkat"), a, AT_FDCWD, p); }
int symlinkat(const char *a, int d, const char *p){ return makes_symlink(NEXT("symlinkat"), a, d, p); }
int mkdir(const char *p, mode_t m){ return makes_folder(NEXT("mkdirat"), AT_FDCWD, p, m); }
int mkdirat(int d, const char *p, mode_t m){ return makes_folder(NEXT("mkdirat"), d, p, m); }
int chmod(const char *p, mode_t m){
  REAL(chmod);
  struct stat s;
  CALL(below(p), real(p,m), stat(p, &s); put(MODE, &s, 0, 0, 0, 0, 0));
}
int fchmod(int fd, mode_t m){
  REAL(fchmod);
  char path[4096];
  CALL(below_fd(fd, path), real(fd,m), put_fd(MODE, fd, 0, 0, 0));
}
int statvfs(const char *p, struct statvfs *s){
  REAL(statvfs);
  const char *left = getenv("FAULT_FREE");
  int r = real(p, s);
  if( !r && left ) s->f_bavail = strtoull(left, 0, 10) / s->f_frsize;
  return r;
}
int statvfs64(const char *p, struct statvfs64 *s){ return statvfs(p, (struct statvfs *)s); }
ssize_t copy_file_range(int a, off64_t *o, int b, off64_t *q, size_t n, unsigned f){
  REAL(copy_file_range);
  char path[4096];
  int what = fault(below_fd(b, path));
  ssize_t r;
  if( what==1 || reads(a) ) return -1;
  r = copies(b, q, real(a, o, b, q, what==2 && n>1 ? n/2 : n, f));
  if( what==3 ) die();
  return r;
}
ssize_t sendfile(int b, int a, off_t *o, size_t n){
  REAL(sendfile);
  char path[4096];
  int what = fault(below_fd(b, path));
  ssize_t r;
  if( what==1 || reads(a) ) return -1;
  r = copies(b, 0, real(b, a, o, what==2 && n>1 ? n/2 : n));
  if( what==3 ) die();
  return r;
}
ssize_t sendfile64(int b, int a, off64_t *o, size_t n){ return sendfile(b, a, o, n); }
int ioctl(int fd, unsigned long request, ...){
  REAL(ioctl);
  char path[4096];
  struct stat s;
  va_list a;
  void *argument;
  va_start(a, request); argument = va_arg(a, void*); va_end(a);
  if( request!=FICLONE ) return real(fd, request, argument);
  CALL(below_fd(fd, path), real(fd, request, argument), fstat(fd, &s); put_range(fd, 0, s.st_size));
}
