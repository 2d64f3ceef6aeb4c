// The executable that a container runtime starts for each pod and NIC. It decides nothing and parses nothing: it sends its
// name, environment and stdin to the agent's unix socket and prints the answer. Installed under several names.
//   request:  "SPC1" u32le length | name NUL | each environment string NUL | NUL | stdin to the end of the frame
//   response: u32le exit code, u32le stdout length | stdout
// No heap: static buffers, whose untouched pages cost nothing.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_STDIN = 1 << 20, MAX_ENV = 2 << 20, MAX_ANSWER = 4 << 20, MAX_SPOOL_FILE = 1 << 20, MAX_SPOOLED = 10000 };

static unsigned char frame[8 + MAX_ENV + MAX_STDIN + 1], answer[MAX_ANSWER];
static size_t frameBytes, stdinAt;
static struct timespec deadline;

static const char *const commands[] = {"ADD", "CHECK", "DEL", "STATUS", "GC"};
static const int seconds[] = {100, 100, 5, 2, 110};

// Writes all of it: the runtime may hand us a pipe that takes a few bytes at a time.
static int writeAll(int fd, const void *data, size_t size) {
  const char *at = data;
  while (size > 0) {
    ssize_t n = write(fd, at, size);
    if (n < 0 && errno == EAGAIN) {
      struct pollfd p = {fd, POLLOUT, 0};
      poll(&p, 1, 1000);
    } else if (n < 0 && errno != EINTR) return -1;
    else if (n > 0) at += n, size -= (size_t)n;
  }
  return 0;
}

