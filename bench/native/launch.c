// Starts programs, so many of them at any time, as a container runtime does, and says what each start took. It is small so that
// it is not itself what is measured: a Node that starts a child forks a process of 60 MB, and Linux counts the memory of the
// process that a child was forked from as the child's own peak (ru_maxrss is kept over execve).
//   argument:                        how many run at once; 1: each starts when the one before has ended and all is calm
//   standard input, for each call:   u32 arguments, u32 environment strings, u32 bytes for its standard input,
//                                    the strings, each with its NUL, then the bytes
//   standard output, for each call,  u64 nanoseconds from before the start until it is waited for, u64 nanoseconds of
//   as it ends:                      CLOCK_MONOTONIC then, u32 its place in the input, u32 peak KiB,
//                                    u32 microseconds in user mode, u32 in the kernel, i32 exit code or -signal,
//                                    u32 bytes of its standard output, and those
// All numbers are in the host's order. It ends at the end of its input; exit code 1 when something is not as said.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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
enum { MAX_STRINGS = 200, MAX_TEXT = 32 << 10, MAX_INPUT = 32 << 10, MAX_OUTPUT = 32 << 10, MAX_AT_ONCE = 256, PAUSE_NS = 500000 };

static char text[MAX_TEXT], input[MAX_INPUT];
static char *strings[MAX_STRINGS + 2];

struct run {
  pid_t pid;
  uint32_t place, got;
  uint64_t startedNs;
  char output[MAX_OUTPUT];
};
// What is `at` in one is `at` in the other; the first `running` are in use.
static struct run *runs[MAX_AT_ONCE];
static struct pollfd outputs[MAX_AT_ONCE];
static unsigned running;

static void die(const char *action) {
  fprintf(stderr, "launch: cannot %s: %s\n", action, strerror(errno));
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

static void start(uint32_t place, char **argv, char **env, uint32_t inputBytes) {
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) die("make pipes");
  if (inputBytes > 0 && write(in[1], input, inputBytes) != (ssize_t)inputBytes) die("fill a pipe");
  close(in[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  if (runs[running] == NULL && (runs[running] = malloc(sizeof *runs[running])) == NULL) die("find memory");
  struct run *run = runs[running];
  run->place = place;
  run->got = 0;
  run->startedNs = nowNs();
  errno = posix_spawn(&run->pid, argv[0], &actions, NULL, argv, env);
  if (errno != 0) die(argv[0]);
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  outputs[running++] = (struct pollfd){out[0], POLLIN, 0};
}

static void put(const void *from, size_t size) {
  if (size > 0 && fwrite(from, size, 1, stdout) != 1) die("say what it took");
}

// Its output is at its end: it is waited for, and the last one in use takes its place.
static void finish(unsigned at) {
  struct run *run = runs[at];
  int status;
  struct rusage used;
  if (wait4(run->pid, &status, 0, &used) < 0) die("wait for a child");
  uint64_t times[] = {nowNs() - run->startedNs, nowNs()};
  uint32_t cost[] = {run->place, (uint32_t)used.ru_maxrss,
                     (uint32_t)(used.ru_utime.tv_sec * 1000000 + used.ru_utime.tv_usec),
                     (uint32_t)(used.ru_stime.tv_sec * 1000000 + used.ru_stime.tv_usec)};
  int32_t code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  put(times, sizeof times);
  put(cost, sizeof cost);
  put(&code, sizeof code);
  put(&run->got, sizeof run->got);
  put(run->output, run->got);
  close(outputs[at].fd);
  running--;
  runs[at] = runs[running];
  runs[running] = run;
  outputs[at] = outputs[running];
}

// Takes what they print, until one of them has ended.
static void awaitOne(void) {
  unsigned before = running;
  while (running == before) {
    if (poll(outputs, running, -1) < 0 && errno != EINTR) die("wait for output");
    for (unsigned at = running; at-- > 0;) {
      if (outputs[at].revents == 0) continue;
      struct run *run = runs[at];
      ssize_t n = read(outputs[at].fd, run->output + run->got, sizeof run->output - run->got);
      if (n > 0) run->got += (uint32_t)n;
      else finish(at);
    }
  }
}

int main(int count, char **arguments) {
  unsigned atOnce = count == 2 ? (unsigned)atoi(arguments[1]) : 1;
  if (atOnce == 0 || atOnce > MAX_AT_ONCE) errno = E2BIG, die("run so many at once");
  uint32_t head[3];
  for (uint32_t place = 0; fread(head, sizeof head, 1, stdin) == 1; place++) {
    if (head[0] == 0 || head[0] > MAX_STRINGS || head[1] > MAX_STRINGS - head[0] || head[2] > MAX_INPUT)
      errno = E2BIG, die("take so long a call");
    char **argv = strings, **env = strings + head[0] + 1;
    size_t at = 0;
    readStrings(head[0], argv, &at);
    readStrings(head[1], env, &at);
    need(input, head[2]);
    if (running == atOnce) awaitOne();
    // What the call before left behind must not run at the cost of this one.
    if (atOnce == 1) nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
    start(place, argv, env, head[2]);
  }
  while (running > 0) awaitOne();
  return fflush(stdout) == 0 && !ferror(stdin) ? 0 : 1;
}
