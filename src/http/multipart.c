/* Bodies of the type multipart/form-data (RFC 7578), read part by part. */

#include "http/fields/delimiter.h"
#include "http/fields/field.h"
#include "http/fields/parameter.h"
#include "http/file.h"
#include "http/form.h"

#include <errno.h>

enum {
    WINDOW = 16 * 1024,  /* bytes of the body that are looked at together */
    HEAD_MAX = 8 * 1024, /* of a part's head; with a delimiter it fits the window */
    PARTS_MAX = 1000,
    BOUNDARY_MAX = 70, /* RFC 2046, 5.1.1 */
    PIECE = 32 * 1024, /* of what is written to a file */
};

struct multipart {
    struct request_resource held;
    struct torc_req *rq;
    slice delimiter; /* "\r\n--" and the boundary */
    char *window;
    size_t at, end;   /* the bytes of the window that are not used */
    size_t content;   /* of these, those known to come before the next delimiter */
    bool found;       /* it is in the window, right after them */
    bool headed;      /* the line end that ends a head comes first */
    bool delimited;   /* the line end that ends a delimiter does, perhaps after padding */
    bool all;         /* the body has ended */
    bool over;        /* the last delimiter has come */
    int err;          /* of all that follows; 0 */
    unsigned n_parts; /* so far */
    char *piece;      /* memory of torc_part_file */
    struct torc_part *part;
};

struct torc_part {
    struct multipart *of;
    slice name, filename, type;
    slice head;      /* field lines, each with its line end */
    char *all;       /* memory of torc_part_all, */
    size_t len, cap; /* and what it has: a wait that ends early loses nothing */
    int err;         /* of all that reads on: a part of the content is lost; or 0 */
};

static void release(struct request_resource *r)
{
    list_unlink(&r->link); /* its memory is the request's */
}

static int fail(struct multipart *m, int err, int status)
{
    return m->err = request_fail_body(m->rq, err, (unsigned)status);
}

static int fail_malformed(struct multipart *m)
{
    m->rq->close_after_response = true; /* as where the framing is broken: few read the rest */
    return fail(m, -EBADMSG, 400);
}

/* Nothing of the body was read: a handler may do so otherwise, or need none of it. */
static int refuse_type(struct multipart *m, int status)
{
    m->rq->failed = (unsigned)status;
    return m->err = -EINVAL;
}

/* ---- beginning ---- */

static bool boundary_valid(slice b)
{
    static const char others[] = "'()+_,-./:=? ";
    if (b.len == 0 || b.len > BOUNDARY_MAX || b.ptr[b.len - 1] == ' ') return false;
    for (size_t i = 0; i < b.len; i++) {
        char c = b.ptr[i], letter = (char)(c | 0x20);
        bool plain = (c >= '0' && c <= '9') || (letter >= 'a' && letter <= 'z');
        if (!plain && (c == '\0' || !strchr(others, c))) return false;
    }
    return true;
}

/* The type's parameters are copied, as quoted ones are unquoted in place. */
static int take_boundary(struct multipart *m)
{
    slice given, name, value;
    struct torc_req *rq = m->rq;
    if (!request_has_type(rq, SLICE("multipart/form-data"), &given)) return refuse_type(m, 415);
    char *copy = arena_alloc_aligned(&rq->arena, given.len + 4 + BOUNDARY_MAX, 1);
    if (!copy) return fail(m, -ENOMEM, 503);
    char *text = copy + 4 + BOUNDARY_MAX;
    if (given.len) memcpy(text, given.ptr, given.len);
    for (slice rest = slice_of(text, given.len); parameter_next(&rest, &name, &value) > 0;) {
        if (!slice_ieq(name, SLICE("boundary"))) continue;
        if (!boundary_valid(value)) break;
        memcpy(copy, "\r\n--", 4);
        memcpy(copy + 4, value.ptr, value.len);
        m->delimiter = slice_of(copy, 4 + value.len);
        return 0;
    }
    return refuse_type(m, 400);
}