// JSON text of anything: what would need an escape becomes '?', at most 120 bytes.
static const char *shown(const char *text) {
  static char out[2][121];
  static int turn;
  char *to = out[turn ^= 1];
  size_t i = 0;
  for (; text && text[i] && i < 120; i++)
    to[i] = (text[i] < ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\') ? '?' : text[i];
  to[i] = 0;
  return to;
}

__attribute__((format(printf, 2, 3))) static void fail(int code, const char *format, ...) {
  char text[1024], body[800];
  va_list args;
  va_start(args, format);
  vsnprintf(body, sizeof body, format, args);
  va_end(args);
  int n = snprintf(text, sizeof text, "{\"code\":%d,%s}\n", code, body);
  writeAll(1, text, (size_t)n);
  exit(1);
}

static int leftMs(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  long long ms = (deadline.tv_sec - now.tv_sec) * 1000LL + (deadline.tv_nsec - now.tv_nsec) / 1000000;
  return ms > 0 ? (int)ms : 0;
}

// Waits until fd is ready or the deadline is over.
static int await(int fd, short events) {
  for (;;) {
    struct pollfd p = {fd, events, 0};
    int n = poll(&p, 1, leftMs());
    if (n > 0) return 0;
    if (n == 0) return errno = ETIMEDOUT, -1;
    if (errno != EINTR) return -1;
  }
}

// Reads at most size bytes; less only at the end of the stream. -1 on error or deadline.
static ssize_t readSome(int fd, unsigned char *to, size_t size) {
  size_t got = 0;
  while (got < size) {
    if (await(fd, POLLIN) < 0) return -1;
    ssize_t n = read(fd, to + got, size - got);
    if (n == 0) break;
    if (n < 0 && errno != EINTR && errno != EAGAIN) return -1;
    if (n > 0) got += (size_t)n;
  }
  return (ssize_t)got;
}

static void put32(unsigned char *to, uint32_t v) {
  for (int i = 0; i < 4; i++) to[i] = (unsigned char)(v >> (8 * i));
}

static uint32_t get32(const unsigned char *from) {
  return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static int addString(const char *text) {
  size_t size = strlen(text) + 1;
  if (frameBytes + size + 1 > 8 + MAX_ENV) return -1;
  memcpy(frame + frameBytes, text, size);
  frameBytes += size;
  return 0;
}

// One request and its answer. -1 with errno when the agent is away, silent, or does not keep to the protocol.
static int askAgent(const char *path, uint32_t *exitCode, uint32_t *size) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof to.sun_path) return errno = ENAMETOOLONG, -1;
  strcpy(to.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  while (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
    if (errno != EAGAIN && errno != EINTR) return -1;
    if (leftMs() == 0) return errno = ETIMEDOUT, -1;
    usleep(5000); // the agent's backlog is full: a unix socket cannot be polled for that
  }
  for (size_t sent = 0; sent < frameBytes;) {
    if (await(fd, POLLOUT) < 0) return -1;
    ssize_t n = send(fd, frame + sent, frameBytes - sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EINTR && errno != EAGAIN) return -1;
    if (n > 0) sent += (size_t)n;
  }
  unsigned char head[8];
  ssize_t n = readSome(fd, head, sizeof head);
  if (n < 0) return -1;
  if (n < (ssize_t)sizeof head) return errno = ECONNRESET, -1;
  *exitCode = get32(head);
  *size = get32(head + 4);
  if (*size > MAX_ANSWER) return errno = EMSGSIZE, -1;
  n = readSome(fd, answer, *size);
  if (n < 0) return -1;
  if ((uint32_t)n < *size) return errno = ECONNRESET, -1;
  return 0;
}

// Keeps a DEL for the agent's next start: written, synced, then renamed, so that no half file is ever replayed.
static int spool(const char *path) {
  if (frameBytes > MAX_SPOOL_FILE) return errno = EFBIG, -1;
  if (mkdir(path, 0700) < 0 && errno != EEXIST) return -1;
  int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct stat st;
  if (dir < 0 || fstat(dir, &st) < 0) return -1;
  if (st.st_uid != geteuid() || (st.st_mode & 077) != 0) return errno = EPERM, -1;
  int count = 0;
  DIR *list = fdopendir(dup(dir));
  if (list == NULL) return -1;
  while (readdir(list)) count++;
  closedir(list);
  if (count - 2 >= MAX_SPOOLED) return errno = ENOSPC, -1;
  struct timespec now;
  char temp[81], name[80];
  clock_gettime(CLOCK_REALTIME, &now);
  snprintf(name, sizeof name, "%011lld.%09ld-%d.req", (long long)now.tv_sec, now.tv_nsec, (int)getpid());
  snprintf(temp, sizeof temp, ".%s", name);
  int fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return -1;
  if (writeAll(fd, frame, frameBytes) < 0 || fsync(fd) < 0 || close(fd) < 0 || renameat(dir, temp, dir, name) < 0) {
    int why = errno;
    unlinkat(dir, temp, 0);
    return errno = why, -1;
  }
  return fsync(dir);
}

int main(int argc, char **argv, char **env) {
  for (int fd = 0; fd < 3; fd++) // a closed descriptor must not become our socket
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0) return 1;
  signal(SIGPIPE, SIG_IGN);
  const char *name = argc > 0 && argv[0] ? argv[0] : "spiderpool";
  if (strrchr(name, '/')) name = strrchr(name, '/') + 1;
  const char *command = getenv("CNI_COMMAND"), *socketPath = getenv("SPIDERPOOL_AGENT_SOCKET"),
             *spoolDir = getenv("SPIDERPOOL_SPOOL_DIR");
  if (!socketPath || !*socketPath) socketPath = "/var/run/spidernet/spiderpool.sock";
  if (!spoolDir || !*spoolDir) spoolDir = "/var/lib/spiderpool/spool";
  if (!command || !*command)
    fail(4, "\"msg\":\"Cannot accept CNI_COMMAND \\\"\\\": it is missing\",\"details\":\"environment: set it to one of "
            "ADD, DEL, CHECK, GC, STATUS, VERSION\"");
  if (strcmp(command, "VERSION") == 0) {
    static const char text[] = "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":"
                               "[\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n";
    return writeAll(1, text, sizeof text - 1) < 0;
  }
  int op = 0;
  while (op < 5 && strcmp(command, commands[op]) != 0) op++;
  if (op == 5)
    fail(4, "\"msg\":\"Cannot accept CNI_COMMAND \\\"%s\\\": it is unknown\",\"details\":\"environment: set it to one of "
            "ADD, DEL, CHECK, GC, STATUS, VERSION\"", shown(command));
  const int isDel = strcmp(command, "DEL") == 0;
  clock_gettime(CLOCK_MONOTONIC, &deadline);
  deadline.tv_sec += seconds[op];

  frameBytes = 8;
  int fits = addString(name) == 0;
  for (char **at = env; fits && *at; at++) // an empty string would end the list
    if (**at) fits = addString(*at) == 0;
  if (!fits)
    fail(4, "\"msg\":\"Cannot accept the environment: it is longer than %d bytes\",\"details\":\"environment: pass the "
            "CNI variables alone\"", MAX_ENV);
  frame[frameBytes++] = 0;
  stdinAt = frameBytes;
  ssize_t got = readSome(0, frame + stdinAt, MAX_STDIN + 1);
  if (got > MAX_STDIN && !isDel)
    fail(7, "\"msg\":\"Cannot accept the network configuration on stdin: it is longer than %d bytes\",\"details\":\"network-"
            "config: pass at most 1 MiB\"", MAX_STDIN);
  if (got < 0 && !isDel)
    fail(5, "\"msg\":\"Cannot read the network configuration from stdin: %s\",\"details\":\"stdin: write one JSON object and "
            "close it\"", strerror(errno));
  if (got > 0 && got <= MAX_STDIN) frameBytes += (size_t)got; // DEL goes on without: container and interface are enough
  memcpy(frame, "SPC1", 4);
  put32(frame + 4, (uint32_t)(frameBytes - 8));

  uint32_t exitCode, size;
  if (askAgent(socketPath, &exitCode, &size) == 0) {
    if (writeAll(1, answer, size) < 0) return 1;
    return exitCode > 255 ? 1 : (int)exitCode;
  }
  int why = errno;
  if (isDel && spool(spoolDir) == 0) return 0;
  if (isDel)
    fail(11, "\"msg\":\"Cannot reach the agent at \\\"%s\\\" (%s), nor keep the request in \\\"%s\\\": %s\",\"details\":\"agent-"
             "unreachable: the runtime repeats DEL; see that spiderpool-agent runs and that the folder is root's, 0700, "
             "not full\"", shown(socketPath), strerror(why), shown(spoolDir), strerror(errno));
  fail(strcmp(command, "STATUS") == 0 ? 50 : 11,
       "\"msg\":\"Cannot reach the agent at \\\"%s\\\": %s\",\"details\":\"agent-unreachable: try again later; see that "
       "spiderpool-agent runs on this node\"", shown(socketPath), strerror(why));
}
