/* The command line of milter_load: what each option is called, what it may say and what holds when
   it is absent. It owns no memory and opens nothing; host names are never looked up. */

#include "load_options.h"
#include "load_identity.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

const char *const load_outcome_names[LOAD_OUTCOMES] = {"accept", "continue", "reject", "tempfail",
                                                       "discard"};

static const char help[] =
    "usage: milter_load --socket unix:PATH|inet:PORT@ADDRESS [OPTION]...\n"
    "Load on a milter, as an MTA would give it, and how fast it answers.\n"
    "  --connections N     sessions under way at once (default 8)\n"
    "  --sessions N        stop after N sessions\n"
    "  --seconds S         stop beginning sessions after S seconds (default 3)\n"
    "  --time-limit S      give up on everything after S seconds\n"
    "  --idle N            N more connections that stay idle behind CONNECT\n"
    "  --client IP         address of the SMTP client (default 192.0.2.10)\n"
    "  --client-count N    cycle through N addresses, the first of them IP\n"
    "  --helo NAME         default client.example.org\n"
    "  --sender ADDRESS    default alice@example.com\n"
    "  --login NAME        logged in as NAME\n"
    "  --sender-count N    {n} in sender and login is a number cycling below N\n"
    "  --random SEED       the number is drawn at random instead\n"
    "  --daemon-name NAME  default mx.example.net\n"
    "  --daemon-port PORT  told at CONNECT (otherwise only if the filter asks)\n"
    "  --queue-id          the queue id is known at MAIL already\n"
    "  --tls               the client came over TLS\n"
    "  --expect OUTCOME    accept, continue (asked on to the end of the message),\n"
    "                      reject, tempfail or discard; others fail the run\n"
    "  --json              print one JSON object\n"
    "Exit status: 0, 1 if a session failed or ended otherwise than expected, 2 usage.\n";

static int complain(const char *option, const char *text) {
    fprintf(stderr, "milter_load: --%s: cannot use \"%s\"\n", option, text);
    return -1;
}

static int read_number(const char *text, unsigned long least, unsigned long most,
                       unsigned long *number) {
    char *end;
    errno = 0;
    if (text[0] < '0' || text[0] > '9')
        return -1;
    *number = strtoul(text, &end, 10);
    return errno == 0 && *end == '\0' && *number >= least && *number <= most ? 0 : -1;
}

static int read_seconds(const char *text, double *seconds) {
    char *end;
    *seconds = strtod(text, &end);
    return end != text && *end == '\0' && *seconds > 0 && *seconds <= 86400 ? 0 : -1;
}

static int read_unix_socket(struct load_options *options, const char *path) {
    struct sockaddr_un *address = (struct sockaddr_un *)&options->address;
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof address->sun_path)
        return -1;
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, length + 1);
    options->address_length = sizeof *address;
    return 0;
}

