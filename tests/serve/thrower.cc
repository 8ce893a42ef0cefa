/* Handlers in C++ that wait while they handle an exception, as test_exceptions.c needs them: a program,
 * or with MODULE a library that loader.c loads. */

#include <torc.h>

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

namespace {

void sleep_and_rethrow(torc_req *rq, const std::string &text, unsigned ms)
{
    try {
        throw std::runtime_error(text);
    } catch (...) {
        torc_sleep(rq, ms);
        throw;
    }
}

/* Throws its text, waits in the handler of the exception, and answers what came out of it. */
void on_throw(torc_req *rq, void *)
{
    torc_slice text = torc_param(rq, "text"), ms = torc_query_param(rq, "ms");
    try {
        sleep_and_rethrow(rq, std::string(text.ptr, text.len), ms.len ? unsigned(ms.ptr[0] - '0') : 0);
    } catch (const std::exception &e) {
        torc_replyf(rq, 200, "%s %d", e.what(), std::uncaught_exceptions());
    }
}

int throw_in_group(torc_req *rq, void *arg)
{
    try {
        sleep_and_rethrow(rq, static_cast<const char *>(arg), 2);
    } catch (const std::exception &e) {
        return std::string(e.what()) == static_cast<const char *>(arg) ? 0 : -1;
    }
    return -2;
}

/* Starts fibers while it handles an exception of its own. */
void on_group(torc_req *rq, void *)
{
    int result = -3;
    std::string what;
    try {
        try {
            throw std::runtime_error("outer");
        } catch (...) {
            char inner[] = "inner", other[] = "other";
            torc_group *g = torc_group_open(rq);
            torc_spawn(g, throw_in_group, inner);
            torc_spawn(g, throw_in_group, other);
            result = torc_group_join(g);
            throw;
        }
    } catch (const std::exception &e) {
        what = e.what();
    }
    torc_replyf(rq, 200, "%s %d", what.c_str(), result);
}

} // namespace

extern "C" int add_routes(torc_server *s)
{
    if (torc_route(s, "GET", "/throw/:text", on_throw, nullptr) < 0) return -1;
    return torc_route(s, "GET", "/group", on_group, nullptr);
}

#ifndef MODULE
int main(int argc, char **argv)
{
    torc_server *s = torc_server_new("thrower 1.0");
    if (!s || add_routes(s) < 0) return 100;
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    return status;
}
#endif
