/*
 * The milter protocol. The only file that names SMFICTX, and all it does is translate: libmilter's
 * callbacks into calls of session.h, a session's answers into libmilter's.
 */
#include "callbacks.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <libmilter/mfapi.h>

#include "gatepost/base/log.h"
#include "gatepost/session/session.h"

/*
 * What libmilter keeps for a connection is its session; the session's tag has the steps that the
 * MTA expects no answer to (SMFIP_NR_*).
 */
static struct session *session_begin(void) {
    struct runtime *runtime = runtime_current();
    struct session *session = runtime == NULL ? NULL : session_new(runtime);
    runtime_release(runtime);
    return session;
}

/*
 * In the tag as well: the MTA has agreed to send the macros that were asked for. One that is
 * missing nevertheless was lost on the way, and what it would have said is not known.
 */
#define MACROS_AGREED 0x80000000u

static struct session *session_of(SMFICTX *ctx) {
    return smfi_getpriv(ctx);
}

/* The macros that the verdict needs, at the steps where both MTAs have them. */
static void ask_macros(SMFICTX *ctx) {
    static char connect[] = "j v {daemon_name} {daemon_addr} {daemon_port}";
    static char helo[] = "{tls_version}";
    static char mail[] = "i {auth_authen} {mail_addr} {tls_version}";
    smfi_setsymlist(ctx, SMFIM_CONNECT, connect);
    smfi_setsymlist(ctx, SMFIM_HELO, helo);
    smfi_setsymlist(ctx, SMFIM_ENVFROM, mail);
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
                             unsigned long f2, unsigned long f3, unsigned long *p_actions,
                             unsigned long *p_steps, unsigned long *p_f2, unsigned long *p_f3) {
    struct session *session = session_begin();
    (void)f2;
    (void)f3;
    if (session == NULL)
        return SMFIS_REJECT; /* the MTA takes its milter_default_action */
    session_free(session_of(ctx));
    smfi_setpriv(ctx, session);
    const struct config *config = session_config(session);
    unsigned long unwanted = SMFIP_NORCPT | SMFIP_NODATA | SMFIP_NOEOH | SMFIP_NOBODY |
                             SMFIP_NOUNKNOWN | SMFIP_NR_HELO | SMFIP_NR_HDR;
    unsigned long wanted_actions = 0;
    if (config->authentication_results || config->received_spf)
        wanted_actions = SMFIF_ADDHDRS | SMFIF_CHGHDRS;
    else
        unwanted |= SMFIP_NOHDRS; /* there is nothing to remove */
    if (!config->any_connect_from)
        unwanted |= SMFIP_NR_CONN;
    *p_actions = actions & (wanted_actions | SMFIF_SETSYMLIST);
    *p_steps = steps & unwanted;
    *p_f2 = *p_f3 = 0;
    *session_tag(session) = *p_steps & (SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_HDR);
    if ((*p_actions & SMFIF_SETSYMLIST) != 0) {
        ask_macros(ctx);
        *session_tag(session) |= MACROS_AGREED;
    }
    return SMFIS_CONTINUE;
}

/* An answer that refuses, with its reply; SMFIS_CONTINUE for one that does not. */
static sfsistat refusal(SMFICTX *ctx, struct session_answer *answer) {
    if (answer->kind != VERDICT_DEFER && answer->kind != VERDICT_REJECT)
        return SMFIS_CONTINUE;
    if (smfi_setreply(ctx, answer->reply.code, answer->reply.enhanced, answer->reply.text) !=
        MI_SUCCESS)
        log_event(LOG_ERR, "reply-refused", "reply", answer->reply.text, (char *)NULL);
    return answer->kind == VERDICT_DEFER ? SMFIS_TEMPFAIL : SMFIS_REJECT;
}

