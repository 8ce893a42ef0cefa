/* JSON that is computed and serialised for each request. */

#include "json_routes.h"
#include "params.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

enum { ITEMS = 50, FACTOR_MAX = 1000000 };

static const struct item {
    const char *name, *category;
    int price, quantity;
    bool active;
    const char *tags[2];
    int score, ratings;
} items[ITEMS] = {
    /* clang-format off */
    {"Alpha Lamp", "home", 409, 42, true, {"large", "sale"}, 44, 49},
    {"Alpha Chair", "home", 64, 59, true, {"large", "small"}, 12, 45},
    {"Alpha Kettle", "kitchen", 76, 16, true, {"quiet", "strong"}, 37, 31},
    {"Alpha Radio", "electronics", 650, 41, true, {"sale", "fast"}, 13, 296},
    {"Alpha Tent", "outdoor", 231, 3, true, {"quiet", "new"}, 18, 149},
    {"Amber Lamp", "home", 558, 8, true, {"quiet", "sale"}, 45, 418},
    {"Amber Chair", "home", 600, 37, true, {"light", "new"}, 33, 50},
    {"Amber Kettle", "kitchen", 66, 40, true, {"sale", "small"}, 44, 219},
    {"Amber Radio", "electronics", 604, 60, true, {"large", "strong"}, 29, 128},
    {"Amber Tent", "outdoor", 803, 16, true, {"light", "large"}, 29, 269},
    {"Blue Lamp", "home", 751, 29, true, {"fast", "light"}, 14, 61},
    {"Blue Chair", "home", 780, 22, true, {"quiet", "sale"}, 41, 216},
    {"Blue Kettle", "kitchen", 84, 49, true, {"new", "large"}, 30, 175},
    {"Blue Radio", "electronics", 513, 38, false, {"large", "small"}, 14, 431},
    {"Blue Tent", "outdoor", 490, 45, true, {"sale", "light"}, 13, 375},
    {"Bold Lamp", "home", 596, 44, false, {"small", "large"}, 28, 367},
    {"Bold Chair", "home", 360, 2, false, {"quiet", "large"}, 32, 87},
    {"Bold Kettle", "kitchen", 65, 14, false, {"sale", "strong"}, 18, 379},
    {"Bold Radio", "electronics", 405, 59, false, {"strong", "fast"}, 15, 86},
    {"Bold Tent", "outdoor", 567, 18, false, {"fast", "strong"}, 37, 443},
    {"Bright Lamp", "home", 430, 23, true, {"small", "large"}, 34, 491},
    {"Bright Chair", "home", 89, 12, true, {"strong", "sale"}, 24, 7},
    {"Bright Kettle", "kitchen", 608, 12, true, {"fast", "quiet"}, 10, 75},
    {"Bright Radio", "electronics", 383, 40, true, {"quiet", "small"}, 18, 354},
    {"Bright Tent", "outdoor", 896, 50, false, {"new", "strong"}, 45, 201},
    {"Calm Lamp", "home", 408, 7, true, {"quiet", "strong"}, 35, 32},
    {"Calm Chair", "home", 218, 29, true, {"strong", "new"}, 31, 308},
    {"Calm Kettle", "kitchen", 5, 37, true, {"new", "fast"}, 16, 486},
    {"Calm Radio", "electronics", 31, 5, false, {"large", "small"}, 49, 193},
    {"Calm Tent", "outdoor", 263, 23, true, {"light", "large"}, 40, 63},
    {"Clear Lamp", "home", 504, 30, true, {"sale", "quiet"}, 29, 44},
    {"Clear Chair", "home", 772, 22, false, {"light", "new"}, 40, 425},
    {"Clear Kettle", "kitchen", 28, 14, false, {"light", "small"}, 43, 186},
    {"Clear Radio", "electronics", 561, 59, true, {"light", "large"}, 43, 153},
    {"Clear Tent", "outdoor", 870, 17, true, {"sale", "large"}, 20, 183},
    {"Coral Lamp", "home", 559, 50, true, {"strong", "small"}, 50, 115},
    {"Coral Chair", "home", 250, 53, true, {"strong", "quiet"}, 24, 103},
    {"Coral Kettle", "kitchen", 753, 2, false, {"fast", "light"}, 27, 242},
    {"Coral Radio", "electronics", 714, 39, false, {"small", "sale"}, 38, 414},
    {"Coral Tent", "outdoor", 87, 15, true, {"large", "light"}, 40, 101},
    {"Deep Lamp", "home", 499, 40, false, {"large", "sale"}, 49, 431},
    {"Deep Chair", "home", 673, 23, false, {"new", "strong"}, 15, 428},
    {"Deep Kettle", "kitchen", 806, 46, false, {"sale", "strong"}, 40, 456},
    {"Deep Radio", "electronics", 813, 41, true, {"light", "strong"}, 35, 238},
    {"Deep Tent", "outdoor", 91, 47, true, {"quiet", "large"}, 18, 15},
    {"Early Lamp", "home", 481, 52, true, {"light", "small"}, 49, 424},
    {"Early Chair", "home", 363, 10, true, {"fast", "large"}, 18, 11},
    {"Early Kettle", "kitchen", 748, 42, true, {"new", "quiet"}, 18, 223},
    {"Early Radio", "electronics", 899, 14, true, {"strong", "quiet"}, 23, 150},
    {"Early Tent", "outdoor", 605, 21, true, {"strong", "quiet"}, 36, 428},
    /* clang-format on */
};

static void put_text(struct text *t, torc_slice key, const char *value)
{
    text_put(t, key);
    text_put_json(t, (torc_slice){value, strlen(value)});
}

static void put_number(struct text *t, torc_slice key, int64_t value)
{
    text_put(t, key);
    text_put_number(t, value);
}

static void put_item(struct text *t, int64_t index, int64_t factor)
{
    const struct item *i = &items[index];
    put_number(t, index ? TORC_S(",{\"id\":") : TORC_S("{\"id\":"), index + 1);
    put_text(t, TORC_S(",\"name\":"), i->name);
    put_text(t, TORC_S(",\"category\":"), i->category);
    put_number(t, TORC_S(",\"price\":"), i->price);
    put_number(t, TORC_S(",\"quantity\":"), i->quantity);
    text_put(t, i->active ? TORC_S(",\"active\":true") : TORC_S(",\"active\":false"));
    put_text(t, TORC_S(",\"tags\":["), i->tags[0]);
    put_text(t, TORC_S(","), i->tags[1]);
    put_number(t, TORC_S("],\"rating\":{\"score\":"), i->score);
    put_number(t, TORC_S(",\"count\":"), i->ratings);
    put_number(t, TORC_S("},\"total\":"), (int64_t)i->price * i->quantity * factor);
    text_put(t, TORC_S("}"));
}

static void json_items(torc_req *rq, void *arg)
{
    struct text t = {.rq = rq};
    int64_t count, factor;
    (void)arg;
    if (!param_number(rq, TORC_S("the count"), torc_param(rq, "count"), 1, ITEMS, &count) ||
        !param_number(rq, TORC_S("m"), torc_query_param(rq, "m"), 1, FACTOR_MAX, &factor))
        return;
    text_put(&t, TORC_S("{\"items\":["));
    for (int64_t i = 0; i < count; i++) put_item(&t, i, factor);
    put_number(&t, TORC_S("],\"count\":"), count);
    text_put(&t, TORC_S("}"));
    text_reply(&t, "application/json");
}

const struct lab_route json_routes[] = {
    {"GET", "/json/:count", json_items},
    {0},
};
