/* UTF-8 as it must be: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
#ifndef MEERKAT_CODEC_UTF8_H
#define MEERKAT_CODEC_UTF8_H

#include "node/core/span.h"

/* Length of the well-formed character at the start of s, which is not empty; 0 when there is none. */
size_t utf8_length(struct span s);

#endif
