/*
 * tokens: the file of who may ask.
 */
#include "tests/unit/unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "milter/settings/tokens.h"

static char path[] = "/tmp/gatepost-tokens-XXXXXX";
static struct config config = {.settings = {.token_file = path}};

static int make_file(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

static int read_text(const char *text, mode_t mode, struct tokens **out, struct why *why) {
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    chmod(path, mode);
    return tokens_read(&config, out, why);
}

#define PROXY "0123456789abcdef-proxy"
#define READER "0123456789abcdef-reader"
#define WRITER "0123456789abcdef-writer"

static void test_grants(void **state) {
    struct tokens *tokens;
    struct token_grant grant;
    struct why why;
    (void)state;
    assert_int_equal(read_text("# who may ask\n\n" PROXY " proxy\n  " READER
                               "\tExample.COM read \r\n" WRITER " b\xc3\xbc"
                               "cher.example write",
                               0640, &tokens, &why),
                     0);
    assert_true(tokens_find(tokens, PROXY, &grant));
    assert_null(grant.domain);
    assert_true(grant.write);
    assert_true(tokens_find(tokens, READER, &grant));
    assert_string_equal(grant.domain, "example.com");
    assert_false(grant.write);
    assert_true(tokens_find(tokens, WRITER, &grant));
    assert_string_equal(grant.domain, "xn--bcher-kva.example");
    assert_true(grant.write);
    assert_false(tokens_find(tokens, "", &grant));
    assert_false(tokens_find(tokens, "0123456789abcdef-prox", &grant));
    assert_false(tokens_find(tokens, PROXY "y", &grant));
    assert_false(tokens_find(tokens, "# who may ask", &grant));
    assert_false(tokens_find(tokens, "#", &grant));
    tokens_free(tokens);
    tokens_free(NULL);
}

static void test_refused(void **state) {
    static const struct {
        const char *text;
        int line; /* 0: the file itself */
        const char *why;
    } rows[] = {
        {"", 0, "no token"},
        {"# " PROXY " proxy\n", 0, "no token"},
        {PROXY "\n", 1, "TOKEN proxy"},
        {"#\n" PROXY " proxy write\n", 2, "TOKEN proxy"},
        {PROXY " example.com\n", 1, "TOKEN DOMAIN"},
        {PROXY " example.com admin\n", 1, "TOKEN DOMAIN"},
        {PROXY " example.com read write\n", 1, "TOKEN DOMAIN"},
        {PROXY " @example.com read\n", 1, "no domain"},
        {PROXY " * read\n", 1, "no domain"},
        {PROXY " localhost read\n", 1, "no domain"},
        {PROXY " example.com. read\n", 1, "no domain"},
        {PROXY " .example.com read\n", 1, "no domain"},
        {PROXY " example..com read\n", 1, "no domain"},
        {"caf\xc3\xa9-0123456789ab proxy\n", 1, "US-ASCII"},
        {PROXY " proxy\n" PROXY " example.com read\n", 2, "a second time"},
    };
    struct tokens *tokens;
    struct why why;
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char place[80];
        if (read_text(rows[i].text, 0600, &tokens, &why) == 0)
            fail_msg("taken: %s", rows[i].text);
        snprintf(place, sizeof place, rows[i].line == 0 ? "%s: " : "%s:%d: ", path, rows[i].line);
        if (strncmp(why.text, place, strlen(place)) != 0 || strstr(why.text, rows[i].why) == NULL)
            fail_msg("%s gives: %s", rows[i].text, why.text);
        if (strstr(why.text, PROXY) != NULL)
            fail_msg("it says the token: %s", why.text);
    }
}

static void test_modes(void **state) {
    static const struct {
        mode_t mode;
        bool good;
    } rows[] = {{0600, true},  {0640, true},  {0440, true}, {0644, false},
                {0642, false}, {0660, false}, {0604, false}};
    struct tokens *tokens;
    struct why why;
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int rc = read_text(PROXY " proxy\n", rows[i].mode, &tokens, &why);
        if ((rc == 0) != rows[i].good)
            fail_msg("%04o: %d", (unsigned)rows[i].mode, rc);
        if (rc == 0)
            tokens_free(tokens);
        else
            assert_non_null(strstr(why.text, "chmod 0640"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grants),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_modes),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
