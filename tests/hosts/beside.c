/* beside DATABASE SCHEMA OTHER: a program with an SQLite of its own linked in beside libremy. Each works on its own
   database at the same time, and neither calls into the other. */
#include "remy.h"
#include "sqlite3.h"
#include <stdio.h>
#include <string.h>

static sqlite3 *other;
static int lines;

static void write_other(const char *line, void *arg) {
  (void)line;
  (void)arg;
  ++lines;
  if (sqlite3_exec(other, "INSERT INTO notes VALUES (1)", NULL, NULL, NULL) != SQLITE_OK) lines = -1000000;
}

int main(int argc, char **argv) {
  sqlite3_stmt *count;
  remy *db;
  char *json;
  if (argc != 4) return 2;
  if (sqlite3_open(argv[3], &other) != SQLITE_OK) return 1;
  if (sqlite3_exec(other, "PRAGMA journal_mode = wal; CREATE TABLE notes (a)", NULL, NULL, NULL) != SQLITE_OK) return 1;
  /* A handler of the program's own: libremy's SQLite is another one, with settings of its own. */
  if (sqlite3_config(SQLITE_CONFIG_URI, 1) != SQLITE_MISUSE) return 1;

  if (remy_open(argv[1], &db) != REMY_OK) return 1;
  remy_set_progress(db, write_other, NULL);
  if (remy_publish(db, argv[2], NULL, &json) != REMY_OK) {
    fprintf(stderr, "%s\n", remy_errmsg(db));
    return 1;
  }
  remy_free(json);
  if (remy_rollback(db, 0, NULL, &json) != REMY_OK) return 1;
  remy_free(json);
  if (remy_debug(db, &json) != REMY_OK) return 1;
  /* Two versions, where they are two. */
  printf("%s\n%s\n", sqlite3_libversion(), json);
  remy_free(json);
  remy_close(db);

  if (sqlite3_prepare_v2(other, "SELECT count(*) FROM notes", -1, &count, NULL) != SQLITE_OK) return 1;
  if (sqlite3_step(count) != SQLITE_ROW || lines <= 0 || sqlite3_column_int(count, 0) != lines) return 1;
  sqlite3_finalize(count);
  return sqlite3_close(other) == SQLITE_OK ? 0 : 1;
}
