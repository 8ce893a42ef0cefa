/* Results, as handlers see them. */

#include "client/pg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct torc_pg_result {
    struct torc_host_cleanup cleanup;
    PGresult *pg;
    bool lost; /* of a statement that was not sent, as its transaction was rolled back */
};

static void free_result(struct torc_host_cleanup *c)
{
    torc_pg_result *r = container_of(c, torc_pg_result, cleanup);
    PQclear(r->pg);
    free(r);
}

int pg_result_give(torc_req *rq, PGresult *answer, torc_pg_result **result)
{
    torc_pg_result *r = malloc(sizeof *r);
    if (!r || !answer) {
        PQclear(answer);
        free(r);
        return -ENOMEM;
    }
    *r = (torc_pg_result){.cleanup.fn = free_result, .pg = answer};
    torc_host_hold(rq, &r->cleanup);
    *result = r;
    return PQresultStatus(answer) == PGRES_FATAL_ERROR ? -EREMOTEIO : 0;
}

int pg_result_give_lost(torc_req *rq, torc_pg_result **result)
{
    int err = pg_result_give(rq, PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR), result);
    if (err == -EREMOTEIO) (*result)->lost = true;
    return err;
}

void torc_pg_result_free(torc_pg_result *r)
{
    if (!r) return;
    torc_host_let_go(&r->cleanup);
    free_result(&r->cleanup);
}

int torc_pg_rows(const torc_pg_result *r)
{
    return PQntuples(r->pg);
}

int torc_pg_columns(const torc_pg_result *r)
{
    return PQnfields(r->pg);
}

torc_slice torc_pg_value(const torc_pg_result *r, int row, int column)
{
    if (row < 0 || row >= PQntuples(r->pg) || column < 0 || column >= PQnfields(r->pg) ||
        PQgetisnull(r->pg, row, column))
        return (torc_slice){0};
    return (torc_slice){PQgetvalue(r->pg, row, column), (size_t)PQgetlength(r->pg, row, column)};
}

torc_slice torc_pg_column(const torc_pg_result *r, int column)
{
    if (column < 0 || column >= PQnfields(r->pg)) return (torc_slice){0};
    const char *name = PQfname(r->pg, column);
    return (torc_slice){name, strlen(name)};
}

/* PQfnumber would fold the case of the name. */
int torc_pg_column_of(const torc_pg_result *r, const char *name)
{
    for (int i = 0; i < PQnfields(r->pg); i++)
        if (strcmp(PQfname(r->pg, i), name) == 0) return i;
    return -1;
}

int64_t torc_pg_affected(const torc_pg_result *r)
{
    return strtoll(PQcmdTuples(r->pg), NULL, 10);
}

const char *torc_pg_sqlstate(const torc_pg_result *r)
{
    const char *state = PQresultErrorField(r->pg, PG_DIAG_SQLSTATE);
    if (r->lost) return "25P02";
    return state ? state : "";
}

const char *torc_pg_message(const torc_pg_result *r)
{
    if (r->lost) return "ERROR:  the transaction was rolled back before";
    return PQresultErrorMessage(r->pg);
}
