#include "http/warning.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_NS (10 * NS_PER_S)

/* The place of this text; else a free one, else the last. */
static struct warned *place_of(struct warned *of, const char *text)
{
    struct warned *free_one = NULL;
    for (int i = 0; i < WARNING_TEXTS; i++) {
        if (of[i].text && strcmp(of[i].text, text) == 0) return &of[i];
        if (!of[i].text && !free_one) free_one = &of[i];
    }
    return free_one ? free_one : &of[WARNING_TEXTS - 1];
}

static void tell(const struct warned *w)
{
    if (w->others)
        log_line("%s (%" PRIu64 " times since the last such message, %" PRIu64
                 " of them for other reasons)",
                 w->text, w->untold, w->others);
    else if (w->untold > 1)
        log_line("%s (%" PRIu64 " times since the last such message)", w->text, w->untold);
    else
        log_line("%s", w->text);
}

static bool is_due(const struct warned *w, uint64_t now)
{
    return w->text && now - w->at >= PAUSE_NS;
}

static void tell_if_due(struct warned *w, uint64_t now)
{
    if (!is_due(w, now)) return;
    if (w->untold) {
        tell(w);
        *w = (struct warned){.text = w->text, .at = now};
    } else {
        free(w->text);
        *w = (struct warned){0};
    }
}

/* Without memory for the text its cause is silent for as long as the text would be. */
static void keep(struct warnings *w, enum http_warning cause, struct warned *place,
                 const char *text, uint64_t now)
{
    uint64_t *unkept = &w->unkept[cause];
    *place = (struct warned){.text = strdup(text), .at = now};
    if (!place->text && *unkept && now - *unkept < PAUSE_NS) return;
    if (!place->text) *unkept = now;
    log_line("%s", text);
}

/* Takes the place of a text that found one. */
static void replace(struct warned *place, const char *text)
{
    char *copy = strdup(text);
    if (!copy) return;
    free(place->text);
    place->text = copy;
    place->others = place->untold;
}

void warnings_add(struct warnings *w, enum http_warning cause, const char *text, uint64_t now)
{
    struct warned *place = place_of(w->of[cause], text);
    if (!place->text) {
        keep(w, cause, place, text, now);
        return;
    }
    if (strcmp(place->text, text) != 0) replace(place, text);
    place->untold++;
    tell_if_due(place, now);
}

void warnings_tell(struct warnings *w, uint64_t now)
{
    for (int cause = 0; cause < HTTP_WARNINGS; cause++)
        for (int i = 0; i < WARNING_TEXTS; i++) tell_if_due(&w->of[cause][i], now);
}

void warnings_end(struct warnings *w)
{
    for (int cause = 0; cause < HTTP_WARNINGS; cause++) {
        for (int i = 0; i < WARNING_TEXTS; i++) {
            if (w->of[cause][i].untold) tell(&w->of[cause][i]);
            free(w->of[cause][i].text);
        }
    }
    *w = (struct warnings){0};
}
