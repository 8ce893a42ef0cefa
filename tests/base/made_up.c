#include "made_up.h"

#include "words.h"

#include <string.h>

struct values v;
const char *elsewhere;

static int add_word(struct option_set *s, const struct option *o, const char *text)
{
    struct values *to = s->values;
    if (strlen(text) >= sizeof to->word[0]) return option_not_valid(s, o, text);
    if (o->level < s->level) to->n_words = 0;
    if (to->n_words == WORDS_MAX)
        return option_fail(s, "%s%s was given too many times", option_dashes(s), o->name);
    strcpy(to->word[to->n_words++], text);
    return 0;
}

static int set_bit(struct option_set *s, const struct option *o, const char *text)
{
    struct values *to = s->values;
    assert_true(strcmp(text, "yes") == 0 || strcmp(text, "no") == 0);
    to->bits = text[0] == 'y' ? to->bits | 1u << o->min : to->bits & ~(1u << o->min);
    return 0;
}

static int double_depth(struct option_set *s, const struct option *o, const char *text)
{
    struct values *to = s->values;
    char stored[12];
    snprintf(stored, sizeof stored, "%u", to->depth);
    assert_string_equal(stored, text);
    assert_string_equal(o->name, "depth");
    to->twice = 2 * to->depth;
    return 0;
}

static int answer(struct option_set *s, const struct option *o, const char *text)
{
    (void)s, (void)o, (void)text;
    return 7;
}

static int add_other(struct option_set *s, const char *text)
{
    struct values *to = s->values;
    if (to->n_others == WORDS_MAX) return option_fail(s, "too many: %s", text);
    to->other[to->n_others++] = text;
    return 0;
}

#define AT(field) .at = offsetof(struct values, field), .size = sizeof v.field
#define DAY       (24 * 3600 * NS_PER_S)

static const struct option table[] = {
    {"depth", "N", "how deep it is", "512", 0, OPTION_NUMBER, AT(depth), 1, 32768,
     .then = double_depth},
    {"cq-depth", "N",
     "how deep the other one is, and more about it than fits on a line of the help", "0", 0,
     OPTION_NUMBER, AT(cq_depth), 0, 65536},
    {"seed", "N", "of numbers", NULL, 0, OPTION_NUMBER, AT(seed), 0, UINT64_MAX,
     .what = "any number", .shown = "of the clock"},
    {"buffer-size", "SIZE", "bytes of it", "4k", 0, OPTION_SIZE, AT(buffer_size), 64, 1 << 20},
    {"idle-timeout", "TIME", "when it ends", "60s", 1, OPTION_DURATION, AT(idle_timeout), NS_PER_MS,
     DAY},
    {"pin", NULL, "stays where it is", "yes", 1, OPTION_FLAG, AT(pin)},
    {"direct", NULL, "goes straight", "yes", 1, OPTION_CUSTOM, .then = set_bit, .min = 3},
    {"root", "DIR", "where things are", NULL, 1, OPTION_TEXT, AT(root), .what = "a directory"},
    {"word", "WORD", "can be given several times", "none", 1, OPTION_CUSTOM, .then = add_word,
     .repeats = true},
    {"max-connections", "HOW-MANY-OF-THEM", "so many", NULL, 1, OPTION_TEXT, .to = &elsewhere},
    {"config", "FILE", "reads a file", NULL, 2, OPTION_TEXT, AT(config), .what = "a file name",
     .command = true},
    {"check", NULL, "looks", "no", 2, OPTION_FLAG, AT(check), .command = true},
    {"answer", NULL, "answers at once", NULL, 2, OPTION_CUSTOM, .then = answer, .command = true},
    {"help", NULL, "print this", "no", 2, OPTION_FLAG, AT(help), .command = true},
};

static const char *const groups[] = {"Depths", "All sorts", NULL, "Nothing"};

static const struct option_alias aliases[] = {
    {"-c", "--max-connections"},
    {"--clients", "--max-connections"},
    {"--latency", "it is always reported"},
};

static const struct option_program program = {
    .table = table,
    .count = ARRAY_LEN(table),
    .groups = groups,
    .n_groups = ARRAY_LEN(groups),
    .usage = "[OPTION]... [OTHER]...",
    .notes = "That is all.\n",
    .aliases = aliases,
    .n_aliases = ARRAY_LEN(aliases),
    .argument = add_other,
};

struct option_set set;

void reset_options(void)
{
    option_set_end(&set);
    made_up_begin(NULL);
}

int made_up_begin(void **state)
{
    (void)state;
    v = (struct values){0};
    elsewhere = NULL;
    return option_set_init(&set, &program, &v);
}

int made_up_end(void **state)
{
    (void)state;
    option_set_end(&set);
    return 0;
}

int command(const char *word, ...)
{
    char *argv[ARGS_MAX] = {NULL};
    va_list more;
    va_start(more, word);
    int argc = collect_words(argv, "made-up", word, more);
    va_end(more);
    int err = option_read_command(&set, argc, argv, true);
    if (err || v.help) return err;
    if (v.config) err = option_read_config(&set, v.config);
    return err ? err : option_read_command(&set, argc, argv, false);
}
