/* Private to the CLI: what `meerkat ctl` can ask for. */
#ifndef MEERKAT_BUS_CLI_OPS_H
#define MEERKAT_BUS_CLI_OPS_H

#include "node/core/msg.h"

struct cli_op {
    const char *args, *what;
};

extern const struct cli_op cli_ops[MK_OP_LAST_OF_SESSION + 1];

void cli_print_ops(void);

#endif
