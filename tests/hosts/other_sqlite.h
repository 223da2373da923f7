/* Another SQLite in the process: the one of the system, as an application would have it beside libremy. Loaded by name, so
   that no header and no development package is needed. Each statement is one that has to work. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct sqlite3 sqlite3;

static int (*other_open)(const char *, sqlite3 **);
static int (*other_exec)(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *, char **);
static int (*other_timeout)(sqlite3 *, int);
static int (*other_close)(sqlite3 *);

static void *other_symbol(const char *name) {
  static void *library;
  void *symbol;
  if (library == NULL) library = dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);
  symbol = library == NULL ? NULL : dlsym(library, name);
  if (symbol == NULL) {
    fprintf(stderr, "the SQLite of the system: %s\n", dlerror());
    exit(3);
  }
  return symbol;
}

static sqlite3 *other_database(const char *path) {
  sqlite3 *db;
  *(void **)&other_open = other_symbol("sqlite3_open");
  *(void **)&other_exec = other_symbol("sqlite3_exec");
  *(void **)&other_timeout = other_symbol("sqlite3_busy_timeout");
  *(void **)&other_close = other_symbol("sqlite3_close");
  if (other_open(path, &db) != 0 || other_timeout(db, 20000) != 0) {
    fprintf(stderr, "the SQLite of the system does not open %s\n", path);
    exit(3);
  }
  return db;
}

static void other_run(sqlite3 *db, const char *sql) {
  char *message = NULL;
  if (other_exec(db, sql, NULL, NULL, &message) != 0) {
    fprintf(stderr, "%s: %s\n", sql, message);
    exit(3);
  }
}

/* Writes a key to app_writes, and says so when it is committed. */
static void other_write(sqlite3 *db, const char *key) {
  char sql[128];
  snprintf(sql, sizeof sql, "INSERT INTO app_writes (key) VALUES ('%s')", key);
  other_run(db, sql);
  printf("%s\n", key);
  fflush(stdout);
}
