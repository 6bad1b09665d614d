/*
 * GET /v1/allow: for whoever has HTTP, as a reverse proxy. Owns the two forms of the question; the
 * status is the answer.
 */
#include "door.h"

#include <string.h>

#include "gatepost/base/http_request.h"

enum { SERVICE, ACCOUNT, IP, TLS, MEMBERS };

static const char *const in_query[MEMBERS] = {"service", "account", "ip", "tls"};
static const char *const in_header[MEMBERS] = {"X-Gatepost-Service", "X-Gatepost-Account",
                                               "X-Gatepost-Client", "X-Gatepost-TLS"};

/* The question's words; an absent one is empty. */
struct words_of {
    char texts[MEMBERS][1024];
};

static int read_header(const struct http_request *request, const char *values[MEMBERS],
                       struct why *why) {
    int found = 0;
    for (int i = 0; i < MEMBERS; i++) {
        int rc = http_request_field(request, in_header[i], &values[i]);
        if (rc < 0)
            return why_set(why, "%s is there twice", in_header[i]);
        found += rc;
    }
    return found;
}

static int read_words(const struct http_request *request, struct words_of *out, struct why *why) {
    const char *values[MEMBERS] = {"", "", "", ""};
    struct http_member members[MEMBERS];
    memset(out, 0, sizeof *out);
    for (int i = 0; i < MEMBERS; i++)
        members[i] = (struct http_member){
            .name = in_query[i], .value = out->texts[i], .size = sizeof out->texts[i]};
    int found = read_header(request, values, why);
    if (found < 0)
        return -1;
    if (found > 0 && request->query[0] != '\0')
        return why_set(why, "it is asked both by the query and by header fields");
    if (http_query_read(request->query, members, MEMBERS) != 0)
        return why_set(why, "the query is no service=&account=&ip=&tls=, each once");
    for (int i = 0; i < MEMBERS; i++) {
        if (found > 0 && strlen(values[i]) >= sizeof out->texts[i])
            return why_set(why, "%s is too long", in_header[i]);
        if (found > 0)
            strcpy(out->texts[i], values[i]);
        if (!door_is_text(out->texts[i], strlen(out->texts[i])))
            return why_set(why, "%s is no text of UTF-8", in_query[i]);
    }
    return 0;
}

static int read_question(const struct words_of *words, struct door_question *q, struct why *why) {
    const char *tls = words->texts[TLS];
    int encrypted = tls[0] == '\0' ? 0 : switch_parse(tls, strlen(tls));
    *q = (struct door_question){
        .door = DOOR_HTTP, .service = words->texts[SERVICE], .login = words->texts[ACCOUNT]};
    if (q->service[0] == '\0')
        return why_set(why, "there is no service");
    if (door_address(words->texts[IP], &q->client) != 0)
        return why_set(why, "ip is no IP address");
    if (encrypted < 0)
        return why_set(why, "tls is neither on nor off");
    q->real_client = q->client;
    q->tls = encrypted == 1;
    return 0;
}

void door_allow(struct runtime *runtime, const struct http_request *request,
                struct http_response *response) {
    struct door_question question;
    struct door_answer answer;
    struct words_of words;
    struct why why;
    if (read_words(request, &words, &why) != 0 || read_question(&words, &question, &why) != 0) {
        door_log_bad(request, why.text);
        door_respond(response, 400, "reject", BAD_REQUEST, why.text);
        return;
    }
    if (question.login[0] == '\0') {
        door_respond(response, 401, "reject", reason_name(REASON_AUTH_REQUIRED),
                     "log in to be let in");
        http_response_field(response, "WWW-Authenticate",
                            "Basic realm=\"mail\", charset=\"UTF-8\"");
        return;
    }
    door_ask(runtime, &question, &answer);
    door_respond_answer(response, 200, &answer);
}
