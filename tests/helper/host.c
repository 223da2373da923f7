/* host DATABASE SCHEMA CASE: a program that has live open through an SQLite of its own, and calls verbs of libremy.so, each in a
   process of its own. CASE is what is special about it. It prints what remy_debug says of the process, then what the
   publish came to, and ends with 0 where nothing of it was touched. */
#include "remy.h"
#include "../hosts/other_sqlite.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t signals;
static volatile int ended;
static const char *library;

static int complaints = 2;

static void fail(const char *what) {
  dprintf(complaints, "%s: %s (%s)\n", what, remy_errmsg(NULL), strerror(errno));
  _exit(1);
}

static void count(int signal) {
  (void)signal;
  ++signals;
}

static int entries(const char *folder) {
  int n = 0;
  DIR *dir = opendir(folder);
  if (dir == NULL) fail(folder);
  while (readdir(dir) != NULL) ++n;
  closedir(dir);
  return n;
}

/* The POSIX locks of this process. */
static void locks(char *text, size_t room) {
  char line[256], pid[32];
  size_t length = 0;
  FILE *file = fopen("/proc/locks", "r");
  snprintf(pid, sizeof pid, " %d ", (int)getpid());
  text[0] = 0;
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    const char *of = strchr(line, ':'); /* the number of a line is no part of it */
    if (of == NULL || strstr(line, pid) == NULL || length + strlen(of) >= room) continue;
    strcpy(text + length, of);
    length += strlen(of);
  }
  if (file != NULL) fclose(file);
}

/* Takes note of every child of the process, as a host with a supervisor's thread does. */
static void *wait_for_all(void *found) {
  while (!ended) {
    int status;
    pid_t child = waitpid(-1, &status, 0);
    if (child > 0) {
      if (!WIFEXITED(status) || WEXITSTATUS(status) != 7) fail("a child that is not the host's");
      ++*(int *)found;
    } else {
      usleep(100);
    }
  }
  return NULL;
}

static void *fork_all_the_time(void *unused) {
  (void)unused;
  for (;;) {
    pid_t child = fork();
    if (child == 0) {
      usleep(3000);
      _exit(0);
    }
    if (child > 0) waitpid(child, NULL, 0);
  }
}

static void refuse_execve(void) {
  struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execve, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) fail("seccomp");
}

/* Every descriptor but 8. */
static void many_descriptors(void) {
  struct rlimit limit;
  int fd, last = -1;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max < 60000 ? limit.rlim_max : 60000;
  setrlimit(RLIMIT_NOFILE, &limit);
  while ((fd = dup(0)) >= 0) last = fd;
  for (fd = last; fd > last - 8; --fd) close(fd);
}

/* A host that is stopped at the first line of the log, as by Ctrl-Z. */
static void stop_once(const char *line, void *unused) {
  static int stopped;
  (void)line;
  (void)unused;
  if (!stopped++) raise(SIGSTOP);
}

/* Whose the process is that runs the verb, which waits for live's lock meanwhile. */
static void whose(const char *line, void *own) {
  static int asked;
  int letter;
  DIR *all = opendir("/proc");
  struct dirent *entry;
  (void)line;
  if (asked++) {
    closedir(all);
    return;
  }
  while ((entry = readdir(all)) != NULL) {
    char path[512], exe[1024], status[256];
    ssize_t length;
    FILE *file;
    snprintf(path, sizeof path, "/proc/%s/exe", entry->d_name);
    if ((length = readlink(path, exe, sizeof exe - 1)) < 0) continue;
    exe[length] = 0;
    snprintf(path, sizeof path, "/proc/%s/status", entry->d_name);
    if (strcmp(exe, library) != 0 || (file = fopen(path, "r")) == NULL) continue;
    while (fgets(status, sizeof status, file) != NULL) {
      if (strncmp(status + 1, "id:", 3) == 0) fputs(status, stdout);
    }
    fclose(file);
    /* What its owner may read of it. */
    snprintf(path, sizeof path, "/proc/%s/environ", entry->d_name);
    if ((file = fopen(path, "r")) == NULL) fail("environ");
    printf("environ ");
    while ((letter = fgetc(file)) != EOF) putchar(letter ? letter : ' ');
    printf("\n");
    fclose(file);
  }
  closedir(all);
  other_run(own, "COMMIT");
}