/* PORT@ADDRESS; the address numeric or "localhost". */
static int read_inet_socket(struct load_options *options, const char *text) {
    char port[8];
    const char *at = strchr(text, '@');
    if (at == NULL || (size_t)(at - text) >= sizeof port)
        return -1;
    memcpy(port, text, (size_t)(at - text));
    port[at - text] = '\0';
    const char *host = strcmp(at + 1, "localhost") == 0 ? "127.0.0.1" : at + 1;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return -1;
    memcpy(&options->address, found->ai_addr, found->ai_addrlen);
    options->address_length = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

static int read_socket(struct load_options *options, const char *text) {
    if (strncmp(text, "unix:", 5) == 0)
        return read_unix_socket(options, text + 5);
    if (strncmp(text, "local:", 6) == 0)
        return read_unix_socket(options, text + 6);
    if (strncmp(text, "inet:", 5) == 0)
        return read_inet_socket(options, text + 5);
    if (strncmp(text, "inet6:", 6) == 0)
        return read_inet_socket(options, text + 6);
    return -1;
}

static int read_client(struct load_options *options, const char *text) {
    options->client_family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
    return inet_pton(options->client_family, text, options->client) == 1 ? 0 : -1;
}

static int read_outcome(struct load_options *options, const char *text) {
    for (int outcome = 0; outcome < LOAD_OUTCOMES; outcome++) {
        if (strcmp(text, load_outcome_names[outcome]) == 0) {
            options->expect = outcome;
            return 0;
        }
    }
    return -1;
}

enum option_key {
    KEY_CLIENT = 1,
    KEY_CLIENT_COUNT,
    KEY_CONNECTIONS,
    KEY_DAEMON_NAME,
    KEY_DAEMON_PORT,
    KEY_EXPECT,
    KEY_HELO,
    KEY_HELP,
    KEY_IDLE,
    KEY_JSON,
    KEY_LOGIN,
    KEY_QUEUE_ID,
    KEY_RANDOM,
    KEY_SECONDS,
    KEY_SENDER,
    KEY_SENDER_COUNT,
    KEY_SESSIONS,
    KEY_SOCKET,
    KEY_TIME_LIMIT,
    KEY_TLS
};

static const struct option long_options[] = {
    {"client", required_argument, NULL, KEY_CLIENT},
    {"client-count", required_argument, NULL, KEY_CLIENT_COUNT},
    {"connections", required_argument, NULL, KEY_CONNECTIONS},
    {"daemon-name", required_argument, NULL, KEY_DAEMON_NAME},
    {"daemon-port", required_argument, NULL, KEY_DAEMON_PORT},
    {"expect", required_argument, NULL, KEY_EXPECT},
    {"helo", required_argument, NULL, KEY_HELO},
    {"help", no_argument, NULL, KEY_HELP},
    {"idle", required_argument, NULL, KEY_IDLE},
    {"json", no_argument, NULL, KEY_JSON},
    {"login", required_argument, NULL, KEY_LOGIN},
    {"queue-id", no_argument, NULL, KEY_QUEUE_ID},
    {"random", required_argument, NULL, KEY_RANDOM},
    {"seconds", required_argument, NULL, KEY_SECONDS},
    {"sender", required_argument, NULL, KEY_SENDER},
    {"sender-count", required_argument, NULL, KEY_SENDER_COUNT},
    {"sessions", required_argument, NULL, KEY_SESSIONS},
    {"socket", required_argument, NULL, KEY_SOCKET},
    {"time-limit", required_argument, NULL, KEY_TIME_LIMIT},
    {"tls", no_argument, NULL, KEY_TLS},
    {NULL, 0, NULL, 0}};

/* The options that are a text, or just there. */
static int set_text(struct load_options *options, int key, const char *text) {
    switch (key) {
    case KEY_HELO:
        options->helo = text;
        return 0;
    case KEY_SENDER:
        options->sender = text;
        return 0;
    case KEY_LOGIN:
        options->login = text;
        return 0;
    case KEY_DAEMON_NAME:
        options->daemon_name = text;
        return 0;
    case KEY_QUEUE_ID:
        options->queue_id = true;
        return 0;
    case KEY_TLS:
        options->tls = true;
        return 0;
    case KEY_JSON:
        options->json = true;
        return 0;
    default:
        return -1;
    }
}

/* The options that are read and checked; all others go to set_text. */
static int set_option(struct load_options *options, int key, const char *text) {
    unsigned long number = 0;
    int rc;
    switch (key) {
    case KEY_SOCKET:
        return read_socket(options, text);
    case KEY_CLIENT:
        return read_client(options, text);
    case KEY_EXPECT:
        return read_outcome(options, text);
    case KEY_SECONDS:
        return read_seconds(text, &options->seconds);
    case KEY_TIME_LIMIT:
        return read_seconds(text, &options->time_limit);
    case KEY_CONNECTIONS:
        rc = read_number(text, 1, 60000, &number);
        options->connections = (unsigned)number;
        return rc;
    case KEY_IDLE:
        rc = read_number(text, 0, 60000, &number);
        options->idle = (unsigned)number;
        return rc;
    case KEY_SESSIONS:
        rc = read_number(text, 1, 1000000000, &number);
        options->sessions = number;
        return rc;
    case KEY_CLIENT_COUNT:
        rc = read_number(text, 1, UINT32_MAX, &number);
        options->client_count = (uint32_t)number;
        return rc;
    case KEY_SENDER_COUNT:
        rc = read_number(text, 1, UINT32_MAX, &number);
        options->sender_count = (uint32_t)number;
        return rc;
    case KEY_RANDOM:
        options->random = true;
        rc = read_number(text, 0, UINT32_MAX, &number);
        options->seed = number;
        return rc;
    case KEY_DAEMON_PORT:
        options->daemon_port = text;
        return read_number(text, 1, 65535, &number);
    default:
        return set_text(options, key, text);
    }
}

/* What can be judged only when all options are there. */
static int finish_options(struct load_options *options) {
    if (options->address_length == 0) {
        fputs("milter_load: --socket is missing\n", stderr);
        return -1;
    }
    if (!load_identity_fits(options->sender, options->sender_count))
        return complain("sender", options->sender);
    if (options->login != NULL && !load_identity_fits(options->login, options->sender_count))
        return complain("login", options->login);
    if (strlen(options->helo) >= LOAD_NAME_MAX)
        return complain("helo", options->helo);
    if (strlen(options->daemon_name) >= LOAD_NAME_MAX)
        return complain("daemon-name", options->daemon_name);
    if (options->sessions == 0 && options->seconds <= 0)
        options->seconds = 3;
    if (options->time_limit <= 0)
        options->time_limit = options->seconds > 0 ? options->seconds + 20 : 120;
    return 0;
}

int load_options_read(struct load_options *options, int argc, char **argv) {
    *options = (struct load_options){.connections = 8,
                                     .client_family = AF_INET,
                                     .client = {192, 0, 2, 10},
                                     .client_count = 1,
                                     .sender_count = 1,
                                     .helo = "client.example.org",
                                     .sender = "alice@example.com",
                                     .daemon_name = "mx.example.net",
                                     .expect = -1};
    int key;
    int index = 0;
    while ((key = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        if (key == '?')
            return -1;
        if (key == KEY_HELP) {
            fputs(help, stdout);
            return 1;
        }
        if (set_option(options, key, optarg) != 0)
            return complain(long_options[index].name, optarg);
    }
    if (optind < argc) {
        fprintf(stderr, "milter_load: what is \"%s\"? Try --help\n", argv[optind]);
        return -1;
    }
    return finish_options(options);
}
