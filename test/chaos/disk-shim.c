/*
 * Stands between a node and the C library (LD_PRELOAD), for files below SHIM_DIRECTORY only:
 *
 * - while the file SHIM_FAIL exists, fsync and fdatasync fail with EIO, as a dying disk does. With a number n in it they
 *   fail n times, and then no more: the number is counted down.
 * - the file SHIM_RECORD gets a line for each file that was synced, with the length that it had before: what a power loss
 *   leaves of it for certain. Renamed and unlinked files have lines too, since names outlive lengths.
 *
 *     S <length> <path>      R <old path> <new path>      U <path>
 *
 * A line is written before the caller hears of the sync, so whatever was acknowledged is in it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int is_ours(const char *path) {
  const char *directory = getenv("SHIM_DIRECTORY");
  return directory != NULL && strncmp(path, directory, strlen(directory)) == 0;
}

static int path_of(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length < 0) return 0;
  path[length] = '\0';
  return is_ours(path);
}

static void record(const char *line) {
  const char *file = getenv("SHIM_RECORD");
  if (file == NULL) return;
  int fd = open(file, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line)) abort();
  close(fd);
}

static int is_to_fail(void) {
  const char *file = getenv("SHIM_FAIL");
  if (file == NULL) return 0;
  pthread_mutex_lock(&lock);
  int fd = open(file, O_RDWR);
  int fails = fd >= 0;
  if (fails) {
    char text[16] = {0};
    if (read(fd, text, sizeof text - 1) > 0) {
      int left = atoi(text);
      fails = left > 0;
      if (fails) {
        int length = snprintf(text, sizeof text, "%d\n", left - 1);
        if (ftruncate(fd, 0) != 0 || pwrite(fd, text, length, 0) != length) abort();
      }
    }
    close(fd);
  }
  pthread_mutex_unlock(&lock);
  return fails;
}

static int sync_with(const char *name, int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  char path[PATH_MAX];
  struct stat before;
  if (!path_of(fd, path) || fstat(fd, &before) != 0 || !S_ISREG(before.st_mode)) return real(fd);
  if (is_to_fail()) {
    errno = EIO;
    return -1;
  }
  int result = real(fd);
  if (result == 0) {
    char line[PATH_MAX + 32];
    snprintf(line, sizeof line, "S %lld %s\n", (long long)before.st_size, path);
    record(line);
  }
  return result;
}

int fsync(int fd) { return sync_with("fsync", fd); }

int fdatasync(int fd) { return sync_with("fdatasync", fd); }

int rename(const char *from, const char *to) {
  int (*real)(const char *, const char *) = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
  int result = real(from, to);
  if (result == 0 && is_ours(from)) {
    char line[2 * PATH_MAX + 8];
    snprintf(line, sizeof line, "R %s %s\n", from, to);
    record(line);
  }
  return result;
}

int unlink(const char *path) {
  int (*real)(const char *) = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
  int result = real(path);
  if (result == 0 && is_ours(path)) {
    char line[PATH_MAX + 8];
    snprintf(line, sizeof line, "U %s\n", path);
    record(line);
  }
  return result;
}