int main(int argc, char **argv) {
  char before[4096], after[4096];
  char *json;
  const char *what;
  sqlite3 *own = NULL;
  remy *db;
  pthread_t thread;
  int descriptors, threads, found = 0, i, in_process;
  if (argc < 4) return 2;
  what = argv[3];
  library = argc > 4 ? argv[4] : "";
  in_process = strcmp(what, "seccomp") == 0;

  if (!in_process) {
    own = other_database(argv[1]);
    other_run(own, "PRAGMA journal_mode = wal; SELECT * FROM users");
  }
  if (strcmp(what, "ignored") == 0) signal(SIGCHLD, SIG_IGN);
  else signal(SIGCHLD, count);
  if (strcmp(what, "blocked") == 0) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (i = 1; i < 32; ++i) signal(i, SIG_IGN);
  }
  if (strcmp(what, "closed") == 0) {
    complaints = fcntl(2, F_DUPFD, 100);
    close(0);
    close(1);
    close(2);
  }
  if (strcmp(what, "waited") == 0 && pthread_create(&thread, NULL, wait_for_all, &found) != 0) return 2;
  if (strcmp(what, "forks") == 0 && pthread_create(&thread, NULL, fork_all_the_time, NULL) != 0) return 2;
  if (strcmp(what, "many") == 0) many_descriptors();
  if (strcmp(what, "seccomp") == 0) refuse_execve();
  /* What libraries open once. */
  if (remy_open(argv[1], &db) != REMY_OK) fail("open");
  descriptors = entries("/proc/self/fd");
  threads = entries("/proc/self/task");
  locks(before, sizeof before);
  setenv("OF_THE_HOST", "stays", 1);

  if (remy_debug(db, &json) != REMY_OK) fail("debug");
  if (strcmp(what, "closed") != 0) printf("%s\n", json);
  remy_free(json);
  for (i = 0; i < (strcmp(what, "forks") == 0 ? 1000000 : 3); ++i) {
    if (strcmp(what, "owner") == 0 && i == 1) { /* the first one has taken live up */
      other_run(own, "BEGIN IMMEDIATE");
      remy_set_progress(db, whose, own);
    }
    if (strcmp(what, "stops") == 0) remy_set_progress(db, stop_once, NULL);
    if (strcmp(what, "waited") == 0) {
      pid_t child = fork();
      if (child == 0) _exit(7);
    }
    if (remy_publish(db, argv[2], NULL, &json) != REMY_OK) {
      fprintf(stderr, "publish: %s\n", remy_errmsg(db));
      return 1;
    }
    if (strcmp(what, "closed") != 0) printf("%s\n", json);
    fflush(stdout);
    remy_free(json);
    /* An SQLite that opens a file in the place of stdin puts /dev/null there. */
    if (own != NULL && strcmp(what, "closed") != 0) other_run(own, "INSERT INTO users (name, email) VALUES ('of the host', 'its own connection')");
  }
  locks(after, sizeof after);
  if (strcmp(before, after) != 0) {
    fprintf(stderr, "locks before:\n%safter:\n%s", before, after);
    return 1;
  }
  if (!in_process && descriptors != entries("/proc/self/fd")) fail("descriptors");
  /* Who joins a thread goes on a moment before the kernel forgets it. */
  /* There may have been one more before, which was on its way out. */
  for (i = 0; i < 1000 && threads < entries("/proc/self/task"); ++i) usleep(1000);
  if (threads < entries("/proc/self/task")) fail("threads");
  if (strcmp(what, "waited") == 0) {
    usleep(100000);
    ended = 1;
    if (found != 3) fail("a status was stolen");
    return 0;
  }
  if (signals != 0 && strcmp(what, "owner") != 0) fail("SIGCHLD");
  if (waitpid(-1, NULL, WNOHANG | __WALL) != -1 || errno != ECHILD) fail("a child is left");
  if (strcmp(what, "closed") == 0 && (fcntl(0, F_GETFD) != -1 || fcntl(1, F_GETFD) != -1 || fcntl(2, F_GETFD) != -1)) return 1;
  remy_close(db);
  return 0;
}
