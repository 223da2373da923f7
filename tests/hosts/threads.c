/* threads DATABASE SCHEMA: one handle used by two threads, from its own callback, and by a child process. */
#define _POSIX_C_SOURCE 200809L
#include "remy.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static remy *db;
static int refused, children;

static void check(int ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "%s: %s: %s\n", what, remy_errmsg(NULL), remy_errmsg(db));
  _exit(1);
}

/* A second call while one runs: it does nothing, and the handle's own message is left to the first. */
static void *second(void *arg) {
  char *json = (char *)&json;
  (void)arg;
  check(remy_releases(db, &json) == REMY_BUSY && json == NULL, "a second call");
  check(strcmp(remy_errcode(NULL), "busy") == 0 && strlen(remy_errmsg(NULL)) > 0, "what it says");
  ++refused;
  return NULL;
}

static void on_line(const char *line, void *arg) {
  pthread_t thread;
  (void)line;
  (void)arg;
  second(NULL);
  check(pthread_create(&thread, NULL, second, NULL) == 0 && pthread_join(thread, NULL) == 0, "a thread");
  if (children++ == 0) {
    /* A child that has nothing to do with remy comes and goes in the middle. */
    pid_t child = fork();
    int status;
    if (child == 0) _exit(0);
    check(waitpid(child, &status, 0) == child && status == 0, "a child in the middle");
  }
}

static void cancel(const char *line, void *arg) {
  (void)line;
  remy_cancel((remy *)arg);
}

/* In a child of fork, the handle is refused, and closing it touches nothing. */
static void in_a_child(const char *schema) {
  pid_t child = fork();
  int status;
  if (child == 0) {
    char *json;
    check(remy_publish(db, schema, NULL, &json) == REMY_INVALID_ARGUMENT, "a publish in a child");
    check(strstr(remy_errmsg(db), "before a fork") != NULL, "what it says in a child");
    remy_close(db);
    _exit(0);
  }
  check(waitpid(child, &status, 0) == child && status == 0, "the child");
}

static void *publish(void *schema) {
  char *json;
  check(remy_publish(db, schema, NULL, &json) == REMY_OK, "a publish on a thread of its own");
  remy_free(json);
  return NULL;
}

int main(int argc, char **argv) {
  pthread_t thread;
  char *json;
  if (argc != 3) return 2;
  check(remy_open(argv[1], &db) == REMY_OK, "open");
  in_a_child(argv[2]);

  remy_set_progress(db, cancel, db);
  check(remy_publish(db, argv[2], NULL, &json) == REMY_BUSY, "a publish that is called off");

  remy_set_progress(db, on_line, NULL);
  check(pthread_create(&thread, NULL, publish, argv[2]) == 0 && pthread_join(thread, NULL) == 0, "a thread");
  check(refused >= 2 && children > 0, "calls while it ran");

  in_a_child(argv[2]);
  remy_set_progress(db, NULL, NULL);
  check(remy_rollback(db, 0, NULL, &json) == REMY_OK, "a rollback");
  remy_free(json);
  remy_close(db);
  return 0;
}
