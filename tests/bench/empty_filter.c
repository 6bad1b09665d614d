/* The filter that does nothing: the yardstick for what libmilter itself costs. It asks for CONNECT,
   HELO (without a reply, where the MTA offers that) and MAIL, and accepts at MAIL. With --headers
   it goes on to the end of the message and inserts one header there, as a filter that adds
   Authentication-Results must; with --headers=see the message's own headers are sent to it too.
   With --as-gatepost it negotiates what Gatepost does: no reply at CONNECT either, and its lists
   of macros. */

#include <getopt.h>
#include <libmilter/mfapi.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool adds_header;
static bool sees_headers;
static bool as_gatepost;

/* Which steps of a session go without a reply: libmilter has to be told at each callback. The
   session's private data is the address of one of these, so that nothing is allocated. */
enum { QUIET_CONNECT = 1, QUIET_HELO = 2, QUIET_HEADER = 4, QUIET_SETS = 8 };
static char quiet_sets[QUIET_SETS];

static sfsistat step_done(SMFICTX *ctx, int step) {
    const char *quiet = smfi_getpriv(ctx);
    return quiet != NULL && ((quiet - quiet_sets) & step) != 0 ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

/* The lists of milter/filter/callbacks.c. */
static void ask_macros(SMFICTX *ctx) {
    static char connect[] = "j v {daemon_name} {daemon_addr} {daemon_port}";
    static char helo[] = "{tls_version}";
    static char mail[] = "i {auth_authen} {mail_addr} {tls_version}";
    smfi_setsymlist(ctx, SMFIM_CONNECT, connect);
    smfi_setsymlist(ctx, SMFIM_HELO, helo);
    smfi_setsymlist(ctx, SMFIM_ENVFROM, mail);
}

static sfsistat filter_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
                                 unsigned long unused1, unsigned long unused2,
                                 unsigned long *use_actions, unsigned long *use_steps,
                                 unsigned long *use1, unsigned long *use2) {
    (void)unused1;
    (void)unused2;
    unsigned long wanted =
        SMFIP_NORCPT | SMFIP_NODATA | SMFIP_NOEOH | SMFIP_NOBODY | SMFIP_NOUNKNOWN | SMFIP_NR_HELO;
    wanted |= sees_headers ? SMFIP_NR_HDR : SMFIP_NOHDRS;
    wanted |= as_gatepost ? SMFIP_NR_CONN : 0;
    *use_actions = actions & ((adds_header ? SMFIF_ADDHDRS : 0) |
                              (adds_header && as_gatepost ? SMFIF_CHGHDRS : 0) |
                              (as_gatepost ? SMFIF_SETSYMLIST : 0));
    *use_steps = steps & wanted;
    *use1 = 0;
    *use2 = 0;
    int quiet = ((*use_steps & SMFIP_NR_CONN) != 0 ? QUIET_CONNECT : 0) |
                ((*use_steps & SMFIP_NR_HELO) != 0 ? QUIET_HELO : 0) |
                ((*use_steps & SMFIP_NR_HDR) != 0 ? QUIET_HEADER : 0);
    smfi_setpriv(ctx, &quiet_sets[quiet]);
    if ((*use_actions & SMFIF_SETSYMLIST) != 0)
        ask_macros(ctx);
    return SMFIS_CONTINUE;
}

static sfsistat filter_connect(SMFICTX *ctx, char *host, struct sockaddr *address) {
    (void)host;
    (void)address;
    return step_done(ctx, QUIET_CONNECT);
}

static sfsistat filter_helo(SMFICTX *ctx, char *name) {
    (void)name;
    return step_done(ctx, QUIET_HELO);
}

static sfsistat filter_envfrom(SMFICTX *ctx, char **arguments) {
    (void)ctx;
    (void)arguments;
    return adds_header ? SMFIS_CONTINUE : SMFIS_ACCEPT;
}

static sfsistat filter_header(SMFICTX *ctx, char *name, char *value) {
    (void)name;
    (void)value;
    return step_done(ctx, QUIET_HEADER);
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
        .xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_SETSYMLIST,
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

static int usage(void) {
    fputs("usage: empty_filter [--as-gatepost] [--headers[=see]] SOCKET\n", stderr);
    return 2;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"as-gatepost", no_argument, NULL, 'g'},
                                            {"headers", optional_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'g') {
            as_gatepost = true;
        } else if (option == 'h' && (optarg == NULL || strcmp(optarg, "see") == 0)) {
            adds_header = true;
            sees_headers = optarg != NULL;
        } else {
            return usage();
        }
    }
    return argc - optind == 1 ? filter_main(argv[optind]) : usage();
}