static int begin(struct multipart *m)
{
    int err = take_boundary(m);
    if (err < 0) return err;
    m->window = arena_alloc_aligned(&m->rq->arena, WINDOW, 1);
    if (!m->window) return fail(m, -ENOMEM, 503);
    /* The first delimiter may be without a line before it. */
    memcpy(m->window, "\r\n", 2);
    m->end = 2;
    return 0;
}

/* NULL without memory. */
static struct multipart *multipart_of(struct torc_req *rq)
{
    struct multipart *m = request_find_held(rq, release);
    if (m) return m;
    m = arena_alloc(&rq->arena, sizeof *m);
    if (!m) return NULL;
    *m = (struct multipart){.rq = rq};
    request_hold(rq, &m->held, release);
    begin(m); /* its error is kept */
    return m;
}

/* ---- the window ---- */

static slice unused(const struct multipart *m)
{
    return slice_of(m->window + m->at, m->end - m->at);
}

/* Reads more of the body into the window, which has room once what is used has been moved out. */
static int fill(struct multipart *m)
{
    if (m->all) return fail_malformed(m); /* it ends too early */
    memmove(m->window, m->window + m->at, m->end - m->at);
    m->end -= m->at;
    m->at = 0;
    ASSERT(m->end < WINDOW);
    ssize_t n = request_read_body(m->rq, m->window + m->end, WINDOW - m->end);
    if (n < 0 && request_reads_on(m->rq, n)) return (int)n;
    if (n < 0) return m->err = (int)n; /* it has set the response */
    m->all = n == 0;
    m->end += (size_t)n;
    return 0;
}

/* The line end after a head is no content. It is the delimiter's where that follows at once: then
 * the part has no body (RFC 2046, 5.1.1). */
static void find_content(struct multipart *m)
{
    size_t n = delimiter_find(m->delimiter, unused(m), &m->found);
    size_t line = m->headed && n ? 2 : 0;
    if (n || m->found) m->headed = false;
    m->at += line;
    m->content = n - line;
}

/* Finds content: after 0 there is some, or the delimiter follows. */
static int look(struct multipart *m)
{
    while (!m->content && !m->found) {
        find_content(m);
        if (m->content || m->found) break;
        int err = fill(m);
        if (err < 0) return err;
    }
    return 0;
}

static void use(struct multipart *m, size_t n)
{
    m->at += n;
    m->content -= n;
}

/* Until `n` bytes are there. */
static int need(struct multipart *m, size_t n)
{
    int err = 0;
    while (err == 0 && m->end - m->at < n) err = fill(m);
    return err;
}

/* ---- parts ---- */

static int skip_content(struct multipart *m)
{
    int err;
    while ((err = look(m)) == 0 && m->content) use(m, m->content);
    return err;
}

/* Skips to a delimiter and takes it: 1, or 0 if it is the last one. */
static int take_delimiter(struct multipart *m)
{
    int err = skip_content(m);
    if (err == 0) err = need(m, m->delimiter.len + 2);
    if (err < 0) return err;
    m->at += m->delimiter.len;
    m->found = false;
    if (memcmp(m->window + m->at, "--", 2) == 0) return 0;
    m->delimited = true;
    return 1;
}

/* Takes the padding of a delimiter, up to its line end. */
static int take_padding(struct multipart *m)
{
    int err = need(m, 2);
    while (err == 0 && (m->window[m->at] == ' ' || m->window[m->at] == '\t')) {
        m->at++;
        err = need(m, 2);
    }
    if (err < 0) return err;
    return memcmp(m->window + m->at, "\r\n", 2) == 0 ? 0 : fail_malformed(m);
}

/* Finds the end of a head, which begins with the line end of its delimiter; *size is up to its
 * empty line. */
