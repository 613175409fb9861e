// Linux calls that Swift's Glibc module does not export.
#pragma once
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

// Returns a number, because `struct timespec` belongs to whichever C module Swift imports first.
#include <stdint.h>
#include <time.h>
static inline int64_t pstime_nanoseconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

// A wrapper, because prctl is variadic and Swift cannot import variadic C functions.
static inline int psprctl_parent_death_signal(int number) { return prctl(PR_SET_PDEATHSIG, number, 0, 0, 0); }

// Also a wrapper of a variadic function. The columns of a terminal; 0 where the descriptor is none, or does not know.
static inline int psterminal_columns(int descriptor) {
    struct winsize size;
    return ioctl(descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}
