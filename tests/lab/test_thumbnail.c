#include "lab/thumbnail.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

#include <cmocka.h>

/* A JPEG image whose left half is black and whose right half is white. */
static unsigned char *draw(int width, int height, unsigned long *size)
{
    unsigned char *jpeg = NULL;
    uint8_t *pixel = calloc((size_t)width * (size_t)height, 3);
    tjhandle encoder = tjInitCompress();
    assert_non_null(pixel);
    assert_non_null(encoder);
    for (int y = 0; y < height; y++)
        for (int x = width / 2; x < width; x++)
            memset(pixel + ((size_t)y * (size_t)width + (size_t)x) * 3, 255, 3);
    assert_int_equal(
        tjCompress2(encoder, pixel, width, 0, height, TJPF_RGB, &jpeg, size, TJSAMP_444, 95, 0), 0);
    tjDestroy(encoder);
    free(pixel);
    return jpeg;
}

/* The size of the image in `t`, and its first and last pixel of the row in the middle. */
static void look(const struct thumbnail *t, int *width, int *height, uint8_t *left, uint8_t *right)
{
    int subsampling, colours;
    tjhandle decoder = tjInitDecompress();
    assert_non_null(decoder);
    assert_int_equal(
        tjDecompressHeader3(decoder, t->out, t->out_size, width, height, &subsampling, &colours),
        0);
    uint8_t *pixel = malloc((size_t)*width * (size_t)*height * 3);
    assert_non_null(pixel);
    assert_int_equal(
        tjDecompress2(decoder, t->out, t->out_size, pixel, *width, 0, *height, TJPF_RGB, 0), 0);
    const uint8_t *row = pixel + (size_t)(*height / 2) * (size_t)*width * 3;
    *left = row[0];
    *right = row[(*width - 1) * 3];
    free(pixel);
    tjDestroy(decoder);
}

static void sizes(void **state)
{
    static const struct {
        int width, height, want, is_width, is_height;
    } cases[] = {
        {800, 600, 150, 150, 112}, {800, 600, 799, 799, 599}, {800, 600, 1, 1, 1},
        {64, 48, 64, 64, 48},      {64, 48, 1000, 64, 48},    {1000, 2, 10, 10, 1},
        {3, 1000, 2, 2, 666},      {1, 1, 1, 1, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned long size = 0;
        int width, height;
        uint8_t left, right;
        unsigned char *jpeg = draw(cases[i].width, cases[i].height, &size);
        struct thumbnail t = {(const char *)jpeg, size, cases[i].want, NULL, 0};
        assert_int_equal(thumbnail_make(&t), 0);
        look(&t, &width, &height, &left, &right);
        assert_int_equal(width, cases[i].is_width);
        assert_int_equal(height, cases[i].is_height);
        if (width > 4) assert_true(left < 64 && right > 192);
        thumbnail_free(&t);
        tjFree(jpeg);
    }
}

static void no_images(void **state)
{
    unsigned long size = 0;
    unsigned char *jpeg = draw(64, 64, &size);
    (void)state;
    const struct thumbnail bad[] = {
        {NULL, 0, 10, NULL, 0},
        {"", 0, 10, NULL, 0},
        {"no image at all", 15, 10, NULL, 0},
        {(const char *)jpeg, 20, 10, NULL, 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct thumbnail t = bad[i];
        assert_int_equal(thumbnail_make(&t), -EBADMSG);
        thumbnail_free(&t);
    }
    /* Any cut gives an image or an error, and no fault. */
    for (unsigned long n = 20; n < size; n += 7) {
        struct thumbnail t = {(const char *)jpeg, n, 10, NULL, 0};
        int err = thumbnail_make(&t);
        assert_true(err == 0 || err == -EBADMSG);
        thumbnail_free(&t);
    }
    tjFree(jpeg);
}

/* The head alone says how many pixels would have to be decoded. */
static void too_large(void **state)
{
    unsigned long size = 0;
    unsigned char *jpeg = draw(16, 16, &size);
    (void)state;
    for (unsigned long i = 0; i + 9 < size; i++)
        if (jpeg[i] == 0xff && jpeg[i + 1] == 0xc0) memset(jpeg + i + 5, 0x7f, 4);
    struct thumbnail t = {(const char *)jpeg, size, 10, NULL, 0};
    assert_int_equal(thumbnail_make(&t), -EBADMSG);
    thumbnail_free(&t);
    tjFree(jpeg);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(no_images),
        cmocka_unit_test(too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
