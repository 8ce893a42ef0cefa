#pragma once
/* THREAD_SANITIZER is defined where that sanitizer is: gcc and clang tell it in two ways. */

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif
