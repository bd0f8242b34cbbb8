/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "answer.h"

#include <stdlib.h>
#include <string.h>

#include "metrics.h"
#include "stats-json.h"

/* Answers with JSON, which it frees. */
static void give(struct http_response *response, int status, json_t *json)
{
    response->status = status;
    response->type = "application/json";
    response->body =
        json ? json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) : NULL;
    response->bytes = response->body ? strlen(response->body) : 0;
    json_decref(json);
}

void answer_refusal(const struct reason *reason, int status,
                    struct http_response *response)
{
    give(response, status, json_pack("{s:s?}", "error", reason->text));
}

/* -- What can be asked for. -- */

typedef void answer_fn(struct answer *answer, const struct http_request *request,
                       struct http_response *response);

static void get_stats(struct answer *answer, const struct http_request *request,
                      struct http_response *response)
{
    struct report report;

    (void)request;
    volume_report(answer->volume, &report);
    give(response, 200, stats_json(&report));
}

static void get_metrics(struct answer *answer, const struct http_request *request,
                        struct http_response *response)
{
    struct report report;

    (void)request;
    volume_report(answer->volume, &report);
    response->status = 200;
    response->type = "text/plain; version=0.0.4";
    response->body = metrics_text(&report, &response->bytes);
}

static const struct route {
    const char *method, *path;
    answer_fn *fn;
    const char *keys; /* each after a space */
} routes[] = {
    {"GET", "/v1/stats", get_stats, ""},
    {"GET", "/metrics", get_metrics, ""},
};

#define ROUTES (sizeof routes / sizeof *routes)

/* -- What is not. -- */

/* A web page that somebody reads on this machine must not steer us: it may have got a
 * name of its own to mean this address. */
static bool is_ours(const struct http_request *request, struct reason *reason)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]", "zslot"};
    const char *host = request->host;

    if (request->has_origin) {
        reason_say(reason, -403,
                   "the header Origin: web pages of others have no business here");
        return false;
    }
    if (!*host)
        return true;
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        size_t length = strlen(names[i]);

        if (strncmp(host, names[i], length) == 0 &&
            (host[length] == '\0' || host[length] == ':'))
            return true;
    }
    reason_say(reason, -403,
               "Host: %s: not a name of this server; those there are: localhost "
               "127.0.0.1 [::1] zslot",
               host);
    return false;
}

static bool has_word(const char *words, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = words; (at = strstr(at, word)); at += length)
        if (at > words && at[-1] == ' ' && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

static bool keys_are_known(const struct http_request *request, const char *keys,
                           struct reason *reason)
{
    for (unsigned i = 0; i < request->parameter_count; i++) {
        const char *key = request->parameters[i].key;

        if (!has_word(keys, key)) {
            reason_say(reason, -400, "%s: unknown key; those there are:%s", key,
                       *keys ? keys : " none");
            return false;
        }
    }
    return true;
}

/* The route of a request, or NULL with a status and a sentence. */
static const struct route *find(const struct http_request *request, const char **allow,
                                int *status, struct reason *reason)
{
    const char *method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;

    for (unsigned i = 0; i < ROUTES; i++) {
        if (strcmp(request->path, routes[i].path) != 0)
            continue;
        *allow = routes[i].method;
        if (strcmp(method, routes[i].method) == 0)
            return &routes[i];
    }
    if (*allow) {
        *status = 405;
        reason_say(reason, -405, "%s %s: write %s %s", request->method, request->path,
                   *allow, request->path);
        return NULL;
    }
    char list[400] = "";
    for (unsigned i = 0; i < ROUTES; i++) {
        size_t used = strlen(list);

        snprintf(list + used, sizeof list - used, " %s", routes[i].path);
    }
    *status = 404;
    reason_say(reason, -404, "%s: unknown path; those there are:%s", request->path,
               list);
    return NULL;
}

void answer_request(void *opaque, const struct http_request *request,
                    struct http_response *response)
{
    struct answer *answer = opaque;
    struct reason reason;
    const char *allow = NULL;
    int status = 400;
    const struct route *route = find(request, &allow, &status, &reason);

    if (!route) {
        answer_refusal(&reason, status, response);
        if (status == 405)
            response->allow = allow;
    } else if (!is_ours(request, &reason))
        answer_refusal(&reason, 403, response);
    else if (!keys_are_known(request, route->keys, &reason))
        answer_refusal(&reason, 400, response);
    else
        route->fn(answer, request, response);
}
