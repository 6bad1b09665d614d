/*
 * The HTTP service. Owns each request from its first line to its answer, and the hand-over between
 * the thread of the connections and the workers; knows no path.
 *
 * While a worker has a request, its connection is suspended: libmicrohttpd does not touch it.
 */
#include "gatepost/base/http_service.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <microhttpd.h>

#include "gatepost/base/clock.h"
#include "http_peers.h"

/*
 * Milliseconds: from the answer to the next request (nginx keeps a connection for 60 s); for a
 * request, and for taking its answer.
 */
#define IDLE_MAX 90000
#define REQUEST_MAX 10000
#define CLOSE_MAX 2000
#define LAST_ANSWER_MAX 500

/* The same for a connection that there was no memory to watch, in seconds. */
#define UNWATCHED_MAX 120

/*
 * Octets of the bodies of all requests of a service; above it only small ones are taken, so that
 * many who begin a large one, and never end, do not take the memory.
 */
#define BODIES_MAX (32 * 1024 * 1024)
#define SMALL_BODY 4096

/* Octets of a body that are read though it is too large, so that its sender sees the answer. */
#define THROWN_AWAY_MAX (1024 * 1024)

/* Newcomers and those who are just being cut. */
#define OVERLAP 100

/*
 * Octets of memory for a connection's header and answer: above 32 KiB libmicrohttpd takes pages of
 * the system, which come as they are needed, and leave nothing behind.
 */
#define CONNECTION_MEMORY (64 * 1024)

struct http_response {
    struct MHD_Response *made; /* NULL: no memory, the connection is cut */
    unsigned status;
};

enum progress { READING, TOO_LARGE, CROWDED_OUT, ASKED, ANSWERED };

/* One request, from its first line until it is completed. */
struct exchange {
    struct work work;
    struct http_service *service;
    struct MHD_Connection *connection;
    enum progress progress; /* the connection's thread's; the worker's while it is suspended */
    bool begun;             /* its header is here */
    bool unsound;           /* it may mean two things */
    bool judged;            /* a worker has had it */
    char *target;           /* the memory of path and query */
    struct http_field *fields;
    char *body;
    size_t body_size;
    struct http_request request;
    struct http_response response;
};

struct http_service {
    struct MHD_Daemon *daemon;
    struct http_service_settings settings;
    struct http_peers *peers;
    size_t bodies; /* octets that requests hold; the connections' thread's */
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned in_progress; /* under lock, as all that follows: exchanges */
    unsigned held;        /* of these the workers' */
    unsigned answering;   /* of these the ones whose answer is made, and is not sent yet */
    bool closing, closed; /* no connection is kept; no request is given to a worker */
};

/* ---- responses ---- */

