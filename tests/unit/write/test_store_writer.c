/*
 * store_writer on a policy file: lines that nobody touched stay, and writers do not undo each
 * other's work.
 */
#include "tests/unit/unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "gatepost/write/writer.h"

static char folder[] = "/tmp/gatepost-test-writer-XXXXXX";
static char path[sizeof folder + 20], history[sizeof folder + 20];

static int make_folder(void **state) {
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/policy", folder);
    snprintf(history, sizeof history, "%s/policy.history", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    unlink(history);
    return rmdir(folder); /* nothing else may be left in it */
}

static void write_text(const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void expect_text(const char *wanted) {
    char text[2000] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, wanted);
}

static struct store_writer *open_writer(void) {
    char url[sizeof path + 8];
    struct why why = {""};
    struct store_writer *writer;
    snprintf(url, sizeof url, "file:%s", path);
    const struct store_settings settings = {
        .url = url, .user = "", .password_file = "", .key_prefix = "", .timeout = 200};
    if (store_writer_open(&settings, "tester", &writer, &why) != 0)
        fail_msg("%s", why.text);
    return writer;
}

static struct store_text text_of(const char *text) {
    return (struct store_text){text, text == NULL ? 0 : strlen(text)};
}

static enum store_written change(struct store_writer *writer, const char *subject,
                                 const char *field, const char *old, const char *value) {
    struct why why = {""};
    const struct store_change one = {text_of(field), text_of(old), text_of(value)};
    struct store_edit edit = {.subject = subject, .changes = &one, .n = 1, .state = 1};
    enum store_written written = store_writer_write(writer, &edit, 1, &why);
    if (written == WRITE_FAILED)
        fail_msg("%s", why.text);
    return written;
}

static void test_lines_stay(void **state) {
    struct store_writer *writer;
    (void)state;
    write_text("# first\n\naccount:a@b   source  any\n# between\naccount:a@b tls required\n"
               "account:c@d tls required");
    chmod(path, 0640);
    writer = open_writer();
    change(writer, "account:a@b", "source", "any", "authorized");
    change(writer, "account:a@b", "ip:192.0.2.1", NULL, "");
    change(writer, "account:e@f", "tls", NULL, "optional");
    expect_text("# first\n\naccount:a@b source authorized\n# between\naccount:a@b tls required\n"
                "account:a@b ip:192.0.2.1\naccount:c@d tls required\naccount:e@f tls optional\n");
    change(writer, "account:a@b", "tls", "required", NULL);
    expect_text("# first\n\naccount:a@b source authorized\n# between\n"
                "account:a@b ip:192.0.2.1\naccount:c@d tls required\naccount:e@f tls optional\n");
    struct stat now;
    assert_int_equal(stat(path, &now), 0);
    assert_int_equal(now.st_mode & 07777, 0640);
    assert_int_equal(stat(history, &now), 0);
    assert_int_equal(now.st_mode & 07777, 0640);
    store_writer_free(writer);
}

static void test_drop(void **state) {
    struct why why;
    struct store_writer *writer;
    struct store_edit edit = {.subject = "account:a@b", .drop = true};
    (void)state;
    write_text("account:a@b source any\naccount:c@d tls required\naccount:a@b tls required\n");
    writer = open_writer();
    assert_int_equal(store_writer_write(writer, &edit, 1, &why), WRITE_DONE);
    expect_text("account:c@d tls required\n");
    store_writer_free(writer);
}

static void test_conflict(void **state) {
    struct why why;
    struct store_writer *writer;
    (void)state;
    write_text("account:a@b source any\n");
    writer = open_writer();
    assert_int_equal(store_writer_begin(writer, "account:a@b", &why), 0);
    write_text("account:a@b source any\n# an editor was here\n");
    assert_int_equal(change(writer, "account:a@b", "source", "any", "authorized"), WRITE_CONFLICT);
    expect_text("account:a@b source any\n# an editor was here\n");
    assert_int_equal(store_writer_begin(writer, "account:a@b", &why), 0);
    assert_int_equal(change(writer, "account:a@b", "source", "any", "authorized"), WRITE_DONE);
    expect_text("account:a@b source authorized\n# an editor was here\n");
    store_writer_free(writer);
}

static int count_entries(void *context, const struct history_entry *entry) {
    size_t *n = context;
    assert_int_equal(entry->actor.len, 6);
    assert_true(entry->time > 1600000000000);
    (*n)++;
    return 0;
}

static void test_history(void **state) {
    struct why why;
    size_t n = 0;
    struct store_writer *writer;
    (void)state;
    unlink(history);
    write_text("");
    writer = open_writer();
    assert_int_equal(store_writer_history(writer, 0, count_entries, &n, &why), 0);
    assert_int_equal(n, 0);
    change(writer, "account:a@b", "ip:192.0.2.1", NULL, "a \xff note");
    change(writer, "account:a@b", "ip:192.0.2.1", "a \xff note", NULL);
    FILE *file = fopen(history, "a");
    fputs("{no json\n[]\n{}\n", file);
    fclose(file);
    assert_int_equal(store_writer_history(writer, 0, count_entries, &n, &why), 0);
    assert_int_equal(n, 2);
    store_writer_free(writer);
}

static void test_state(void **state) {
    const struct store_field fields[] = {{"source", "any", 6, 3}, {"tls", "required", 3, 8}};
    const struct store_field swapped[] = {fields[1], fields[0]};
    const struct store_field other[] = {{"sourc", "eany", 5, 4}, {"tls", "required", 3, 8}};
    (void)state;
    assert_true(store_state(fields, 2) == store_state(swapped, 2));
    assert_true(store_state(fields, 2) != store_state(other, 2));
    assert_true(store_state(fields, 2) != store_state(fields, 1));
    assert_true(store_state(fields, 0) != 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_stay), cmocka_unit_test(test_drop),
        cmocka_unit_test(test_conflict),   cmocka_unit_test(test_history),
        cmocka_unit_test(test_state),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
