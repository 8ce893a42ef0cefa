#pragma once
/* Wire cases: bytes in, bytes out. A file of them consists of lines:
 *
 *   # a comment
 *   include FILE             reads definitions from a file in the same directory
 *   define NAME              the following data lines are {NAME} from here on
 *   case WORDS               begins a case
 *   loosely continue         100 (Continue) may come or not
 *   loosely chunks           the chunks of a response may be split anywhere
 *   loosely reset            a reset may follow the responses: the client sends more than it should
 *   in                       the following data lines are sent to the server
 *   out                      the response, which must arrive before the next `in` is sent
 *   half-close               the client shuts down its sending side
 *   open|closed              ends the case: the connection stays open, or the server closes it
 *
 * A data line is indented by two spaces and does not include its line end. Escapes: \r, \n, \t, \\,
 * \{ and \xNN for one byte, {NAME} for a definition, {N*TEXT} for TEXT repeated N times. In
 * responses a Date is compared as "Date: *". */

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
    bool open;        /* the connection stays open */
    struct bytes out; /* output of all steps */
};

struct case_file {
    struct wire_case *list;
    size_t n;
    struct definition *definitions;
    size_t n_definitions;
};

/* Reads the cases of a file. If it is malformed, prints the error with its line and exits with
 * 1. */
void case_file_read(struct case_file *f, const char *path);

void case_file_free(struct case_file *f);
