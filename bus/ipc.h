/* Private to bus/: what unix sockets of this bus library need beside it. Its listeners end for good, without a word,
 * when one client connects and goes at once; and it removes any file that stands at the path where it is to listen. */
#ifndef MEERKAT_BUS_IPC_H
#define MEERKAT_BUS_IPC_H

#include "node/core/err.h"

/* The folder of `path` exists, is ours, and closed to everybody else (0700); at `path` stands nothing, or a socket.
 *   errors  REFUSED, the note says what is wrong and what would be right */
enum mk_err bus__ipc_check(const char *path, struct mk_note *note);

/* Connects and greets as a peer of the other kind would, and waits up to wait_ms for the listener's greeting. Returns
 * the open connection, or -1. A greeting does not prove that the listener lives: it does when the socket then counts a
 * connection. */
enum bus__peer { BUS__AS_PUBLISHER, BUS__AS_SUBSCRIBER };
int bus__ipc_greet(const char *path, enum bus__peer as, int wait_ms);

#endif
