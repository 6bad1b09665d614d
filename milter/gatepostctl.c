/*
 * gatepostctl: the operator's tool. For now it shows the policy of an account and the evaluation
 * of SPF as the filter sees them; nothing is written.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "gatepost/config.h"
#include "gatepost/idna.h"
#include "gatepost/log.h"
#include "gatepost/lookup.h"
#include "gatepost/runtime.h"
#include "gatepost/textbuf.h"

static int usage(FILE *to, int status) {
    fputs("usage: gatepostctl [-c FILE] account show ACCOUNT\n"
          "       gatepostctl [-c FILE] spf IP HELO SENDER\n"
          "       gatepostctl -V\n"
          "  -c FILE  the configuration (" GATEPOST_CONF ")\n",
          to);
    return status;
}

/* Prints the facts of one subject, one `SUBJECT FIELD VALUE` a line. */
static void print_hash(const char *subject, const struct store_hash *hash) {
    if (hash->answer == STORE_WRONG_TYPE)
        printf("# %s: wrong type: the key must be a hash\n", subject);
    for (size_t i = 0; i < hash->n; i++) {
        const struct store_field *f = &hash->fields[i];
        printf("%s %.*s %.*s\n", subject, (int)f->name_len, f->name, (int)f->value_len, f->value);
    }
}

static int show_account(const struct config *config, const char *name) {
    const struct store_settings settings = shared_store_settings(config);
    const struct address_rules rules = {.default_domain = config->default_domain,
                                        .delimiters = config->address_delimiter,
                                        .domain_to_ascii = idna_domain_to_ascii,
                                        .lower_case = idna_lower_case};
    struct store *store = NULL;
    struct policy_cache *cache = NULL;
    struct address account = {0};
    struct lookup lookup = {0};
    char why[300];
    if (store_open(&settings, &store, why, sizeof why) != 0) {
        fprintf(stderr, "gatepostctl: %s\n", why);
        return EXIT_FAILURE;
    }
    const struct policy_cache_settings uncached = {.store = store,
                                                   .key_prefix = config->key_prefix};
    int rc = address_from_login(name, &rules, &account);
    if (rc != 0 || (cache = policy_cache_new(&uncached)) == NULL) {
        snprintf(why, sizeof why, "no memory");
        rc = -1;
    }
    if (rc == 0)
        rc = lookup_account(cache, &account, &lookup, why, sizeof why);
    for (size_t i = 0; rc == 0 && i < SUBJECTS; i++) {
        struct store_hash hash;
        const char *subject = lookup.set.subjects[i];
        /* the domain's and everybody's own subjects stand in two places of their look-up */
        if (subject == NULL || (i > 0 && strcmp(subject, lookup.set.subjects[0]) == 0))
            continue;
        rc = store_get(store, &subject, 1, &hash, why, sizeof why);
        if (rc == 0)
            print_hash(subject, &hash);
        store_hash_clear(&hash);
    }
    if (rc != 0)
        fprintf(stderr, "gatepostctl: %s\n", why);
    lookup_clear(&lookup);
    address_clear(&account);
    policy_cache_free(cache);
    store_free(store);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void print_line(void *context, const char *line) {
    char memory[800];
    struct textbuf buf;
    (void)context;
    textbuf_init(&buf, memory, sizeof memory);
    textbuf_put_header(&buf, line, strlen(line));
    puts(memory);
}

/* Evaluates SPF as the filter would and prints each step; "<>" or "" for the null sender. */
static int show_spf(struct config *config, const char *ip, const char *helo, const char *sender) {
    struct runtime *runtime;
    struct spf_answer answer;
    char why[300];
    struct spf_query query = {.helo = helo, .sender = sender, .trace = print_line};
    if (ip_parse(ip, strlen(ip), &query.client) != 0) {
        fprintf(stderr, "gatepostctl: %s: not an IPv4 or IPv6 address\n", ip);
        config_free(config);
        return EX_USAGE;
    }
    if (sender[0] == '\0' || strcmp(sender, "<>") == 0)
        query.sender = NULL;
    if (runtime_open_spf(config, &runtime, why, sizeof why) != 0) {
        fprintf(stderr, "gatepostctl: %s\n", why);
        return EXIT_FAILURE;
    }
    spf_check(runtime->spf, &query, &answer);
    printf("spf=%s\n", spf_result_name(answer.result));
    if (answer.explanation[0] != '\0') {
        fputs("explanation: ", stdout);
        print_line(NULL, answer.explanation);
    }
    runtime_release(runtime);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    const char *path = GATEPOST_CONF;
    struct config *config;
    char why[1024];
    int option;
    while ((option = getopt(argc, argv, "+c:Vh")) != -1) {
        if (option == 'V') {
            puts("gatepostctl " PACKAGE_VERSION);
            return EXIT_SUCCESS;
        }
        if (option == 'h')
            return usage(stdout, EXIT_SUCCESS);
        if (option != 'c')
            return usage(stderr, EX_USAGE);
        path = optarg;
    }
    bool account = argc - optind == 3 && strcmp(argv[optind], "account") == 0 &&
                   strcmp(argv[optind + 1], "show") == 0;
    bool spf = argc - optind == 4 && strcmp(argv[optind], "spf") == 0;
    if (!account && !spf)
        return usage(stderr, EX_USAGE);
    if (config_load(path, &config, why, sizeof why) != 0) {
        fprintf(stderr, "gatepostctl: %s\n", why);
        return EX_CONFIG;
    }
    log_open(LOG_TO_STDERR, LOG_LOGFMT, LOG_INFO);
    if (spf)
        return show_spf(config, argv[optind + 1], argv[optind + 2], argv[optind + 3]);
    int status = show_account(config, argv[optind + 2]);
    config_free(config);
    return status;
}
