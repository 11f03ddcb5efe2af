/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One request as the routes see it, and how it is answered: once, now or later. How it comes and goes over the wire is
 * the server's business. */

#include <systemd/sd-bus.h>

#include "base/buffer.h"
#include "base/string-table.h"
#include "client/client-async.h"
#include "http/http-settings.h"
#include "http/peer.h"
#include "http/target.h"

typedef enum HttpMethod {
        HTTP_GET,
        HTTP_HEAD,
        HTTP_POST,
        HTTP_PUT,
        HTTP_PATCH,
        HTTP_DELETE,
        HTTP_OPTIONS,
        _HTTP_METHOD_MAX,
        _HTTP_METHOD_INVALID = -EINVAL,
} HttpMethod;
DECLARE_STRING_TABLE(http_method, HttpMethod);

#define ANSWER_HEADERS_MAX    16U
#define REQUEST_ARGUMENTS_MAX 4U
#define RETRY_AFTER_SEC       "1" /* of 503: the daemon is started by the call, or is back in a moment */

typedef struct AnswerHeader {
        const char *name; /* static */
        char *value;
} AnswerHeader;

/* A strong one, of the answer's data, and room for what is added for it compressed. */
#define ETAG_BYTES    16U
#define ETAG_TEXT_MAX (2 * ETAG_BYTES + sizeof("\"-gzip\""))

typedef struct Answer {
        unsigned status;  /* 0: there is none yet */
        const char *type; /* static */
        const char *data;
        size_t size;
        const char *gzip; /* the same compressed, for those that take it; NULL: it is made where it pays */
        size_t gzip_size;
        char tag[ETAG_TEXT_MAX]; /* with its quotes; empty: it is made */
        char *owned;             /* what data points into, or NULL */
        sd_bus_message *message; /* the same */
        bool is_stream;          /* the head of one: of no known size */
        AnswerHeader headers[ANSWER_HEADERS_MAX];
        size_t n_headers;
} Answer;

typedef struct App App;
typedef struct Principal Principal;
typedef struct Route Route;
typedef struct Server Server;
typedef struct Connection Connection;
struct MHD_Connection;
struct PageFile;

typedef struct Request {
        Server *server;
        Connection *connection;
        struct MHD_Connection *mhd;
        HttpMethod method; /* _INVALID: none that anything here takes */
        bool is_http10;
        Peer peer;     /* the client, as far as proxies that are trusted say who it is */
        bool by_proxy; /* one of those sends it */
        Target target;
        int target_error; /* of target_parse() */
        size_t target_size;
        Buffer body;
        usec_t begun_usec;        /* CLOCK_MONOTONIC */
        size_t answer_held_bytes; /* that the server counts */

        Answer answer;
        bool begun;      /* its head was looked at */
        bool is_large;   /* its body comes when it is admitted, see BODY_FREE_BYTES */
        bool admitted;   /* its body may come */
        bool receiving;  /* libmicrohttpd was told so */
        bool dispatched; /* it was given to the application */
        bool suspended;  /* waits for its answer */
        bool taken;      /* its socket belongs to somebody else now */

        /* The application's. */
        App *app;
        const Route *route;
        const char *arguments[REQUEST_ARGUMENTS_MAX]; /* of the path, borrowed from the target */
        Principal *principal;                         /* a reference */
        bool by_cookie;                               /* it came with a session, and with no key */
        const char *why;                              /* its sender is refused, for the log; static; or NULL */
        ClientCall *call;                             /* what it waits for */
        bool changes;                                 /* that call changes something */
        bool changed;                                 /* one before it has */
        bool waits_for_health;
        struct Request *prev_waiting, *next_waiting; /* of those that do */
        void (*next)(struct Request *request, const ClientAnswer *answer);
        void *state; /* of the route that answers it, freed by free() */
} Request;

/* A header's value; NULL if there is none; borrowed. */
const char *request_header(const Request *request, const char *name);

/* What Authorization: bears; NULL if nothing; borrowed. */
const char *request_bearer(const Request *request);

/* All values of a header that is a list, in their order, with commas between them; NULL if there is none, or no
 * memory; the caller frees. */
char *request_header_list(const Request *request, const char *name) _must_check_;

/* Whether a header that is a list has this word, in whatever case. */
bool request_header_has(const Request *request, const char *name, const char *word);

/* Adds a header to the answer, before it is given; one too many is left out. */
void request_add_header(Request *request, const char *name, const char *format, ...) _printf_(3, 4);

/* ---- Each of these answers the request, which may be gone when they return. */

/* @body: taken; NULL where there is no memory. @type: static. */
void request_answer(Request *request, unsigned status, const char *type, char *body);

/* The same with text that lives as long as the program. */
void request_answer_static(Request *request, unsigned status, const char *type, const char *text, size_t size);

/* The same with what was prepared when the program began: compressed, and with its tag. */
void request_answer_prepared(Request *request, const struct PageFile *file);

/* The same with text inside a message, of which a reference is kept. */
void request_answer_message(Request *request, unsigned status, sd_bus_message *message, const char *text);

/* A status alone. */
void request_answer_empty(Request *request, unsigned status);

/**
 * request_take_socket() - answer by writing to the client's socket from now on
 *
 * The request is at its end when the server next looks at it; nothing else may answer it.
 *
 * Return: the socket, which the caller closes; negative errno.
 */
int request_take_socket(Request *request) _must_check_;

#define TYPE_JSON "application/json"
