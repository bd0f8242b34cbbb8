/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "answer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "live.h"
#include "metrics.h"
#include "parse.h"
#include "stats-json.h"

/* Answers with JSON, which it frees. */
static void give(struct http_response *response, int status, json_t *json)
{
    response->status = status;
    response->type = "application/json";
    char *text =
        json ? json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) : NULL;
    /* At a terminal the prompt comes behind it. */
    if (!text || asprintf(&response->body, "%s\n", text) < 0)
        response->body = NULL;
    response->bytes = response->body ? strlen(response->body) : 0;
    free(text);
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
    json_t *json = stats_json(&report);
    if (json && answer->face)
        json_object_set_new(json, "server",
                            stats_face_json(answer->face, answer->face_opaque));
    give(response, 200, json);
}

static void get_metrics(struct answer *answer, const struct http_request *request,
                        struct http_response *response)
{
    struct report report;

    (void)request;
    volume_report(answer->volume, &report);
    response->status = 200;
    response->type = "text/plain; version=0.0.4";
    response->body =
        metrics_text(&report, answer->face, answer->face_opaque, &response->bytes);
}

static void get_live(struct answer *answer, const struct http_request *request,
                     struct http_response *response)
{
    (void)answer;
    (void)request;
    response->status = 200;
    response->type = "text/html; charset=utf-8";
    response->policy = live_policy;
    response->body = strdup(live_page);
    response->bytes = response->body ? strlen(response->body) : 0;
}

static void refuse(struct http_response *response, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void refuse(struct http_response *response, int status, const char *format, ...)
{
    struct reason reason;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason.text, sizeof reason.text, format, arguments);
    va_end(arguments);
    answer_refusal(&reason, status, response);
}

/* -- Slots. -- */

#define SLOTS_AT_ONCE 1024u

static bool parse_number(const char *text, uint64_t *number)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    *number = value;
    return *end == '\0' && errno == 0;
}

/* The number KEY says, or USUAL. */
static bool number_of(const struct http_request *request, const char *key,
                      uint64_t usual, uint64_t least, uint64_t most, uint64_t *number,
                      struct http_response *response)
{
    const char *value = http_value(request, key);

    *number = usual;
    if (!value || (parse_number(value, number) && *number >= least && *number <= most))
        return true;
    refuse(response, 400, "%s=%s: not a number from %" PRIu64 " to %" PRIu64, key,
           value, least, most);
    return false;
}

static void get_slots(struct answer *answer, const struct http_request *request,
                      struct http_response *response)
{
    struct volume_slot slots[SLOTS_AT_ONCE];
    uint64_t all = volume_size_bytes(answer->volume) / VOLUME_PAGE_BYTES;
    uint64_t from, count;

    if (!number_of(request, "from", 0, 0, all - 1, &from, response) ||
        !number_of(request, "count", SLOTS_AT_ONCE, 1, SLOTS_AT_ONCE, &count, response))
        return;
    count = volume_look(answer->volume, from, count, slots);
    json_t *list = json_array();
    for (uint64_t i = 0; i < count; i++) {
        char state[2] = {slots[i].state, '\0'};

        json_array_append_new(
            list, json_pack("{s:I, s:s, s:s, s:i, s:i, s:s?}", "slot",
                            (json_int_t)(from + i), "state", state, "marks",
                            slots[i].marks, "age", slots[i].age_units, "length",
                            slots[i].length, "codec", slots[i].codec));
    }
    give(response, 200,
         json_pack("{s:I, s:I, s:o}", "from", (json_int_t)from, "all", (json_int_t)all,
                   "slots", list));
}

/* -- Long work. -- */

static void get_job(struct answer *answer, const struct http_request *request,
                    struct http_response *response)
{
    (void)request;
    give(response, 200, json_pack("{s:o}", "job", jobs_json(answer->jobs)));
}

static void begin(struct answer *answer, const struct job *job,
                  struct http_response *response)
{
    int r = jobs_begin(answer->jobs, job);
    json_t *now = jobs_json(answer->jobs);

    if (r == 0) {
        give(response, 202, json_pack("{s:o}", "job", now));
        return;
    }
    json_int_t done = json_integer_value(json_object_get(now, "done"));
    json_int_t total = json_integer_value(json_object_get(now, "total"));
    const char *verb = json_string_value(json_object_get(now, "verb"));
    refuse(response, 409,
           "%s is under way, %u %% of it done; ask again later (GET /v1/job tells how "
           "far it is)",
           verb ? verb : "other work",
           total > 0 ? (unsigned)(100.0 * (double)done / (double)total) : 0);
    json_decref(now);
}

