#pragma once
/* Text as a JSON string (RFC 8259, 7), for bodies that a handler formats. */

#include "base/slice.h"

/* The bytes that json_text_put writes. */
size_t json_text_size(slice text);

/* Writes the string with its quotes and returns its end. What is not well-formed UTF-8 becomes
 * U+FFFD, once for each part of a character (Unicode, 3.9). */
char *json_text_put(char *to, slice text);
