/*
 * `export`: every fact of the store as lines that `import` and the policy file take, or as JSON.
 * Owns that nothing is written which would be read back as something else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gatepost/core/policy_line.h"
#include "memory.h"
#include "policies.h"
#include "print.h"

/* Accounts read in one go. */
#define BATCH 256

struct exporting {
    struct ctl *ctl;
    size_t subjects; /* written so far */
    size_t left_out; /* facts and subjects that no line can hold */
};

static void leave_out(struct exporting *e, const char *subject, const char *field,
                      const char *obstacle) {
    e->left_out++;
    ctl_warn("%.400s%s%.100s: not exported: %s", subject, field == NULL ? "" : " ",
             field == NULL ? "" : field, obstacle);
}

static void put_lines(struct exporting *e, const char *subject, const struct store_hash *hash) {
    for (size_t i = 0; i < hash->n; i++) {
        const struct store_field *f = &hash->fields[i];
        const char *obstacle =
            policy_line_obstacle(subject, f->name, f->name_len, f->value, f->value_len);
        if (obstacle != NULL) {
            leave_out(e, subject, f->name, obstacle);
            continue;
        }
        struct textbuf line;
        size_t size = POLICY_LINE_SIZE(strlen(subject) + f->name_len + f->value_len);
        textbuf_init(&line, xmalloc(size), size);
        policy_line_put(&line, subject, f->name, f->name_len, f->value, f->value_len);
        if (line.len > POLICY_LINE_LONGEST)
            leave_out(e, subject, f->name, "its line would be longer than 1 MiB");
        else
            fwrite(line.data, 1, line.len, stdout);
        free(line.data);
    }
}

/* A member of the one object that the whole output is. */
static void put_json(struct exporting *e, const char *subject, const struct store_hash *hash) {
    json_t *name = json_text(subject), *fields = json_object();
    for (size_t i = 0; i < hash->n; i++) {
        const struct store_field *f = &hash->fields[i];
        json_t *key = json_octets(f->name, f->name_len);
        if (json_object_get(fields, json_string_value(key)) == NULL)
            json_object_set_new(fields, json_string_value(key),
                                json_octets(f->value, f->value_len));
        else
            leave_out(e, subject, f->name, "in JSON it is not to be told from another field");
        json_decref(key);
    }
    fputs(e->subjects == 0 ? "\n" : ",\n", stdout);
    json_put(name, stdout, JSON_ENCODE_ANY);
    fputs(": ", stdout);
    json_put(fields, stdout, 0);
    json_decref(name);
    json_decref(fields);
}

static void put_subject(struct exporting *e, const char *subject, struct store_hash *hash) {
    if (hash->answer == STORE_WRONG_TYPE) {
        leave_out(e, subject, NULL, "wrong type: the key must be a hash");
        return;
    }
    if (hash->answer != STORE_FOUND) /* gone since its name was read */
        return;
    ctl_sort_hash(hash);
    if (e->ctl->json)
        put_json(e, subject, hash);
    else
        put_lines(e, subject, hash);
    e->subjects++;
}

static int put_batch(struct exporting *e, const char **subjects, size_t n, struct why *why) {
    struct store_hash hashes[BATCH];
    if (n == 0)
        return 0;
    int rc = store_get(e->ctl->store, subjects, n, hashes, NO_DEADLINE, why);
    for (size_t i = 0; i < n; i++) {
        if (rc == 0 && hashes[i].answer == STORE_TOO_LARGE)
            rc = ctl_read_whole(e->ctl, subjects[i], &hashes[i], why);
        if (rc == 0)
            put_subject(e, subjects[i], &hashes[i]);
        store_hash_clear(&hashes[i]);
    }
    return rc;
}

static int put_network(struct exporting *e, const char *subject, struct why *why) {
    struct store_hash hash;
    int rc = ctl_read_hash(e->ctl, subject, &hash, why);
    if (rc != 0)
        return rc;
    put_subject(e, subject, &hash);
    store_hash_clear(&hash);
    return 0;
}

static bool is_subject(const char *name) {
    return strncmp(name, "account:", 8) == 0 || self_is_subject(name) || fact_is_network(name);
}

/* In the order of the names: accounts, networks, then what users have set themselves. */
static int put_all(struct exporting *e, const struct ctl_names *names, struct why *why) {
    struct ctl_progress progress;
    const char *batch[BATCH];
    size_t n = 0;
    int rc = 0;
    ctl_progress_begin(&progress, "export", names->n);
    for (size_t i = 0; rc == 0 && i < names->n; i++) {
        const char *subject = names->names[i];
        if (!is_subject(subject)) {
            leave_out(e, subject, NULL, "no subject");
            continue;
        }
        bool network = fact_is_network(subject);
        if (!network)
            batch[n++] = subject;
        if (n == BATCH || (network && n > 0)) {
            rc = put_batch(e, batch, n, why);
            n = 0;
        }
        if (rc == 0 && network)
            rc = put_network(e, subject, why);
        if (isatty(STDOUT_FILENO) == 0)
            ctl_progress_tell(&progress, i);
    }
    if (rc == 0)
        rc = put_batch(e, batch, n, why);
    ctl_progress_end(&progress);
    return rc;
}

/* What was put out remains JSON: the last two members are those of every failure. */
static void end_failed(const struct exporting *e, const char *message) {
    json_t *error = json_text(message);
    fputs(e->subjects == 0 ? "\n\"error\": " : ",\n\"error\": ", stdout);
    json_put(error, stdout, JSON_ENCODE_ANY);
    printf(",\n\"exit\": %d\n}\n", CTL_FAILED);
    json_decref(error);
}

int ctl_export(struct ctl *ctl, int argc, char **argv) {
    struct exporting e = {.ctl = ctl};
    struct ctl_names names;
    struct why why = {"no memory"};
    int status = ctl_open_writer(ctl);
    if (status == CTL_DONE)
        status = ctl_names_read(ctl, argc > 0 ? argv[0] : NULL, &names);
    if (status != CTL_DONE)
        return status;
    if (ctl->json)
        putchar('{');
    if (names.n == 0)
        ctl_say_empty(ctl, argc > 0 ? "nothing matches %s" : "there is no policy%s",
                      argc > 0 ? argv[0] : "");
    if (put_all(&e, &names, &why) != 0) {
        ctl_names_clear(&names);
        char *message = xasprintf("store \"%s\": %s", ctl->config->store, why.text);
        ctl_warn("%s", message);
        if (ctl->json)
            end_failed(&e, message);
        free(message);
        return CTL_FAILED;
    }
    if (ctl->json)
        puts("\n}");
    if (names.odd > 0)
        ctl_warn("%zu keys contain a NUL byte in their names: not exported", names.odd);
    e.left_out += names.odd;
    ctl_names_clear(&names);
    return e.left_out > 0 ? CTL_REFUSED : CTL_DONE;
}
