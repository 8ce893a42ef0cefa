#include "case.h"

#include <ctype.h>
#include <stdio.h>

struct definition {
    char name[64];
    struct bytes text;
};

struct reader {
    struct case_file *file;
    const char *path;
    int line;
    struct bytes *block;       /* destination of data lines; NULL: none */
    struct wire_case *current; /* NULL between cases */
};

static _Noreturn void complain(const struct reader *r, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", r->path, r->line, what);
    exit(1);
}

/* ---- data lines ---- */

static void expand(struct reader *r, slice text, struct bytes *out);

static int hex(char c)
{
    return isdigit((unsigned char)c)    ? c - '0'
           : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
                                        : -1;
}

/* Parses an escape after the backslash; returns how many bytes of the text it used. */
static size_t escape(struct reader *r, slice text, struct bytes *out)
{
    static const char from[] = "rnt\\{}", to[] = "\r\n\t\\{}";
    if (text.len == 0) complain(r, "a backslash at the end of a line");
    const char *at = memchr(from, text.ptr[0], sizeof from - 1);
    if (at) {
        bytes_add(out, slice_of(&to[at - from], 1));
        return 1;
    }
    if (text.ptr[0] != 'x' || text.len < 3 || hex(text.ptr[1]) < 0 || hex(text.ptr[2]) < 0)
        complain(r, "an unknown escape");
    char byte = (char)(hex(text.ptr[1]) << 4 | hex(text.ptr[2]));
    bytes_add(out, slice_of(&byte, 1));
    return 3;
}

static void add_definition(struct reader *r, slice name, struct bytes *out)
{
    for (size_t i = 0; i < r->file->n_definitions; i++) {
        const struct definition *d = &r->file->definitions[i];
        if (!slice_eq(slice_str(d->name), name)) continue;
        bytes_add(out, bytes_slice(&d->text));
        return;
    }
    complain(r, "an unknown definition");
}

static void braces(struct reader *r, slice inside, struct bytes *out)
{
    slice rest = inside, times;
    uint64_t n;
    if (!slice_cut(&rest, '*', &times) || !rest.ptr || !slice_u64(times, &n)) {
        add_definition(r, inside, out);
        return;
    }
    struct bytes once = {0};
    expand(r, rest, &once);
    while (n-- > 0) bytes_add(out, bytes_slice(&once));
    free(once.ptr);
}

/* The position of the brace that closes the one at the start of the text. */
static size_t matching(const struct reader *r, slice text)
{
    int depth = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\\') {
            i++;
        } else if (text.ptr[i] == '{') {
            depth++;
        } else if (text.ptr[i] == '}' && --depth == 0) {
            return i;
        }
    }
    complain(r, "a brace that is not closed");
}

static void expand(struct reader *r, slice text, struct bytes *out)
{
    while (text.len) {
        size_t n = 1;
        if (text.ptr[0] == '\\') {
            n += escape(r, slice_skip(text, 1), out);
        } else if (text.ptr[0] == '{') {
            n += matching(r, text);
            braces(r, slice_of(text.ptr + 1, n - 2), out);
        } else {
            bytes_add(out, slice_of(text.ptr, 1));
        }
        text = slice_skip(text, n);
    }
}

/* ---- directives ---- */

static bool word_is(slice *line, const char *word)
{
    slice w = slice_str(word);
    if (!slice_starts(*line, w)) return false;
    if (line->len > w.len && line->ptr[w.len] != ' ') return false;
    *line = slice_trim(slice_skip(*line, w.len));
    return true;
}

static void copy_name(const struct reader *r, char *out, size_t size, slice name)
{
    if (name.len == 0 || name.len >= size) complain(r, "a name is missing or too long");
    memcpy(out, name.ptr, name.len);
    out[name.len] = '\0';
}

static void begin_definition(struct reader *r, slice name)
{
    struct case_file *f = r->file;
    f->definitions = realloc(f->definitions, (f->n_definitions + 1) * sizeof *f->definitions);
    ASSERT(f->definitions);
    struct definition *d = &f->definitions[f->n_definitions++];
    *d = (struct definition){0};
    copy_name(r, d->name, sizeof d->name, name);
    r->block = &d->text;
}