void http_response_begin(struct http_response *response, unsigned status, const char *type,
                         const char *body, size_t len) {
    if (response->made != NULL)
        MHD_destroy_response(response->made);
    response->status = status;
    response->made = MHD_create_response_from_buffer(len, (void *)body, MHD_RESPMEM_MUST_COPY);
    if (len > 0)
        http_response_field(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    http_response_field(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
}

void http_response_field(struct http_response *response, const char *name, const char *value) {
    if (response->made != NULL && value[0] != '\0')
        MHD_add_response_header(response->made, name, value);
}

static void wipe_free(char *memory, size_t size) {
    if (memory != NULL)
        explicit_bzero(memory, size);
    free(memory);
}

/* ---- the way of a request ---- */

/* libmicrohttpd has read the request line. */
static void *begin_exchange(void *context, const char *target, struct MHD_Connection *connection) {
    struct http_service *service = context;
    struct exchange *x = calloc(1, sizeof *x);
    if (x == NULL || (x->target = strdup(target)) == NULL) {
        free(x);
        return NULL; /* on_request() cuts the connection */
    }
    x->service = service;
    x->connection = connection;
    http_target_split(x->target, &x->request.path, &x->request.query);
    http_peers_set(service->peers, connection, PEER_ASKS);
    pthread_mutex_lock(&service->lock);
    service->in_progress++;
    pthread_mutex_unlock(&service->lock);
    return x;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code) {
    struct http_service *service = context;
    struct exchange *x = *state;
    (void)code;
    http_peers_set(service->peers, connection, PEER_WAITS);
    if (x == NULL)
        return;
    *state = NULL;
    bool judged = x->judged;
    if (x->response.made != NULL)
        MHD_destroy_response(x->response.made);
    wipe_free(x->body, x->body_size);
    service->bodies -= x->body_size;
    free(x->fields);
    free(x->target);
    free(x);
    pthread_mutex_lock(&service->lock);
    service->in_progress--;
    service->answering -= judged ? 1 : 0;
    pthread_cond_signal(&service->done);
    pthread_mutex_unlock(&service->lock);
}

static enum MHD_Result add_field(void *context, enum MHD_ValueKind kind, const char *name,
                                 size_t name_len, const char *value, size_t len) {
    struct exchange *x = context;
    (void)kind;
    x->fields[x->request.n_fields++] = (struct http_field){name, value == NULL ? "" : value};
    x->unsound |= strlen(name) != name_len || (value != NULL && strlen(value) != len); /* a NUL */
    return MHD_YES;
}

static bool collect_fields(struct exchange *x) {
    int n = MHD_get_connection_values(x->connection, MHD_HEADER_KIND, NULL, NULL);
    x->fields = calloc((size_t)n + 1, sizeof *x->fields);
    if (x->fields == NULL)
        return false;
    MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND, add_field, x);
    x->request.fields = x->fields;
    return true;
}

static enum MHD_Result send_response(struct exchange *x) {
    struct http_service *service = x->service;
    pthread_mutex_lock(&service->lock);
    bool closing = service->closing;
    pthread_mutex_unlock(&service->lock);
    http_peers_set(service->peers, x->connection, PEER_ASKS);
    if (x->response.made == NULL)
        return MHD_NO;
    if (closing)
        http_response_field(&x->response, MHD_HTTP_HEADER_CONNECTION, "close");
    return MHD_queue_response(x->connection, x->response.status, x->response.made);
}

static enum MHD_Result refuse(struct exchange *x, enum http_refusal refusal) {
    x->service->settings.refuse(x->service->settings.context, &x->request, refusal, &x->response);
    return send_response(x);
}

/* A body that will be too large; what is not thrown away in a moment is not waited for. */
static enum MHD_Result refuse_large(struct exchange *x, unsigned long long len) {
    if (len > THROWN_AWAY_MAX)
        return x->progress == ANSWERED ? send_response(x) : refuse(x, HTTP_TOO_LARGE);
    if (x->progress == READING)
        x->progress = TOO_LARGE;
    return MHD_YES;
}

/*
 * Can somebody before us have read the request as another one? By a NUL, or by two ways to tell
 * where it ends: RFC 9112 6.3 has both as what cannot be mended, and its connection as closed.
 */
static bool is_sound(const struct exchange *x) {
    const char *value;
    int lengths = http_request_field(&x->request, MHD_HTTP_HEADER_CONTENT_LENGTH, &value);
    int codings = http_request_field(&x->request, MHD_HTTP_HEADER_TRANSFER_ENCODING, &value);
    return !x->unsound && lengths >= 0 && codings >= 0 && (lengths == 0 || codings == 0);
}

/*
 * The header is here, and the body is still to come. It is read also where the answer is made
 * already, since a client that is still sending would not see it; but not without end.
 */
static enum MHD_Result on_header(struct exchange *x, const char *method) {
    const char *length;
    x->begun = true;
    x->request.method = method;
    if (!collect_fields(x) || !is_sound(x))
        return MHD_NO;
    if (!x->service->settings.admit(x->service->settings.context, &x->request, &x->response))
        x->progress = ANSWERED;
    if (http_request_field(&x->request, MHD_HTTP_HEADER_CONTENT_LENGTH, &length) == 1 &&
        strtoull(length, NULL, 10) > HTTP_BODY_MAX)
        return refuse_large(x, strtoull(length, NULL, 10));
    return MHD_YES;
}

/* Keeps a piece of the body; false when there is no memory. */
static bool keep_body(struct exchange *x, const char *piece, size_t len) {
    size_t size = x->body_size == 0 ? 1024 : x->body_size;
    if (len > HTTP_BODY_MAX - x->request.body_len) {
        x->progress = TOO_LARGE;
        return true;
    }
    while (size - x->request.body_len < len)
        size *= 2;
    if (size > x->body_size) {
        size_t *all = &x->service->bodies;
        if (size > SMALL_BODY && *all + size > BODIES_MAX) {
            x->progress = CROWDED_OUT;
            return true;
        }
        char *larger = malloc(size);
        if (larger == NULL)
            return false;
        *all += size - x->body_size;
        if (x->body != NULL)
            memcpy(larger, x->body, x->request.body_len);
        wipe_free(x->body, x->body_size);
        x->request.body = x->body = larger;
        x->body_size = size;
    }
    memcpy(x->body + x->request.body_len, piece, len);
    x->request.body_len += len;
    return true;
}

/* False when the service has ended, and waits for no more workers. */
static bool hold(struct http_service *service) {
    pthread_mutex_lock(&service->lock);
    bool open = !service->closed;
    service->held += open ? 1 : 0;
    pthread_mutex_unlock(&service->lock);
    return open;
}

/* From now on it belongs to the thread of the connections again. */
static void let_go(struct exchange *x) {
    struct http_service *service = x->service;
    pthread_mutex_lock(&service->lock);
    x->judged = true;
    service->answering++;
    pthread_mutex_unlock(&service->lock);
    MHD_resume_connection(x->connection);
    pthread_mutex_lock(&service->lock);
    service->held--;
    pthread_cond_signal(&service->done);
    pthread_mutex_unlock(&service->lock);
}

/* A worker's. */
static void answer_exchange(struct work *work) {
    struct exchange *x = (struct exchange *)work;
    struct http_service *service = x->service;
    service->settings.answer(service->settings.context, &x->request, &x->response);
    x->progress = ANSWERED;
    let_go(x);
}

/* Somebody else makes the answer, while nobody else touches the connection. */
static enum MHD_Result hand_over(struct exchange *x) {
    struct http_service *service = x->service;
    if (!hold(service))
        return refuse(x, HTTP_BUSY);
    x->progress = ASKED;
    x->work.run = answer_exchange;
    http_peers_set(service->peers, x->connection, PEER_HELD);
    MHD_suspend_connection(x->connection);
    if (workers_give(service->settings.workers, &x->work) != 0)
        let_go(x);
    return MHD_YES;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *piece, size_t *piece_len, void **state) {
    struct http_service *service = context;
    struct exchange *x = *state;
    (void)connection;
    (void)path;
    (void)version;
    if (x == NULL)
        return MHD_NO;
    if (!x->begun)
        return on_header(x, method);
    if (*piece_len > 0) {
        bool kept = x->progress != READING || keep_body(x, piece, *piece_len);
        if (service->settings.secret)
            explicit_bzero((char *)piece, *piece_len); /* in libmicrohttpd's own buffer */
        *piece_len = 0;
        return kept ? MHD_YES : MHD_NO;
    }
    switch (x->progress) {
    case READING:
        return hand_over(x);
    case TOO_LARGE:
        return refuse(x, HTTP_TOO_LARGE);
    case CROWDED_OUT:
    case ASKED: /* nobody took it */
        return refuse(x, HTTP_BUSY);
    case ANSWERED:
        break;
    }
    return send_response(x);
}

/* ---- the service ---- */

static void free_service(struct http_service *service) {
    http_peers_close(service->peers);
    pthread_cond_destroy(&service->done);
    pthread_mutex_destroy(&service->lock);
    free(service);
}

static struct http_service *new_service(const struct http_service_settings *settings) {
    const struct http_peers_settings peers = {
        .kept = settings->connections,
        .patience = {[PEER_WAITS] = IDLE_MAX, [PEER_ASKS] = REQUEST_MAX}};
    struct http_service *service = calloc(1, sizeof *service);
    if (service == NULL)
        return NULL;
    service->settings = *settings;
    pthread_mutex_init(&service->lock, NULL);
    clock_cond_init(&service->done);
    if (http_peers_open(&peers, &service->peers) != 0 || http_peers_watch(service->peers) != 0) {
        free_service(service);
        return NULL;
    }
    return service;
}

int http_service_open(int listener, const struct http_service_settings *settings,
                      struct http_service **out, struct why *why) {
    struct http_service *service = new_service(settings);
    if (service != NULL)
        service->daemon = MHD_start_daemon(
            MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_SUSPEND_RESUME, 0, NULL, NULL,
            on_request, service, MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT,
            settings->connections + OVERLAP, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
            (size_t)CONNECTION_MEMORY, MHD_OPTION_URI_LOG_CALLBACK, begin_exchange, service,
            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)UNWATCHED_MAX, MHD_OPTION_NOTIFY_CONNECTION,
            http_peers_notify, service->peers, MHD_OPTION_NOTIFY_COMPLETED, on_completed, service,
            MHD_OPTION_END);
    if (service == NULL || service->daemon == NULL) {
        if (service != NULL)
            free_service(service); /* whether the socket is closed then is not documented */
        else
            close(listener);
        return why_set(why, "no memory or thread to serve it");
    }
    *out = service;
    return 0;
}

/* Until there are none of them, for some milliseconds at most. */
static void wait_locked(struct http_service *service, const unsigned *count, int64_t ms) {
    int64_t deadline = clock_now_ms() + ms;
    struct timespec until = clock_timespec(deadline);
    while (*count > 0 && clock_now_ms() < deadline)
        pthread_cond_timedwait(&service->done, &service->lock, &until);
}

void http_service_close(struct http_service *service) {
    if (service == NULL)
        return;
    int listener = MHD_quiesce_daemon(service->daemon);
    pthread_mutex_lock(&service->lock);
    service->closing = true;
    wait_locked(service, &service->in_progress, CLOSE_MAX);
    service->closed = true;
    while (service->held > 0) /* libmicrohttpd cannot end while a connection is suspended */
        pthread_cond_wait(&service->done, &service->lock);
    wait_locked(service, &service->answering, LAST_ANSWER_MAX);
    pthread_mutex_unlock(&service->lock);
    MHD_stop_daemon(service->daemon);
    if (listener >= 0)
        close(listener);
    free_service(service);
}
