#include "base/radix.h"

#include <langinfo.h>
#include <string.h>

/* Without memory the numbers are as the locale has them. */
static locale_t with_point(void)
{
    locale_t copy = duplocale(uselocale((locale_t)0));
    locale_t own = copy ? newlocale(LC_NUMERIC_MASK, "C", copy) : (locale_t)0;
    if (copy && !own) freelocale(copy);
    return own;
}

void radix_begin(struct radix *r)
{
    *r = (struct radix){0};
    if (strcmp(nl_langinfo(RADIXCHAR), ".") == 0) return;
    r->own = with_point();
    if (r->own) r->before = uselocale(r->own);
}

void radix_end(struct radix *r)
{
    if (!r->own) return;
    uselocale(r->before);
    freelocale(r->own);
}
