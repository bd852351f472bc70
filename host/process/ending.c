/* How workers end: noticed, killed with all that they started, reaped, and told. */
#define _GNU_SOURCE /* waitid's P_PIDFD, syscall */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/internal.h"

/* Of Linux's interface, but in C libraries' headers only for a few years. */
enum { BY_PIDFD = 3 /* P_PIDFD */, TO_PROCESS_GROUP = 4 /* PIDFD_SIGNAL_PROCESS_GROUP */ };

/* waitid for this process; by its descriptor where the kernel can (Linux 5.4): its number may already be another child's. */
static int wait_for(pid_t pid, int pidfd, siginfo_t *info, int options) {
  int failed = -1;
  memset(info, 0, sizeof *info);
  errno = EINVAL;
  if (pidfd >= 0) failed = waitid((idtype_t)BY_PIDFD, (id_t)pidfd, info, options);
  if (failed != 0 && errno == EINVAL) failed = waitid(P_PID, (id_t)pid, info, options);
  return failed;
}

static bool signal_by_descriptor(const worker *w, unsigned flags) {
#ifdef SYS_pidfd_send_signal
  if (w->pidfd < 0) return false;
  return syscall(SYS_pidfd_send_signal, w->pidfd, SIGKILL, NULL, flags) == 0 || errno == ESRCH;
#else
  (void)w;
  (void)flags;
  return false;
#endif
}

void ending_kill(worker *w) {
  if (w->over) return;
  const bool group = signal_by_descriptor(w, TO_PROCESS_GROUP); /* Linux 6.9 */
  const bool process = signal_by_descriptor(w, 0);              /* it may have left the group */
  if (group && process) return;
  /* By number only while that is the worker's for sure: until it is reaped, by whomever. */
  siginfo_t info;
  if (wait_for(w->pid, w->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) != 0) return;
  if (!group) kill(-w->pid, SIGKILL);
  if (!process) kill(w->pid, SIGKILL);
}

bool ending_check(worker *w) {
  if (w->over) return true;
  siginfo_t info;
  const bool gone = wait_for(w->pid, w->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) != 0;
  if (gone ? errno != ECHILD : info.si_pid == 0) return false;
  ending_kill(w); /* what it left behind; before it is reaped, as its number is its group's */
  w->ending.known = wait_for(w->pid, w->pidfd, &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0;
  w->ending.ended = true;
  if (w->ending.known && info.si_code == CLD_EXITED) w->ending.status = info.si_status;
  if (w->ending.known && info.si_code != CLD_EXITED) w->ending.signal = info.si_status;
  w->over = true;
  return true;
}

/* Killed workers that have not ended. More than these are forgotten, and stay zombies until the application ends. */
static pthread_mutex_t buried_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
  pid_t pid;
  int pidfd;
} buried[64];
static size_t buried_count; /* both under buried_lock */

void ending_bury(const worker *w) {
  pthread_mutex_lock(&buried_lock);
  const bool room = buried_count < sizeof buried / sizeof *buried;
  if (room) {
    buried[buried_count].pid = w->pid;
    buried[buried_count++].pidfd = w->pidfd;
  }
  pthread_mutex_unlock(&buried_lock);
  if (!room && w->pidfd >= 0) close(w->pidfd);
}

void ending_reap_buried(void) {
  pthread_mutex_lock(&buried_lock);
  for (size_t i = buried_count; i-- > 0;) {
    siginfo_t info;
    if (wait_for(buried[i].pid, buried[i].pidfd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0) continue;
    if (buried[i].pidfd >= 0) close(buried[i].pidfd);
    buried[i] = buried[--buried_count];
  }
  pthread_mutex_unlock(&buried_lock);
}

/* The last words of the ring, as whole lines where it has some, in characters that can be shown. */
static void copy_words(const worker *w, char out[WORKER_LAST_WORDS + 1]) {
  const size_t kept = w->words < sizeof w->ring ? w->words : sizeof w->ring;
  char text[WORKER_LAST_WORDS];
  for (size_t i = 0; i < kept; i++) text[i] = w->ring[(w->words - kept + i) % sizeof w->ring];
  size_t begin = 0, end = kept, n = 0;
  while (end > 0 && text[end - 1] == '\n') end--;
  const char *newline = w->words > kept ? memchr(text, '\n', end) : NULL;
  if (newline != NULL) begin = (size_t)(newline - text) + 1; /* the first line is only the end of one */
  while (begin < end) {
    const size_t length = message_character(text + begin, end - begin);
    const bool shown =
        text[begin] == '\n' || (length > 0 && message_valid(text + begin, length) && text[begin] != '\t');
    if (!shown) {
      out[n++] = text[begin++] == '\t' ? ' ' : '?';
      continue;
    }
    memcpy(out + n, text + begin, length);
    n += length;
    begin += length;
  }
  out[n] = '\0';
}

void worker_get_ending(worker *w, worker_ending *out) {
  ending_check(w);
  *out = w->ending;
  copy_words(w, out->last_words);
}

void worker_describe(const worker_ending *ending, char *out, size_t bytes) {
  static const struct {
    int number;
    const char *text;
  } signals[] = {
      {SIGSEGV, "SIGSEGV"},
      {SIGABRT, "SIGABRT"},
      {SIGBUS, "SIGBUS"},
      {SIGFPE, "SIGFPE"},
      {SIGILL, "SIGILL"},
      {SIGTRAP, "SIGTRAP"},
      {SIGSYS, "SIGSYS"},
      {SIGPIPE, "SIGPIPE"},
      {SIGTERM, "SIGTERM"},
      {SIGINT, "SIGINT"},
      {SIGHUP, "SIGHUP"},
      {SIGXCPU, "SIGXCPU"},
      {SIGKILL, "SIGKILL (killed, as the system does when memory runs out)"},
  };
  if (!ending->ended) {
    snprintf(out, bytes, "still running");
  } else if (!ending->known) {
    snprintf(out, bytes, "ended, its exit status unknown");
  } else if (ending->signal == 0) {
    snprintf(out, bytes, "ended with exit status %d", ending->status);
  } else {
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
      if (signals[i].number == ending->signal) {
        snprintf(out, bytes, "ended by %s", signals[i].text);
        return;
      }
    snprintf(out, bytes, "ended by signal %d", ending->signal);
  }
}
