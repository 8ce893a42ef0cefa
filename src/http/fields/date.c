#include "http/fields/date.h"

enum { DAY = 24 * 60 * 60 };

/* The last representable second: 9999-12-31 23:59:59. */
#define LAST_SECOND INT64_C(253402300799)

static const char days[7][10] = {
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
};
static const char months[12][4] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
};

struct date {
    int year, month, day; /* month from 0, day from 1 */
    int hour, minute, second;
};

/* Days since 1970-01-01 in the proleptic Gregorian calendar. Internally years begin in March, so
 * that the leap day is the last day of a year and the start of a month does not depend on the
 * year. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month < 2 ? (int64_t)year - 1 : year;
    int m = (month + 10) % 12; /* from March */
    int64_t leap = (y >= 0 ? y / 4 - y / 100 + y / 400 : -1);
    return y * 365 + leap + (m * 153 + 2) / 5 + day - 1 - 719468;
}

/* The inverse, for n >= 0. */
static void date_of(int64_t n, struct date *d)
{
    n += 719468; /* since 0000-03-01 */
    int64_t era = n / 146097, e = n % 146097;
    int64_t y = (e - e / 1460 + e / 36524 - e / 146096) / 365;
    int64_t in_year = e - (y * 365 + y / 4 - y / 100);
    int m = (int)((in_year * 5 + 2) / 153);
    d->day = (int)in_year - (m * 153 + 2) / 5 + 1;
    d->month = (m + 2) % 12;
    d->year = (int)(era * 400 + y) + (d->month < 2);
}

static char *put2(char *p, int v)
{
    p[0] = (char)('0' + v / 10 % 10);
    p[1] = (char)('0' + v % 10);
    return p + 2;
}

void http_date_format(time_t t, char out[HTTP_DATE_LEN])
{
    int64_t s = t < 0 ? 0 : t > LAST_SECOND ? LAST_SECOND : t;
    struct date d;
    date_of(s / DAY, &d);
    int in_day = (int)(s % DAY);

    memcpy(out, days[(s / DAY + 4) % 7], 3); /* 1970-01-01 was a Thursday */
    memcpy(out + 3, ", ", 2);
    put2(out + 5, d.day);
    out[7] = ' ';
    memcpy(out + 8, months[d.month], 3);
    out[11] = ' ';
    put2(put2(out + 12, d.year / 100), d.year % 100);
    out[16] = ' ';
    put2(out + 17, in_day / 3600);
    out[19] = ':';
    put2(out + 20, in_day / 60 % 60);
    out[22] = ':';
    put2(out + 23, in_day % 60);
    memcpy(out + 25, " GMT", 4);
}

/* The take_ functions advance `s` past what they recognise; on false `s` may be anywhere. */
static bool take(slice *s, slice what)
{
    if (!slice_starts(*s, what)) return false;
    *s = slice_skip(*s, what.len);
    return true;
}

static bool take_number(slice *s, size_t digits, int *out)
{
    if (s->len < digits) return false;
    int v = 0;
    for (size_t i = 0; i < digits; i++) {
        unsigned digit = (unsigned)(unsigned char)s->ptr[i] - '0';
        if (digit > 9) return false;
        v = v * 10 + (int)digit;
    }
    *s = slice_skip(*s, digits);
    *out = v;
    return true;
}

static bool take_month(slice *s, int *out)
{
    for (int m = 0; m < 12; m++) {
        if (take(s, slice_of(months[m], 3))) {
            *out = m;
            return true;
        }
    }
    return false;
}

static bool take_time(slice *s, struct date *d)
{
    return take_number(s, 2, &d->hour) && take(s, SLICE(":")) && take_number(s, 2, &d->minute) &&
           take(s, SLICE(":")) && take_number(s, 2, &d->second);
}

/* After "Sun, ": 06 Nov 1994 08:49:37 GMT */
static bool imf_fixdate(slice s, struct date *d)
{
    return take_number(&s, 2, &d->day) && take(&s, SLICE(" ")) && take_month(&s, &d->month) &&
           take(&s, SLICE(" ")) && take_number(&s, 4, &d->year) && take(&s, SLICE(" ")) &&
           take_time(&s, d) && slice_eq(s, SLICE(" GMT"));
}

/* After "Sunday, ": 06-Nov-94 08:49:37 GMT */
static bool rfc850(slice s, struct date *d)
{
    return take_number(&s, 2, &d->day) && take(&s, SLICE("-")) && take_month(&s, &d->month) &&
           take(&s, SLICE("-")) && take_number(&s, 2, &d->year) && take(&s, SLICE(" ")) &&
           take_time(&s, d) && slice_eq(s, SLICE(" GMT"));
}

/* After "Sun ": Nov  6 08:49:37 1994 */
static bool asctime_date(slice s, struct date *d)
{
    if (!take_month(&s, &d->month) || !take(&s, SLICE(" "))) return false;
    if (take(&s, SLICE(" ")) ? !take_number(&s, 1, &d->day) : !take_number(&s, 2, &d->day))
        return false;
    return take(&s, SLICE(" ")) && take_time(&s, d) && take(&s, SLICE(" ")) &&
           take_number(&s, 4, &d->year) && s.len == 0;
}

/* Second 60 is a leap second, which time_t counts as the first of the next minute. */
static bool exists(const struct date *d)
{
    static const int length[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = d->year % 4 == 0 && (d->year % 100 != 0 || d->year % 400 == 0);
    return d->day >= 1 && d->day <= length[d->month] + (leap && d->month == 1) && d->hour < 24 &&
           d->minute < 60 && d->second <= 60;
}

static time_t seconds_of(const struct date *d)
{
    return days_of(d->year, d->month, d->day) * DAY + d->hour * 3600 + d->minute * 60 + d->second;
}

/* A date that appears more than 50 years ahead is in the past century (RFC 9110, 5.6.7). */
static void set_century(struct date *d, time_t now)
{
    struct date then;
    date_of(now / DAY, &then);
    then.year += 50;
    int64_t bound = days_of(then.year, then.month, then.day) * DAY + now % DAY;

    d->year += then.year / 100 * 100;
    if (seconds_of(d) > bound) d->year -= 100;
}

bool http_date_parse_at(slice s, time_t now, time_t *out)
{
    struct date d;
    int day = 0;
    while (day < 7 && !slice_starts(s, slice_of(days[day], 3))) day++;
    if (day == 7) return false;

    slice rest = slice_skip(s, 3);
    if (take(&rest, SLICE(", "))) {
        if (!imf_fixdate(rest, &d)) return false;
    } else if (take(&rest, SLICE(" "))) {
        if (!asctime_date(rest, &d)) return false;
    } else {
        rest = s;
        if (!take(&rest, slice_str(days[day])) || !take(&rest, SLICE(", ")) || !rfc850(rest, &d))
            return false;
        set_century(&d, now < 0 ? 0 : now);
    }
    if (!exists(&d)) return false;
    *out = seconds_of(&d);
    return true;
}

bool http_date_parse(slice s, time_t *out)
{
    return http_date_parse_at(s, time(NULL), out);
}