static sfsistat step_done(struct session *session, unsigned step) {
    return (*session_tag(session) & step) != 0 ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static bool macros_agreed(struct session *session) {
    return (*session_tag(session) & MACROS_AGREED) != 0;
}

static sfsistat tempfail_lost(struct session *session, const char *step) {
    session_lose(session); /* the MTA may not wait for the answer to this step */
    log_event(LOG_ERR, "macros-lost", "step", step, "problem",
              "the MTA agreed to send macros, and they are missing", (char *)NULL);
    return SMFIS_TEMPFAIL;
}

static struct ip_address client_of(const _SOCK_ADDR *address) {
    if (address != NULL && address->sa_family == AF_INET)
        return ip_from_bytes(
            IP_V4, (const uint8_t *)&((const struct sockaddr_in *)(const void *)address)->sin_addr);
    if (address != NULL && address->sa_family == AF_INET6)
        return ip_from_bytes(
            IP_V6,
            (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
    return (struct ip_address){.family = IP_NONE};
}

static char *macro(SMFICTX *ctx, const char *name) {
    return smfi_getsymval(ctx, (char *)name); /* libmilter only reads it */
}

static sfsistat on_connect(SMFICTX *ctx, char *name, _SOCK_ADDR *address) {
    struct session *session = session_of(ctx);
    (void)name;
    if (session == NULL) { /* an MTA that does not negotiate */
        session = session_begin();
        if (session == NULL)
            return SMFIS_TEMPFAIL;
        smfi_setpriv(ctx, session);
    }
    const struct session_peer peer = {.client = client_of(address),
                                      .daemon_name = macro(ctx, "{daemon_name}"),
                                      .daemon_port = macro(ctx, "{daemon_port}"),
                                      .daemon_addr = macro(ctx, "{daemon_addr}"),
                                      .mta_name = macro(ctx, "j"),
                                      .mta_version = macro(ctx, "v")};
    struct session_answer answer;
    if (peer.daemon_name == NULL && peer.daemon_port == NULL && macros_agreed(session))
        return tempfail_lost(session, "connect");
    session_connect(session, &peer, &answer);
    sfsistat refused = refusal(ctx, &answer);
    return refused != SMFIS_CONTINUE ? refused : step_done(session, SMFIP_NR_CONN);
}

static sfsistat on_helo(SMFICTX *ctx, char *name) {
    struct session *session = session_of(ctx);
    if (session == NULL)
        return SMFIS_TEMPFAIL;
    session_helo(session, name);
    return step_done(session, SMFIP_NR_HELO);
}

static sfsistat on_mail(SMFICTX *ctx, char **argv) {
    struct session *session = session_of(ctx);
    if (session == NULL || argv == NULL || argv[0] == NULL)
        return SMFIS_TEMPFAIL;
    const struct session_mail mail = {.sender = argv[0],
                                      .understood = macro(ctx, "{mail_addr}"),
                                      .login = macro(ctx, "{auth_authen}"),
                                      .tls = macro(ctx, "{tls_version}"),
                                      .queue = macro(ctx, "i")};
    struct session_answer answer;
    if (mail.understood == NULL && strcmp(mail.sender, "<>") != 0 && macros_agreed(session))
        return tempfail_lost(session, "mail");
    session_mail(session, &mail, &answer);
    sfsistat refused = refusal(ctx, &answer);
    if (refused == SMFIS_CONTINUE && answer.wants_headers)
        return SMFIS_CONTINUE;
    session_end_message(session); /* the MTA does not ask about it any more */
    return refused != SMFIS_CONTINUE ? refused : SMFIS_ACCEPT;
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value) {
    struct session *session = session_of(ctx);
    if (session == NULL)
        return SMFIS_TEMPFAIL;
    session_header(session, name, value);
    return step_done(session, SMFIP_NR_HDR);
}

/* MI_SUCCESS, or something else where libmilter did not do all of it. */
static int change_header(SMFICTX *ctx, const struct session_changes *changes) {
    int rc = MI_SUCCESS;
    for (size_t i = changes->n_forged; i > 0;
         i--) { /* from the last: the others keep their place */
        const struct session_field *field = &changes->forged[i - 1];
        rc |= smfi_chgheader(ctx, (char *)session_field_names[field->name], (int)field->instance,
                             NULL);
    }
    if (changes->received_spf != NULL)
        rc |= smfi_insheader(ctx, 0, (char *)session_field_names[FIELD_RECEIVED_SPF],
                             (char *)changes->received_spf);
    if (changes->authentication_results != NULL)
        rc |= smfi_insheader(ctx, 0, (char *)session_field_names[FIELD_AUTHENTICATION_RESULTS],
                             (char *)changes->authentication_results);
    return rc;
}

static sfsistat judge_end(SMFICTX *ctx, struct session *session) {
    struct session_answer answer;
    struct session_changes changes;
    if (session_end_of_message(session, macro(ctx, "i"), &answer, &changes) != 0) {
        log_event(LOG_ERR, "no-memory", "step", "end of message", (char *)NULL);
        return SMFIS_TEMPFAIL; /* a forged field, or none of ours, must not get through */
    }
    sfsistat refused = refusal(ctx, &answer);
    if (refused != SMFIS_CONTINUE)
        return refused;
    if (change_header(ctx, &changes) != MI_SUCCESS) {
        log_event(LOG_ERR, "header-refused", "step", "end of message", "problem",
                  "the MTA did not take a change of the header: it must allow them, or "
                  "authentication_results and received_spf be off",
                  (char *)NULL);
        return SMFIS_TEMPFAIL;
    }
    return SMFIS_ACCEPT;
}

static sfsistat on_end_of_message(SMFICTX *ctx) {
    struct session *session = session_of(ctx);
    if (session == NULL)
        return SMFIS_TEMPFAIL;
    sfsistat status = judge_end(ctx, session);
    session_end_message(session);
    return status;
}

static sfsistat on_abort(SMFICTX *ctx) {
    struct session *session = session_of(ctx);
    if (session != NULL)
        session_end_message(session);
    return SMFIS_CONTINUE;
}

static sfsistat on_close(SMFICTX *ctx) {
    session_free(session_of(ctx));
    smfi_setpriv(ctx, NULL);
    return SMFIS_CONTINUE;
}

int callbacks_register(void) {
    static char name[] = "gatepost";
    struct smfiDesc description = {.xxfi_name = name,
                                   .xxfi_version = SMFI_VERSION,
                                   .xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_SETSYMLIST,
                                   .xxfi_connect = on_connect,
                                   .xxfi_helo = on_helo,
                                   .xxfi_envfrom = on_mail,
                                   .xxfi_header = on_header,
                                   .xxfi_eom = on_end_of_message,
                                   .xxfi_abort = on_abort,
                                   .xxfi_close = on_close,
                                   .xxfi_negotiate = on_negotiate};
    return smfi_register(description) == MI_SUCCESS ? 0 : -1;
}
