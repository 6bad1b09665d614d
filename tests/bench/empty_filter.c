/* The filter that does nothing: the yardstick for what libmilter itself costs. It asks for CONNECT,
   HELO (without a reply, where the MTA offers that) and MAIL, and accepts at MAIL. With --headers
   it goes on to the end of the message and inserts one header there, as a filter that adds
   Authentication-Results must; with --headers=see the message's own headers are sent to it too. */

#include <getopt.h>
#include <libmilter/mfapi.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool adds_header;
static bool sees_headers;

/* A session's private data points here when its HELO and headers go without a reply: libmilter
   wants to be told at each callback, and no memory is needed to remember one bit. */
static char no_helo_reply;
static char no_header_reply;
static char no_reply_at_all;

static sfsistat filter_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
                                 unsigned long unused1, unsigned long unused2,
                                 unsigned long *use_actions, unsigned long *use_steps,
                                 unsigned long *use1, unsigned long *use2) {
    (void)unused1;
    (void)unused2;
    unsigned long wanted =
        SMFIP_NORCPT | SMFIP_NODATA | SMFIP_NOEOH | SMFIP_NOBODY | SMFIP_NOUNKNOWN | SMFIP_NR_HELO;
    wanted |= sees_headers ? SMFIP_NR_HDR : SMFIP_NOHDRS;
    *use_actions = adds_header ? actions & SMFIF_ADDHDRS : 0;
    *use_steps = steps & wanted;
    *use1 = 0;
    *use2 = 0;
    bool helo = (*use_steps & SMFIP_NR_HELO) != 0;
    bool header = (*use_steps & SMFIP_NR_HDR) != 0;
    if (helo && header)
        smfi_setpriv(ctx, &no_reply_at_all);
    else if (helo)
        smfi_setpriv(ctx, &no_helo_reply);
    else if (header)
        smfi_setpriv(ctx, &no_header_reply);
    return SMFIS_CONTINUE;
}

static sfsistat filter_connect(SMFICTX *ctx, char *host, struct sockaddr *address) {
    (void)ctx;
    (void)host;
    (void)address;
    return SMFIS_CONTINUE;
}

static sfsistat filter_helo(SMFICTX *ctx, char *name) {
    (void)name;
    const char *mark = smfi_getpriv(ctx);
    return mark == &no_helo_reply || mark == &no_reply_at_all ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static sfsistat filter_envfrom(SMFICTX *ctx, char **arguments) {
    (void)ctx;
    (void)arguments;
    return adds_header ? SMFIS_CONTINUE : SMFIS_ACCEPT;
}

static sfsistat filter_header(SMFICTX *ctx, char *name, char *value) {
    (void)name;
    (void)value;
    const char *mark = smfi_getpriv(ctx);
    return mark == &no_header_reply || mark == &no_reply_at_all ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static sfsistat filter_eom(SMFICTX *ctx) {
    static char name[] = "Authentication-Results";
    static char value[] = "mx.example.net; spf=pass smtp.mailfrom=alice@example.com";
    return smfi_insheader(ctx, 0, name, value) == MI_SUCCESS ? SMFIS_CONTINUE : SMFIS_TEMPFAIL;
}

static sfsistat filter_close(SMFICTX *ctx) {
    smfi_setpriv(ctx, NULL);
    return SMFIS_CONTINUE;
}

static int filter_main(char *socket_name) {
    static char filter_name[] = "empty_filter";
    struct smfiDesc filter = {
        .xxfi_name = filter_name,
        .xxfi_version = SMFI_VERSION,
        .xxfi_flags = adds_header ? SMFIF_ADDHDRS : SMFIF_NONE,
        .xxfi_connect = filter_connect,
        .xxfi_helo = filter_helo,
        .xxfi_envfrom = filter_envfrom,
        .xxfi_header = sees_headers ? filter_header : NULL,
        .xxfi_eom = adds_header ? filter_eom : NULL,
        .xxfi_close = filter_close,
        .xxfi_negotiate = filter_negotiate,
    };
    if (smfi_setconn(socket_name) != MI_SUCCESS || smfi_register(filter) != MI_SUCCESS ||
        smfi_opensocket(1) != MI_SUCCESS)
        return 1;
    return smfi_main() == MI_SUCCESS ? 0 : 1;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"headers", optional_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 'h' || (optarg != NULL && strcmp(optarg, "see") != 0)) {
            optind = argc;
            break;
        }
        adds_header = true;
        sees_headers = optarg != NULL;
    }
    if (argc - optind != 1) {
        fputs("usage: empty_filter [--headers[=see]] SOCKET\n", stderr);
        return 2;
    }
    return filter_main(argv[optind]);
}