static int find_head(struct multipart *m, size_t *size)
{
    for (;;) {
        slice in = unused(m);
        const char *end = memmem(in.ptr, in.len, "\r\n\r\n", 4);
        if (end) {
            *size = (size_t)(end - in.ptr) + 2;
            return *size > HEAD_MAX ? fail(m, -EMSGSIZE, 413) : 0;
        }
        if (in.len > HEAD_MAX) return fail(m, -EMSGSIZE, 413);
        int err = fill(m);
        if (err < 0) return err;
    }
}

static bool take_disposition(struct torc_part *part, slice value)
{
    slice kind, n, v;
    int more = 0;
    if (part->name.ptr || !slice_cut(&value, ';', &kind)) return false;
    if (!slice_ieq(slice_trim(kind), SLICE("form-data"))) return false;
    while ((more = parameter_next(&value, &n, &v)) > 0) {
        if (slice_ieq(n, SLICE("name")) && !part->name.ptr) part->name = v;
        if (slice_ieq(n, SLICE("filename")) && !part->filename.ptr) part->filename = v;
    }
    return more == 0 && part->name.ptr;
}

/* Without a change to what torc_part_header gives, which is parsed from a copy. */
static bool parse_head(struct torc_part *part, char *copy)
{
    slice rest = part->head;
    while (rest.len) {
        const char *end = memmem(rest.ptr, rest.len, "\r\n", 2);
        slice line = slice_of(rest.ptr, (size_t)(end - rest.ptr)), value = line, name;
        slice_cut(&value, ':', &name);
        if (!value.ptr || !field_name_valid(name) || !field_value_valid(value)) return false;
        value = slice_trim(value);
        if (slice_ieq(name, SLICE("content-type"))) part->type = value;
        if (slice_ieq(name, SLICE("content-disposition"))) {
            memcpy(copy, value.ptr, value.len);
            if (!take_disposition(part, slice_of(copy, value.len))) return false;
            copy += value.len;
        }
        rest = slice_skip(rest, line.len + 2);
    }
    return part->name.ptr;
}

static int take_head(struct multipart *m, struct torc_part **part)
{
    size_t size;
    int err = take_padding(m);
    if (err == 0) err = find_head(m, &size);
    if (err < 0) return err;
    slice head = slice_of(m->window + m->at + 2, size - 2);
    if (m->n_parts++ == PARTS_MAX) return fail(m, -EMSGSIZE, 413);
    struct torc_part *p = arena_alloc(&m->rq->arena, sizeof *p);
    char *text = p ? arena_alloc_aligned(&m->rq->arena, 2 * head.len + 1, 1) : NULL;
    if (!text) return fail(m, -ENOMEM, 503);
    memcpy(text, head.ptr, head.len);
    *p = (struct torc_part){.of = m, .head = slice_of(text, head.len)};
    if (!parse_head(p, text + head.len)) return fail_malformed(m);
    m->at += size;
    m->delimited = false;
    m->headed = true;
    *part = m->part = p;
    return 1;
}

static int next_part(struct torc_req *rq, struct torc_part **part)
{
    struct multipart *m = multipart_of(rq);
    if (!m) return request_fail_body(rq, -ENOMEM, 503);
    if (m->err < 0 || m->over) return m->err;
    m->part = NULL;
    int err = m->delimited ? 1 : take_delimiter(m);
    if (err > 0) return take_head(m, part);
    m->over = err == 0; /* what follows is an epilogue */
    return err;
}

/* One whose wait has ended early is repeated: it goes on where that one was. */
int torc_multipart_next(torc_req *rq, torc_part **part)
{
    *part = NULL;
    int err = request_take_body(rq);
    if (err < 0) return err;
    err = next_part(rq, part);
    request_leave_body(rq);
    return err;
}

/* ---- their content ---- */

torc_slice torc_part_name(const torc_part *part)
{
    return part->name;
}

torc_slice torc_part_filename(const torc_part *part)
{
    return part->filename;
}

