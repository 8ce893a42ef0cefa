#include "http/status.h"

#define STATUS_MAP(_)                                                                              \
    _(100, "Continue")                                                                             \
    _(101, "Switching Protocols")                                                                  \
    _(102, "Processing")                                                                           \
    _(103, "Early Hints")                                                                          \
    _(200, "OK")                                                                                   \
    _(201, "Created")                                                                              \
    _(202, "Accepted")                                                                             \
    _(203, "Non-Authoritative Information")                                                        \
    _(204, "No Content")                                                                           \
    _(205, "Reset Content")                                                                        \
    _(206, "Partial Content")                                                                      \
    _(207, "Multi-Status")                                                                         \
    _(208, "Already Reported")                                                                     \
    _(226, "IM Used")                                                                              \
    _(300, "Multiple Choices")                                                                     \
    _(301, "Moved Permanently")                                                                    \
    _(302, "Found")                                                                                \
    _(303, "See Other")                                                                            \
    _(304, "Not Modified")                                                                         \
    _(305, "Use Proxy")                                                                            \
    _(307, "Temporary Redirect")                                                                   \
    _(308, "Permanent Redirect")                                                                   \
    _(400, "Bad Request")                                                                          \
    _(401, "Unauthorized")                                                                         \
    _(402, "Payment Required")                                                                     \
    _(403, "Forbidden")                                                                            \
    _(404, "Not Found")                                                                            \
    _(405, "Method Not Allowed")                                                                   \
    _(406, "Not Acceptable")                                                                       \
    _(407, "Proxy Authentication Required")                                                        \
    _(408, "Request Timeout")                                                                      \
    _(409, "Conflict")                                                                             \
    _(410, "Gone")                                                                                 \
    _(411, "Length Required")                                                                      \
    _(412, "Precondition Failed")                                                                  \
    _(413, "Content Too Large")                                                                    \
    _(414, "URI Too Long")                                                                         \
    _(415, "Unsupported Media Type")                                                               \
    _(416, "Range Not Satisfiable")                                                                \
    _(417, "Expectation Failed")                                                                   \
    _(421, "Misdirected Request")                                                                  \
    _(422, "Unprocessable Content")                                                                \
    _(423, "Locked")                                                                               \
    _(424, "Failed Dependency")                                                                    \
    _(425, "Too Early")                                                                            \
    _(426, "Upgrade Required")                                                                     \
    _(428, "Precondition Required")                                                                \
    _(429, "Too Many Requests")                                                                    \
    _(431, "Request Header Fields Too Large")                                                      \
    _(451, "Unavailable For Legal Reasons")                                                        \
    _(500, "Internal Server Error")                                                                \
    _(501, "Not Implemented")                                                                      \
    _(502, "Bad Gateway")                                                                          \
    _(503, "Service Unavailable")                                                                  \
    _(504, "Gateway Timeout")                                                                      \
    _(505, "HTTP Version Not Supported")                                                           \
    _(506, "Variant Also Negotiates")                                                              \
    _(507, "Insufficient Storage")                                                                 \
    _(508, "Loop Detected")                                                                        \
    _(510, "Not Extended")                                                                         \
    _(511, "Network Authentication Required")

enum { FIRST = 100, LAST = 511, HEAD_LEN = sizeof "HTTP/1.1 200 " - 1, CRLF_LEN = 2 };

/* A reason phrase is the part of its line between status code and CRLF. */
static const slice lines[LAST - FIRST + 1] = {
#define _(code, reason) [(code)-FIRST] = SLICE("HTTP/1.1 " #code " " reason "\r\n"),
    STATUS_MAP(_)
#undef _
};

slice http_status_line(int status)
{
    unsigned i = (unsigned)status - FIRST;
    return i < ARRAY_LEN(lines) ? lines[i] : SLICE("");
}

slice http_reason(int status)
{
    slice line = http_status_line(status);
    if (line.len == 0) return SLICE("Unknown");
    return slice_of(line.ptr + HEAD_LEN, line.len - HEAD_LEN - CRLF_LEN);
}