#define AGE_MAX_S (30 * 24 * 60 * 60)

static void post_idle(struct answer *answer, const struct http_request *request,
                      struct http_response *response)
{
    struct report report;
    uint64_t age_s;

    if (!number_of(request, "age", 0, 0, AGE_MAX_S, &age_s, response))
        return;
    volume_report(answer->volume, &report);
    if (age_s > 0 && report.age_unit_ms == 0) {
        refuse(response, 409,
               "age=%" PRIu64
               ": how old pages are is known only with idle-age; set it, or "
               "leave age out to mark all",
               age_s);
        return;
    }
    uint64_t most_s = report.age_unit_ms * (REPORT_AGES - 1) / 1000;
    if (age_s > most_s) {
        refuse(response, 400,
               "age=%" PRIu64 ": ages are known up to %" PRIu64
               " seconds with this idle-age",
               age_s, most_s);
        return;
    }
    const struct job job = {.verb = JOB_IDLE, .age_s = (uint32_t)age_s};
    begin(answer, &job, response);
}

static bool filter_of(const struct http_request *request, struct filter *filter,
                      struct http_response *response)
{
    const char *type = http_value(request, "type"), *max = http_value(request, "max");

    *filter = (struct filter){.type = FILTER_TYPE_COUNT, .max_bytes = UINT64_MAX};
    for (unsigned i = 0; type && i < FILTER_TYPE_COUNT; i++)
        if (strcmp(type, filter_word((enum filter_type)i)) == 0)
            filter->type = (enum filter_type)i;
    if (filter->type == FILTER_TYPE_COUNT) {
        refuse(response, 400,
               "type%s%s; write one of type=all, type=idle, type=huge, type=huge_idle",
               type ? "=" : " is missing", type ? type : "");
        return false;
    }
    if (max && (parse_size(max, &filter->max_bytes) < 0 || filter->max_bytes == 0)) {
        refuse(response, 400,
               "max=%s: not a size of 1 byte or more; write for example "
               "max=64M",
               max);
        return false;
    }
    return true;
}

static void post_writeback(struct answer *answer, const struct http_request *request,
                           struct http_response *response)
{
    struct job job = {.verb = JOB_WRITEBACK};
    struct report report;

    if (!filter_of(request, &job.filter, response))
        return;
    volume_report(answer->volume, &report);
    if (report.backing == BACKING_NONE)
        refuse(response, 409,
               "there is no backing store; start the server with backing=PATH");
    else
        begin(answer, &job, response);
}

static void post_compact(struct answer *answer, const struct http_request *request,
                         struct http_response *response)
{
    const struct job job = {.verb = JOB_COMPACT};

    (void)request;
    begin(answer, &job, response);
}

/* As "compressor", but for what its sentence says. */
static bool codec_of(const struct http_request *request, struct codec_choice *choice,
                     struct http_response *response)
{
    const char *value = http_value(request, "codec");
    struct options options;
    struct reason reason;

    options_init(&options);
    if (!value) {
        refuse(response, 400, "codec is missing; write for example codec=zstd:9");
        return false;
    }
    if (options_set(&options, "compressor", value, &reason) < 0) {
        refuse(response, 400,
               "codec=%s: neither lz4 nor zstd:LEVEL, a level from %d to %d; "
               "write for example codec=zstd:9",
               value, codec_zstd.level_min, codec_zstd.level_max);
        return false;
    }
    *choice = options.compressor;
    if (choice->id != CODEC_NONE)
        return true;
    refuse(response, 400,
           "codec=none: it makes nothing shorter; write for example "
           "codec=zstd:9");
    return false;
}

static void post_recompress(struct answer *answer, const struct http_request *request,
                            struct http_response *response)
{
    struct job job = {.verb = JOB_RECOMPRESS};

    if (codec_of(request, &job.codec, response) &&
        filter_of(request, &job.filter, response))
        begin(answer, &job, response);
}

/* -- Parameters. -- */

static void post_set(struct answer *answer, const struct http_request *request,
                     struct http_response *response)
{
    struct steer_pair pairs[HTTP_PARAMETERS_MAX];
    struct reason reason;

