/* Every function of remy.h that needs no database, and what NULL does. */
#include "remy.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  remy *db = (remy *)&db;
  char *json = (char *)&db;

  assert(strcmp(remy_version(), REMY_VERSION) == 0);
  assert(remy_version_number() == REMY_VERSION_NUMBER);

  assert(remy_open(NULL, &db) == REMY_INVALID_ARGUMENT && db == NULL);
  assert(strcmp(remy_errcode(NULL), "invalid_argument") == 0);
  assert(strstr(remy_errmsg(NULL), "path is NULL") != NULL);
  assert(strstr(remy_errjson(NULL), "\"code\":\"invalid_argument\"") != NULL);
  assert(remy_open("x.db", NULL) == REMY_INVALID_ARGUMENT);
  assert(remy_open("no/such/folder/x.db", &db) != REMY_OK && db == NULL);
  assert(strlen(remy_errmsg(NULL)) > 0);

  assert(remy_publish(NULL, "x;", NULL, &json) == REMY_INVALID_ARGUMENT && json == NULL);
  assert(remy_debug(NULL, NULL) == REMY_INVALID_ARGUMENT);
  assert(remy_set_progress(NULL, NULL, NULL) == REMY_INVALID_ARGUMENT);
  remy_cancel(NULL);
  remy_close(NULL);
  remy_free(NULL);

  printf("%s\n", remy_version());
  return 0;
}
