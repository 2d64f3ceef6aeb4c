/*
 * lab-pause: holds a network namespace of the lab.
 *
 *   lab-pause [--once] [--die-with-parent] PATH   makes a namespace, brings lo up, binds it at PATH, waits
 *   lab-pause --join [--die-with-parent] PATH     enters the namespace at PATH and waits in it
 *   lab-pause --exec PATH COMMAND [ARGUMENT...]   enters the namespace at PATH and becomes COMMAND
 *
 * It writes "ready\n" to standard output when the namespace is there, and ends on SIGTERM or SIGINT. With --once
 * it ends at once: the bind mount alone keeps the namespace. Exit codes: 0 ended as told, 1 could not do it, 2 usage.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int failed(const char *action, const char *path) {
  fprintf(stderr, "lab-pause: Cannot %s \"%s\": %s\n", action, path, strerror(errno));
  return 1;
}

static int usage(void) {
  fputs("usage: lab-pause [--once | --join] [--die-with-parent] PATH\n"
        "       lab-pause --exec PATH COMMAND [ARGUMENT...]\n", stderr);
  return 2;
}

static int bring_loopback_up(void) {
  struct ifreq request;
  int result, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  memset(&request, 0, sizeof request);
  strcpy(request.ifr_name, "lo");
  result = ioctl(fd, SIOCGIFFLAGS, &request);
  if (result == 0) {
    request.ifr_flags |= IFF_UP;
    result = ioctl(fd, SIOCSIFFLAGS, &request);
  }
  close(fd);
  return result;
}

/* The file is new: a leftover of a crash, still bound or not, is the caller's to remove. */
static int make_namespace(const char *path) {
  int fd;
  if (unshare(CLONE_NEWNET) != 0) return failed("make a network namespace for", path);
  if (bring_loopback_up() != 0) return failed("bring lo up for", path);
  fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return failed("create the file", path);
  close(fd);
  if (mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) != 0) {
    failed("bind the namespace at", path);
    unlink(path);
    return 1;
  }
  /* A shared parent would hand copies of later changes to other mount namespaces, which would keep this one alive. */
  if (mount(NULL, path, NULL, MS_PRIVATE, NULL) != 0) {
    failed("make private the mount", path);
    umount2(path, MNT_DETACH);
    unlink(path);
    return 1;
  }
  return 0;
}

static int join_namespace(const char *path) {
  int result, fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed("open the namespace", path);
  result = setns(fd, CLONE_NEWNET);
  if (result != 0) failed("enter the namespace", path);
  close(fd);
  return result == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
  const char *path;
  sigset_t ending;
  pid_t parent = getppid();
  int at, once = 0, join = 0, with_parent = 0, signal_number;

  if (argc >= 4 && strcmp(argv[1], "--exec") == 0) {
    if (join_namespace(argv[2]) != 0) return 1;
    execvp(argv[3], argv + 3);
    failed("run", argv[3]);
    return errno == ENOENT ? 127 : 126;
  }
  for (at = 1; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
    if (strcmp(argv[at], "--once") == 0) once = 1;
    else if (strcmp(argv[at], "--join") == 0) join = 1;
    else if (strcmp(argv[at], "--die-with-parent") == 0) with_parent = 1;
    else return usage();
  }
  if (at != argc - 1 || (once && join)) return usage();
  path = argv[at];

  /* Blocked before "ready" is said: a signal that comes earlier than sigwait is kept, not lost. */
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  sigprocmask(SIG_BLOCK, &ending, NULL);
  signal(SIGHUP, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  if (with_parent) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) return 1; /* the parent was gone before the kernel was told */
  }

  if ((join ? join_namespace(path) : make_namespace(path)) != 0) return 1;
  if (write(STDOUT_FILENO, "ready\n", 6) != 6) return failed("say that it is ready:", path);
  if (once) return 0;
  close(STDIN_FILENO);
  close(STDOUT_FILENO);
  while (sigwait(&ending, &signal_number) != 0) continue;
  return 0;
}
