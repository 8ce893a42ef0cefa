#include "files/mime.h"

enum { EXTENSION_MAX = 11 };

struct type {
    char extension[EXTENSION_MAX + 1]; /* lower case, padded with NULs */
    slice type;
};

#define TYPE(extension, type)                                                                      \
    {                                                                                              \
        extension, SLICE(type)                                                                     \
    }
#define TEXT(extension, type) TYPE(extension, type "; charset=utf-8")

/* Sorted by extension for binary search. ".ts" is the video type, as browsers load it. */
// clang-format off
static const struct type types[] = {
    TYPE("3gp", "video/3gpp"),
    TYPE("7z", "application/x-7z-compressed"),
    TYPE("aac", "audio/aac"),
    TYPE("apk", "application/vnd.android.package-archive"),
    TYPE("apng", "image/apng"),
    TYPE("atom", "application/atom+xml"),
    TYPE("avi", "video/x-msvideo"),
    TYPE("avif", "image/avif"),
    TYPE("bmp", "image/bmp"),
    TYPE("bz2", "application/x-bzip2"),
    TEXT("c", "text/plain"),
    TEXT("conf", "text/plain"),
    TEXT("css", "text/css"),
    TEXT("csv", "text/csv"),
    TYPE("deb", "application/vnd.debian.binary-package"),
    TEXT("diff", "text/x-diff"),
    TYPE("doc", "application/msword"),
    TYPE("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    TYPE("eot", "application/vnd.ms-fontobject"),
    TYPE("eps", "application/postscript"),
    TYPE("epub", "application/epub+zip"),
    TYPE("flac", "audio/flac"),
    TYPE("geojson", "application/geo+json"),
    TYPE("gif", "image/gif"),
    TYPE("gz", "application/gzip"),
    TEXT("h", "text/plain"),
    TYPE("heic", "image/heic"),
    TYPE("heif", "image/heif"),
    TEXT("htm", "text/html"),
    TEXT("html", "text/html"),
    TYPE("ico", "image/vnd.microsoft.icon"),
    TEXT("ics", "text/calendar"),
    TYPE("iso", "application/x-iso9660-image"),
    TYPE("jar", "application/java-archive"),
    TYPE("jpeg", "image/jpeg"),
    TYPE("jpg", "image/jpeg"),
    TEXT("js", "text/javascript"),
    TYPE("json", "application/json"),
    TYPE("jsonld", "application/ld+json"),
    TYPE("jxl", "image/jxl"),
    TEXT("log", "text/plain"),
    TYPE("m3u", "audio/mpegurl"),
    TYPE("m3u8", "application/vnd.apple.mpegurl"),
    TYPE("m4a", "audio/mp4"),
    TYPE("m4v", "video/mp4"),
    TYPE("map", "application/json"),
    TEXT("markdown", "text/markdown"),
    TEXT("md", "text/markdown"),
    TYPE("mid", "audio/midi"),
    TYPE("midi", "audio/midi"),
    TEXT("mjs", "text/javascript"),
    TYPE("mkv", "video/matroska"),
    TYPE("mov", "video/quicktime"),
    TYPE("mp3", "audio/mpeg"),
    TYPE("mp4", "video/mp4"),
    TYPE("mpd", "application/dash+xml"),
    TYPE("mpeg", "video/mpeg"),
    TYPE("mpg", "video/mpeg"),
    TYPE("odp", "application/vnd.oasis.opendocument.presentation"),
    TYPE("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    TYPE("odt", "application/vnd.oasis.opendocument.text"),
    TYPE("oga", "audio/ogg"),
    TYPE("ogg", "audio/ogg"),
    TYPE("ogv", "video/ogg"),
    TYPE("opus", "audio/ogg"),
    TYPE("otf", "font/otf"),
    TEXT("patch", "text/x-diff"),
    TYPE("pdf", "application/pdf"),
    TYPE("png", "image/png"),
    TYPE("ppt", "application/vnd.ms-powerpoint"),
    TYPE("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    TYPE("ps", "application/postscript"),
    TEXT("py", "text/x-python"),
    TYPE("rar", "application/vnd.rar"),
    TYPE("rpm", "application/x-rpm"),
    TYPE("rss", "application/rss+xml"),
    TYPE("rtf", "application/rtf"),
    TEXT("sh", "text/x-shellscript"),
    TYPE("sql", "application/sql"),
    TYPE("svg", "image/svg+xml"),
    TYPE("svgz", "image/svg+xml"),
    TYPE("tar", "application/x-tar"),
    TEXT("text", "text/plain"),
    TYPE("tgz", "application/gzip"),
    TYPE("tif", "image/tiff"),
    TYPE("tiff", "image/tiff"),
    TYPE("toml", "application/toml"),
    TYPE("ts", "video/mp2t"),
    TEXT("tsv", "text/tab-separated-values"),
    TYPE("ttc", "font/collection"),
    TYPE("ttf", "font/ttf"),
    TEXT("txt", "text/plain"),
    TEXT("vcf", "text/vcard"),
    TEXT("vtt", "text/vtt"),
    TYPE("wasm", "application/wasm"),
    TYPE("wav", "audio/wav"),
    TYPE("weba", "audio/webm"),
    TYPE("webm", "video/webm"),
    TYPE("webmanifest", "application/manifest+json"),
    TYPE("webp", "image/webp"),
    TYPE("woff", "font/woff"),
    TYPE("woff2", "font/woff2"),
    TYPE("xhtml", "application/xhtml+xml"),
    TYPE("xls", "application/vnd.ms-excel"),
    TYPE("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    TYPE("xml", "application/xml"),
    TYPE("xsl", "application/xslt+xml"),
    TYPE("xslt", "application/xslt+xml"),
    TYPE("xz", "application/x-xz"),
    TYPE("yaml", "application/yaml"),
    TYPE("yml", "application/yaml"),
    TYPE("zip", "application/zip"),
    TYPE("zst", "application/zstd"),
};
// clang-format on

/* The part after the last dot of the last segment; empty if the name only begins with a dot. */
static slice extension_of(slice path)
{
    for (size_t i = path.len; i > 0 && path.ptr[i - 1] != '/'; i--) {
        if (path.ptr[i - 1] != '.') continue;
        bool hidden = i == 1 || path.ptr[i - 2] == '/';
        return hidden ? SLICE("") : slice_skip(path, i);
    }
    return SLICE("");
}

slice mime_type(slice path)
{
    slice extension = extension_of(path);
    char key[EXTENSION_MAX + 1] = {0};
    if (extension.len > EXTENSION_MAX) extension.len = 0;
    for (size_t i = 0; i < extension.len; i++) key[i] = (char)slice_lower(extension.ptr[i]);

    size_t low = 0, high = ARRAY_LEN(types);
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = memcmp(key, types[middle].extension, sizeof key);
        if (order == 0) return types[middle].type;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return SLICE("application/octet-stream");
}

slice mime_coding(slice path)
{
    return slice_ieq(extension_of(path), SLICE("svgz")) ? SLICE("gzip") : (slice){NULL, 0};
}
