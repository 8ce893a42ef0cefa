#include "thumbnail.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <turbojpeg.h>

enum { QUALITY = 85, RGB = 3 /* bytes per pixel */ };

struct image {
    int width, height;
    uint8_t *pixel; /* rows without padding */
};

/* The size wanted, of the same proportions. An image does not grow. */
static struct image target(const struct image *whole, int width)
{
    struct image to = *whole;
    if (width >= whole->width) return to;
    to.width = width;
    to.height = (int)((int64_t)whole->height * width / whole->width);
    if (to.height == 0) to.height = 1;
    return to;
}

/* The decoder can scale while it decodes, which is cheaper: to the smallest size that is not less
 * than what is wanted. */
static void choose_scale(const struct image *whole, const struct image *to, struct image *out)
{
    int n = 0;
    const tjscalingfactor *f = tjGetScalingFactors(&n);
    *out = *whole;
    for (int i = 0; i < n; i++) {
        int w = TJSCALED(whole->width, f[i]), h = TJSCALED(whole->height, f[i]);
        if (w >= to->width && h >= to->height && w < out->width) *out = (struct image){w, h, NULL};
    }
}

static int decode(tjhandle jpeg, const struct thumbnail *t, struct image *out, struct image *to)
{
    struct image whole = {0};
    const unsigned char *in = (const unsigned char *)t->in;
    int subsampling, colours;
    if (!t->in || tjDecompressHeader3(jpeg, in, t->in_size, &whole.width, &whole.height,
                                      &subsampling, &colours) < 0)
        return -EBADMSG;
    if (whole.width <= 0 || whole.height <= 0 ||
        (int64_t)whole.width * whole.height > THUMBNAIL_MEGAPIXELS * INT64_C(1000000))
        return -EBADMSG;
    *to = target(&whole, t->width);
    choose_scale(&whole, to, out);
    out->pixel = malloc((size_t)out->width * (size_t)out->height * RGB);
    if (!out->pixel) return -ENOMEM;
    /* A warning is a damaged part, of which the decoder makes the best. */
    if (tjDecompress2(jpeg, in, t->in_size, out->pixel, out->width, 0, out->height, TJPF_RGB, 0) <
            0 &&
        tjGetErrorCode(jpeg) != TJERR_WARNING)
        return -EBADMSG;
    return 0;
}

/* The mean of the pixels of `from` that the pixel (x, y) of `to` covers. */
static void average(const struct image *from, const struct image *to, int x, int y, uint8_t *out)
{
    int x0 = (int)((int64_t)x * from->width / to->width);
    int x1 = (int)((int64_t)(x + 1) * from->width / to->width);
    int y0 = (int)((int64_t)y * from->height / to->height);
    int y1 = (int)((int64_t)(y + 1) * from->height / to->height);
    unsigned sum[RGB] = {0}, n = (unsigned)((x1 - x0) * (y1 - y0));
    for (int row = y0; row < y1; row++) {
        const uint8_t *p = from->pixel + ((size_t)row * (size_t)from->width + (size_t)x0) * RGB;
        for (int i = 0; i < (x1 - x0) * RGB; i++) sum[i % RGB] += p[i];
    }
    for (int i = 0; i < RGB; i++) out[i] = (uint8_t)(sum[i] / n);
}

static int shrink(struct image *image, struct image to)
{
    if (to.width == image->width && to.height == image->height) return 0;
    to.pixel = malloc((size_t)to.width * (size_t)to.height * RGB);
    if (!to.pixel) return -ENOMEM;
    uint8_t *out = to.pixel;
    for (int y = 0; y < to.height; y++)
        for (int x = 0; x < to.width; x++, out += RGB) average(image, &to, x, y, out);
    free(image->pixel);
    *image = to;
    return 0;
}

static int encode(const struct image *image, struct thumbnail *t)
{
    tjhandle jpeg = tjInitCompress();
    if (!jpeg) return -ENOMEM;
    int err = tjCompress2(jpeg, image->pixel, image->width, 0, image->height, TJPF_RGB, &t->out,
                          &t->out_size, TJSAMP_420, QUALITY, 0);
    tjDestroy(jpeg);
    return err < 0 ? -ENOMEM : 0;
}

int thumbnail_make(struct thumbnail *t)
{
    struct image image = {0}, to = {0};
    tjhandle jpeg = tjInitDecompress();
    t->out = NULL;
    t->out_size = 0;
    if (!jpeg) return -ENOMEM;
    int err = decode(jpeg, t, &image, &to);
    if (err == 0) err = shrink(&image, to);
    if (err == 0) err = encode(&image, t);
    free(image.pixel);
    tjDestroy(jpeg);
    return err;
}

void thumbnail_free(struct thumbnail *t)
{
    tjFree(t->out);
}