torc_slice torc_part_type(const torc_part *part)
{
    return part->type;
}

torc_slice torc_part_header(const torc_part *part, const char *name)
{
    slice want = slice_str(name), rest = part->head, line, n;
    while (rest.len && slice_cut(&rest, '\n', &line)) {
        line.len--; /* CR */
        slice_cut(&line, ':', &n);
        if (slice_ieq(n, want)) return slice_trim(line);
    }
    return (slice){NULL, 0};
}

/* Of a part whose content can be read, for a call that has taken the body. */
static ssize_t read_content(struct torc_part *part, void *buf, size_t size)
{
    struct multipart *m = part->of;
    int err = size ? look(m) : 0;
    if (err < 0) return err;
    size_t n = size < m->content ? size : m->content;
    if (n) memcpy(buf, m->window + m->at, n);
    use(m, n);
    return (ssize_t)n;
}

/* Takes the body, if the content can be read. */
static int take_content(struct torc_req *rq, const struct torc_part *part)
{
    const struct multipart *m = part->of;
    int err = request_take_body(rq);
    if (err < 0) return err;
    err = m->err < 0 ? m->err : m->part != part ? -EINVAL : part->err;
    if (err < 0) request_leave_body(rq);
    return err;
}

ssize_t torc_part_read(torc_req *rq, torc_part *part, void *buf, size_t size)
{
    ssize_t n = take_content(rq, part);
    if (n < 0) return n;
    n = read_content(part, buf, size);
    request_leave_body(rq);
    return n;
}

static ssize_t read_more(struct torc_req *rq, struct torc_part *p)
{
    enum { FIRST = 1024 };
    if (p->len == p->cap) {
        size_t more = p->cap ? p->cap : FIRST;
        int err = request_grow_body(rq, &p->all, p->cap, more);
        if (err < 0) return p->err = err;
        p->cap += more;
    }
    ssize_t n = read_content(p, p->all + p->len, p->cap - p->len);
    if (n > 0) p->len += (size_t)n;
    return n;
}

int torc_part_all(torc_req *rq, torc_part *part, torc_slice *content)
{
    *content = (slice){NULL, 0};
    ssize_t n = take_content(rq, part);
    if (n < 0) return (int)n;
    while ((n = read_more(rq, part)) > 0) continue;
    request_leave_body(rq);
    if (n < 0) return (int)n;
    *content = slice_of(part->all, part->len);
    part->all = NULL;
    part->len = part->cap = 0;
    return 0;
}

/* Fills `buf`, unless the content ends. */
static ssize_t read_piece(struct torc_part *part, char *buf)
{
    size_t n = 0;
    while (n < PIECE) {
        ssize_t got = read_content(part, buf + n, PIECE - n);
        if (got < 0) return got;
        if (got == 0) break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

static int copy(struct torc_part *part, char *buf, struct torc_file *file, int64_t *size)
{
    struct torc_req *rq = part->of->rq;
    const struct scope *scope = request_scope(rq);
    for (;;) {
        ssize_t n = read_piece(part, buf), done = n;
        if (n > 0) done = torc_file_write(rq, file, buf, (size_t)n, *size);
        if (n > 0 && done < 0 && !scope->cancelled) file_fail_body(rq, (int)done);
        if (done <= 0) return (int)done;
        *size += done;
    }
}

int torc_part_file(torc_req *rq, torc_part *part, torc_file *file, int64_t *size)
{
    struct multipart *m = part->of;
    *size = 0;
    int err = take_content(rq, part);
    if (err < 0) return err;
    if (!file->writable) {
        err = -EBADF;
    } else {
        if (!m->piece) m->piece = arena_alloc_aligned(&rq->arena, PIECE, 1);
        err = m->piece ? copy(part, m->piece, file, size) : request_fail_body(rq, -ENOMEM, 503);
        part->err = err;
    }
    request_leave_body(rq);
    return err;
}
