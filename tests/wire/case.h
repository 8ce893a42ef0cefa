#pragma once
/* Wire cases: bytes in, bytes out. A file of them is lines:
 *
 *   # a comment
 *   include FILE             its definitions, from the same directory
 *   define NAME              the data lines below are {NAME} from here on
 *   case WORDS               begins a case
 *   loosely continue         100 (Continue) may come or not
 *   loosely chunks           the chunks that come may be cut anywhere
 *   loosely reset            a reset may follow the answers: the client sends what it should not
 *   in                       the data lines below are sent to the server
 *   out                      they come back, before the next `in` is sent
 *   half-close               the client shuts its sending side
 *   open|closed              ends the case: the connection serves on, or the server closes it
 *
 * A data line is indented by two spaces and its own line end is no part of it. In it stand \r, \n,
 * \t, \\, \{ and \xNN for one byte, {NAME} for a definition and {N*TEXT} for N times the text. In
 * what comes back a Date is compared as "Date: *". */

#include "bytes.h"

enum step_kind { STEP_IN, STEP_OUT, STEP_HALF_CLOSE };

enum { STEPS_MAX = 16 };

struct step {
    enum step_kind kind;
    struct bytes bytes;
};

struct wire_case {
    char name[160];
    int line;
    struct step step[STEPS_MAX];
    unsigned n_steps;
    bool loose_continue, loose_chunks, loose_reset;
    bool open;        /* the connection serves on */
    struct bytes out; /* of all steps */
};

struct case_file {
    struct wire_case *list;
    size_t n;
    struct definition *definitions;
    size_t n_definitions;
};

/* Prints what is wrong, with its line, and exits with 1 where the file is not as above. */
void case_file_read(struct case_file *f, const char *path);

void case_file_free(struct case_file *f);
