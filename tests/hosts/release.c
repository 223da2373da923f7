/* release DATABASE SCHEMA: publishes, lists and rolls back, and prints a line for each. */
#include "remy.h"
#include <stdio.h>
#include <string.h>

static void count(const char *line, void *arg) {
  if (strstr(line, "\"step\"") != NULL) ++*(int *)arg;
}

static void cancel(const char *line, void *arg) {
  (void)line;
  remy_cancel((remy *)arg);
}

static int fail(remy *db, const char *what) {
  fprintf(stderr, "%s: %s: %s\n", what, remy_errcode(db), remy_errmsg(db));
  return 1;
}

int main(int argc, char **argv) {
  remy *db;
  char *json;
  int lines = 0;
  if (argc != 3) return 2;
  if (remy_open(argv[1], &db) != REMY_OK) return fail(NULL, "open");

  if (remy_publish(db, argv[2], "{\"lable\": 1}", &json) != REMY_INVALID_ARGUMENT) return fail(db, "lable");
  if (remy_errmsg(db)[0] == 0 || json != NULL) return 1;

  remy_set_progress(db, cancel, db);
  if (remy_publish(db, argv[2], NULL, &json) != REMY_BUSY) return fail(db, "cancel");

  remy_set_progress(db, count, &lines);
  if (remy_publish(db, argv[2], "{\"label\": \"v2\"}", &json) != REMY_OK) return fail(db, "publish");
  printf("%s\n", json);
  remy_free(json);
  if (lines == 0 || strcmp(remy_errcode(db), "ok") != 0) return 1;

  if (remy_rollback(db, 0, NULL, &json) != REMY_OK) return fail(db, "rollback");
  printf("%s\n", json);
  remy_free(json);

  if (remy_releases(db, &json) != REMY_OK) return fail(db, "releases");
  printf("%s\n", json);
  remy_free(json);

  if (remy_promote(db, 99, NULL, &json) != REMY_NOT_FOUND) return fail(db, "promote");
  remy_close(db);
  return 0;
}
