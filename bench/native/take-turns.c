// Starts programs one after the other, as a container runtime does, and says what each start took. It is small so that it is not
// itself what is measured: a Node that starts a child forks a process of 60 MB, and Linux counts the memory of the process that
// a child was forked from as the child's own peak (ru_maxrss is kept over execve).
//   standard input, for each call:   u32 arguments, u32 environment strings, u32 bytes for its standard input,
//                                    the strings, each with its NUL, then the bytes
//   standard output, for each call:  u64 nanoseconds from before the start until it is waited for, u32 peak KiB,
//                                    u32 microseconds in user mode, u32 in the kernel, i32 exit code or -signal,
//                                    u32 bytes of its standard output, and those
// All numbers are in the host's order. It ends at the end of its input; exit code 1 when something is not as said.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// What goes to a child must fit into its pipe at once: nobody else writes meanwhile.
enum { MAX_STRINGS = 200, MAX_TEXT = 32 << 10, MAX_INPUT = 32 << 10, MAX_OUTPUT = 32 << 10, PAUSE_NS = 500000 };

static char text[MAX_TEXT], input[MAX_INPUT], output[MAX_OUTPUT];
static char *strings[MAX_STRINGS + 2];

static void die(const char *action) {
  fprintf(stderr, "take-turns: cannot %s: %s\n", action, strerror(errno));
  exit(1);
}

static void need(void *to, size_t size) {
  if (size > 0 && fread(to, size, 1, stdin) != 1) die("read a whole call");
}

static uint64_t nowNs(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void readStrings(uint32_t count, char **to, size_t *at) {
  for (uint32_t i = 0; i < count; i++) {
    to[i] = text + *at;
    int c;
    do {
      if (*at == MAX_TEXT) errno = E2BIG, die("take so long a call");
      if ((c = getchar()) == EOF) die("read a string");
      text[(*at)++] = (char)c;
    } while (c != 0);
  }
  to[count] = NULL;
}

int main(void) {
  uint32_t head[3];
  while (fread(head, sizeof head, 1, stdin) == 1) {
    if (head[0] == 0 || head[0] > MAX_STRINGS || head[1] > MAX_STRINGS - head[0] || head[2] > MAX_INPUT)
      errno = E2BIG, die("take so long a call");
    char **argv = strings, **env = strings + head[0] + 1;
    size_t at = 0;
    readStrings(head[0], argv, &at);
    readStrings(head[1], env, &at);
    need(input, head[2]);

    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) die("make pipes");
    if (head[2] > 0 && write(in[1], input, head[2]) != (ssize_t)head[2]) die("fill a pipe");
    close(in[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    // What the call before left behind must not run at the cost of this one.
    nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);

    pid_t child;
    uint64_t startedNs = nowNs();
    errno = posix_spawn(&child, argv[0], &actions, NULL, argv, env);
    if (errno != 0) die(argv[0]);
    close(out[1]);
    uint32_t got = 0;
    for (ssize_t n; (n = read(out[0], output + got, sizeof output - got)) > 0;) got += (uint32_t)n;
    int status;
    struct rusage used;
    if (wait4(child, &status, 0, &used) < 0) die("wait for a child");
    uint64_t tookNs = nowNs() - startedNs;

    close(in[0]);
    close(out[0]);
    posix_spawn_file_actions_destroy(&actions);
    int32_t code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    uint32_t cost[] = {(uint32_t)used.ru_maxrss, (uint32_t)(used.ru_utime.tv_sec * 1000000 + used.ru_utime.tv_usec),
                       (uint32_t)(used.ru_stime.tv_sec * 1000000 + used.ru_stime.tv_usec)};
    if (fwrite(&tookNs, sizeof tookNs, 1, stdout) != 1 || fwrite(cost, sizeof cost, 1, stdout) != 1 ||
        fwrite(&code, sizeof code, 1, stdout) != 1 || fwrite(&got, sizeof got, 1, stdout) != 1 ||
        (got > 0 && fwrite(output, got, 1, stdout) != 1))
      die("say what it took");
  }
  return fflush(stdout) == 0 && !ferror(stdin) ? 0 : 1;
}
