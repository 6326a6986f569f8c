/* The clock port on this machine: CLOCK_BOOTTIME, the calendar clock, the kernel's random bytes. Has no state. */
#ifndef MEERKAT_NODE_CLOCK_H
#define MEERKAT_NODE_CLOCK_H

#include "node/core/port.h"

struct clock_port clock_system(void);

#endif