static void begin_case(struct reader *r, slice name)
{
    struct case_file *f = r->file;
    if (r->current) complain(r, "the case before is not ended by open or closed");
    f->list = realloc(f->list, (f->n + 1) * sizeof *f->list);
    ASSERT(f->list);
    r->current = &f->list[f->n++];
    *r->current = (struct wire_case){.line = r->line};
    copy_name(r, r->current->name, sizeof r->current->name, name);
    r->block = NULL;
}

static void begin_step(struct reader *r, enum step_kind kind)
{
    struct wire_case *c = r->current;
    if (!c) complain(r, "outside of a case");
    if (c->n_steps == STEPS_MAX) complain(r, "too many steps");
    c->step[c->n_steps] = (struct step){.kind = kind};
    r->block = &c->step[c->n_steps++].bytes;
}

static void end_case(struct reader *r, bool open)
{
    struct wire_case *c = r->current;
    if (!c) complain(r, "outside of a case");
    c->open = open;
    for (unsigned i = 0; i < c->n_steps; i++)
        if (c->step[i].kind == STEP_OUT) bytes_add(&c->out, bytes_slice(&c->step[i].bytes));
    r->current = NULL;
    r->block = NULL;
}

static void loosely(struct reader *r, slice what)
{
    if (!r->current) complain(r, "outside of a case");
    if (slice_eq(what, SLICE("continue")))
        r->current->loose_continue = true;
    else if (slice_eq(what, SLICE("chunks")))
        r->current->loose_chunks = true;
    else if (slice_eq(what, SLICE("reset")))
        r->current->loose_reset = true;
    else
        complain(r, "loosely takes continue, chunks or reset");
}

static void read_lines(struct case_file *f, const char *path);

static void include(struct reader *r, slice name)
{
    char path[512];
    const char *slash = strrchr(r->path, '/');
    int n = snprintf(path, sizeof path, "%.*s%.*s", slash ? (int)(slash + 1 - r->path) : 0, r->path,
                     (int)name.len, name.ptr);
    if (n < 0 || (size_t)n >= sizeof path) complain(r, "a path too long");
    read_lines(r->file, path);
}

static void directive(struct reader *r, slice line)
{
    if (word_is(&line, "include"))
        include(r, line);
    else if (word_is(&line, "define"))
        begin_definition(r, line);
    else if (word_is(&line, "case"))
        begin_case(r, line);
    else if (word_is(&line, "loosely"))
        loosely(r, line);
    else if (word_is(&line, "in"))
        begin_step(r, STEP_IN);
    else if (word_is(&line, "out"))
        begin_step(r, STEP_OUT);
    else if (word_is(&line, "half-close"))
        begin_step(r, STEP_HALF_CLOSE);
    else if (word_is(&line, "open"))
        end_case(r, true);
    else if (word_is(&line, "closed"))
        end_case(r, false);
    else
        complain(r, "an unknown word");
}

static void read_lines(struct case_file *f, const char *path)
{
    struct reader r = {.file = f, .path = path};
    char line[4096];
    FILE *in = fopen(path, "re");
    if (!in) {
        perror(path);
        exit(1);
    }
    while (fgets(line, sizeof line, in)) {
        slice text = slice_str(line);
        r.line++;
        if (text.ptr[text.len - 1] != '\n') complain(&r, "a line without end, or too long");
        text.len--;
        if (text.len == 0 || text.ptr[0] == '#') continue;
        if (!slice_starts(text, SLICE("  "))) {
            directive(&r, text);
        } else {
            if (!r.block) complain(&r, "data that belongs to nothing");
            expand(&r, slice_skip(text, 2), r.block);
        }
    }
    fclose(in);
    if (r.current) complain(&r, "the last case is not ended by open or closed");
}

void case_file_read(struct case_file *f, const char *path)
{
    *f = (struct case_file){0};
    read_lines(f, path);
}

void case_file_free(struct case_file *f)
{
    for (size_t i = 0; i < f->n; i++) {
        for (unsigned s = 0; s < f->list[i].n_steps; s++) free(f->list[i].step[s].bytes.ptr);
        free(f->list[i].out.ptr);
    }
    for (size_t i = 0; i < f->n_definitions; i++) free(f->definitions[i].text.ptr);
    free(f->list);
    free(f->definitions);
}
