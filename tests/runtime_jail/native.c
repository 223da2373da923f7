/* An addon: `call(number, …)` makes a call of the system with numbers, texts and buffers, on a thread of its own;
   `crash()` ends the process by a signal. What it needs of Node-API is declared here: no headers have to be there. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>

typedef struct env *napi_env;
typedef struct value *napi_value;
typedef napi_value (*napi_callback)(napi_env, void *);
enum { STRING = 4, OBJECT = 6, NUMBER = 3 };

int napi_get_cb_info(napi_env, void *, size_t *, napi_value *, napi_value *, void **);
int napi_typeof(napi_env, napi_value, int *);
int napi_get_value_int64(napi_env, napi_value, int64_t *);
int napi_get_value_string_utf8(napi_env, napi_value, char *, size_t, size_t *);
int napi_get_buffer_info(napi_env, napi_value, void **, size_t *);
int napi_create_int64(napi_env, int64_t, napi_value *);
int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
int napi_set_named_property(napi_env, napi_value, const char *, napi_value);

static long arguments[7], result;

static void *work(void *nothing) {
  long *a = arguments;
  (void)nothing;
  result = syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
  if (result < 0) result = -errno;
  return NULL;
}

static napi_value call(napi_env env, void *info) {
  static char texts[7][4096];
  napi_value given[7], answer;
  size_t count = 7;
  pthread_t thread;
  napi_get_cb_info(env, info, &count, given, NULL, NULL);
  for (size_t i = 0; i < 7; i++) {
    int type = NUMBER;
    int64_t number = 0;
    void *bytes = NULL;
    arguments[i] = 0;
    if (i >= count) continue;
    napi_typeof(env, given[i], &type);
    if (type == STRING) {
      napi_get_value_string_utf8(env, given[i], texts[i], sizeof texts[i], NULL);
      arguments[i] = (long)texts[i];
    } else if (type == OBJECT) {
      napi_get_buffer_info(env, given[i], &bytes, NULL);
      arguments[i] = (long)bytes;
    } else {
      napi_get_value_int64(env, given[i], &number);
      arguments[i] = (long)number;
    }
  }
  if (pthread_create(&thread, NULL, work, NULL) != 0) abort();
  pthread_join(thread, NULL);
  napi_create_int64(env, result, &answer);
  return answer;
}

static napi_value crash(napi_env env, void *info) {
  (void)env;
  (void)info;
  *(volatile int *)8 = 1;
  return NULL;
}

napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value function;
  napi_create_function(env, "call", 4, call, NULL, &function);
  napi_set_named_property(env, exports, "call", function);
  napi_create_function(env, "crash", 5, crash, NULL, &function);
  napi_set_named_property(env, exports, "crash", function);
  return exports;
}