    for (unsigned i = 0; i < request->parameter_count; i++)
        pairs[i] = (struct steer_pair){request->parameters[i].key,
                                       request->parameters[i].value};
    int r = volume_set(answer->volume, pairs, request->parameter_count, &reason);
    if (r < 0)
        answer_refusal(&reason, r == -EINVAL ? 400 : 409, response);
    else
        get_stats(answer, request, response);
}

static void post_retry(struct answer *answer, const struct http_request *request,
                       struct http_response *response)
{
    if (volume_retry(answer->volume) < 0)
        refuse(response, 409,
               "there is no backing store; start the server with backing=PATH");
    else
        get_stats(answer, request, response);
}

static const struct route {
    const char *method, *path;
    answer_fn *fn;
    const char *keys; /* each after a space */
    bool is_for_all;  /* also for who may only read */
} routes[] = {
    {"GET", "/v1/stats", get_stats, "", true},
    /* How long each page's object is can tell what is in it. */
    {"GET", "/v1/slots", get_slots, " from count", false},
    {"GET", "/v1/job", get_job, "", true},
    {"POST", "/v1/idle", post_idle, " age", false},
    {"POST", "/v1/writeback", post_writeback, " type max", false},
    {"POST", "/v1/compact", post_compact, "", false},
    {"POST", "/v1/recompress", post_recompress, " codec type max", false},
    {"POST", "/v1/retry", post_retry, "", false},
    {"POST", "/v1/set", post_set, STEER_KEYS, false},
    {"GET", "/metrics", get_metrics, "", true},
    {"GET", "/", get_live, "", true},
};

#define ROUTES (sizeof routes / sizeof *routes)

/* -- What is not. -- */

/* Whether HOST is NAME or NAME:PORT, whatever port: a tunnel has one of its own. */
static bool names_host(const char *name, const char *host)
{
    size_t length = strlen(name);

    if (strncasecmp(host, name, length) != 0)
        return false;
    const char *port = host + length;
    return *port == '\0' ||
           (*port == ':' && strspn(port + 1, "0123456789") == strlen(port + 1));
}

/* A web page that somebody reads on this machine must not steer us: it may have got a
 * name of its own to mean this address. */
static bool is_ours(const struct answer *answer, const struct http_request *request,
                    struct reason *reason)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]", "zslot"};
    const char *host = request->host;
    /* Only of a Unix socket do clients not know what to call it. */
    unsigned count = answer->reads_only ? 2 : sizeof names / sizeof *names;

    if (request->has_origin) {
        reason_say(reason, -403,
                   "the header Origin: web pages of others have no business here");
        return false;
    }
    if (!*host && !answer->reads_only)
        return true;
    for (unsigned i = 0; i < count; i++)
        if (names_host(names[i], host))
            return true;
    reason_say(reason, -403,
               "Host: %s: not a name of this server; those there are: localhost "
               "127.0.0.1%s",
               host, answer->reads_only ? "" : " [::1] zslot");
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

        if (strchr(key, ' ') || !has_word(keys, key)) {
            reason_say(reason, -400, "%s: unknown key; %s%s", key,
                       *keys ? "those there are:" : "nothing stands behind a ? here",
                       keys);
            return false;
        }
    }
    return true;
}

/* The route of a request, or NULL with a status and a sentence. */
static const struct route *find(const struct answer *answer,
                                const struct http_request *request, const char **allow,
                                int *status, struct reason *reason)
{
    const char *method = request->method;

    if (answer->reads_only && strcmp(method, "GET") != 0) {
        *allow = "GET";
        *status = 405;
        reason_say(reason, -405,
                   "%s: only GET here; the socket of control=SOCKET takes the rest",
                   method);
        return NULL;
    }
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    for (unsigned i = 0; i < ROUTES; i++) {
        if (strcmp(request->path, routes[i].path) != 0 ||
            (answer->reads_only && !routes[i].is_for_all))
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

        if (!answer->reads_only || routes[i].is_for_all)
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
    const struct route *route = find(answer, request, &allow, &status, &reason);

    if (!route) {
        answer_refusal(&reason, status, response);
        if (status == 405)
            response->allow =
                answer->reads_only || strcmp(allow, "GET") != 0 ? allow : "GET, HEAD";
    } else if (!is_ours(answer, request, &reason))
        answer_refusal(&reason, 403, response);
    else if (!keys_are_known(request, route->keys, &reason))
        answer_refusal(&reason, 400, response);
    else
        route->fn(answer, request, response);
}
