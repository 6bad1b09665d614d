/*
 * The user's page: its languages, its files, and which language a reader gets.
 */
#include "tests/unit/unit.h"

#include <jansson.h>

#include "milter/settings/language.h"
#include "milter/settings/page.h"

static const char *const offered[] = {"en", "de", "fr"};

static void test_languages(void **state) {
    static const struct {
        const char *wanted, *chosen;
    } rows[] = {
        {NULL, "en"},
        {"", "en"},
        {"de", "de"},
        {"DE", "de"},
        {"de-AT", "de"},
        {"de-CH,de;q=0.9,en;q=0.8", "de"},
        {"fr-CA;q=0.5, de;q=0.4", "fr"},
        {"de, fr", "de"},
        {"fr, de", "fr"},
        {"de;q=0.5, fr;q=0.50", "de"},
        {"de;q=0.500, fr;q=0.501", "fr"},
        {"de;q=0.1,fr;q=0.9,en;q=0.5", "fr"},
        {"de ; q=0.9 ,\tfr;Q=1", "fr"},
        {"de-AT, fr;q=0.95, de;q=0.9", "de"},
        {"it, pt;q=0.9", "en"},
        {"it, fr;q=0.1", "fr"},
        {"*", "en"},
        {"*;q=0.1, de;q=0.2", "de"},
        {"en;q=0, *", "de"},
        {"en;q=0, de;q=0, *", "fr"},
        {"de;q=0, de-AT", "en"},
        {"de-AT;q=0, fr;q=0.1", "fr"},
        {"de;q=0", "en"},
        {"de;q=0.0", "en"},
        {"en;q=0,de;q=0,fr;q=0", "en"},
        {"den, fr;q=0.1", "fr"},
        {"d, fr;q=0.1", "fr"},
        {"de;q=2, fr;q=0.1", "fr"},
        {"de;q=1.001, fr;q=0.1", "fr"},
        {"de;q=0.1234, fr;q=0.1", "fr"},
        {"de;q=, fr;q=0.1", "fr"},
        {"de;q, fr;q=0.1", "fr"},
        {"de;x=1, fr;q=0.1", "fr"},
        {"de;q=-1, fr;q=0.1", "fr"},
        {"de;q=0x1, fr;q=0.1", "fr"},
        {",,,;q=1,fr,,", "fr"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t chosen = language_choose(rows[i].wanted, offered, COUNT(offered));
        if (strcmp(offered[chosen], rows[i].chosen) != 0) {
            fail_msg("\"%s\": %s instead of %s", rows[i].wanted, offered[chosen], rows[i].chosen);
        }
    }
}

static struct page *page;

static int open_it(void **state) {
    (void)state;
    struct why why;
    if (page_open(&page, &why) != 0) {
        print_error("%s\n", why.text);
        return -1;
    }
    return 0;
}

static int close_it(void **state) {
    (void)state;
    page_free(page);
    return 0;
}

static struct page_file find(const char *path, const char *accept_language) {
    struct page_file file = {NULL, 0, NULL, NULL};
    if (page_find(page, path, accept_language, &file) != 1) {
        fail_msg("%s: not found", path);
    }
    assert_int_equal(strlen(file.body), file.len);
    return file;
}

static void test_it_speaks_each_language(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(offered); i++) {
        char start[40];
        snprintf(start, sizeof start, "<html lang=\"%s\">", offered[i]);
        struct page_file file = find("/", offered[i]);
        assert_string_equal(file.type, "text/html; charset=utf-8");
        assert_string_equal(file.language, offered[i]);
        assert_non_null(strstr(file.body, start));
        assert_null(strstr(file.body, "{{"));
    }
    assert_non_null(strstr(find("/", "de").body, "<h1>Zug\xc3\xa4nge zu Ihrem Postfach</h1>"));
    assert_non_null(strstr(find("/", "fr").body, "<h1>Acc\xc3\xa8s "));
}

static void test_its_files(void **state) {
    static const struct {
        const char *path, *type;
    } rows[] = {
        {"/page.css", "text/css; charset=utf-8"},
        {"/page.js", "text/javascript; charset=utf-8"},
        {"/words.js", "text/javascript; charset=utf-8"},
        {"/en.json", "application/json"},
        {"/de.json", "application/json"},
        {"/icon.svg", "image/svg+xml"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct page_file file = find(rows[i].path, "de");
        assert_string_equal(file.type, rows[i].type);
        assert_null(file.language);
        assert_true(file.len > 0);
    }
}

static void test_nothing_else(void **state) {
    static const char *const paths[] = {
        "",         "page.css", "/page.css/",   "//page.css", "/index.html",
        "/it.json", "/page",    "/../page.css", "/v1",        "/page.css2"};
    (void)state;
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct page_file file;
        assert_int_equal(page_find(page, paths[i], NULL, &file), 0);
    }
}

/* Each catalogue has the same keys, and each text the same {places}. */
static void test_catalogues_are_complete(void **state) {
    json_t *catalogues[COUNT(offered)];
    (void)state;
    for (size_t i = 0; i < COUNT(offered); i++) {
        char path[16];
        snprintf(path, sizeof path, "/%s.json", offered[i]);
        struct page_file file = find(path, NULL);
        catalogues[i] = json_loadb(file.body, file.len, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(catalogues[i]);
        assert_int_equal(json_object_size(catalogues[i]), json_object_size(catalogues[0]));
        const char *key;
        json_t *value;
        json_object_foreach(catalogues[0], key, value) {
            const char *text = json_string_value(json_object_get(catalogues[i], key));
            if (text == NULL || *text == '\0') {
                fail_msg("%s: no text for \"%s\"", path, key);
            }
            for (const char *c = json_string_value(value); (c = strchr(c, '{')) != NULL; c++) {
                char place[40];
                snprintf(place, sizeof place, "%.*s", (int)(strchr(c, '}') - c) + 1, c);
                if (strstr(text, place) == NULL) {
                    fail_msg("%s: \"%s\" has no %s", path, key, place);
                }
            }
        }
    }
    for (size_t i = 0; i < COUNT(offered); i++) {
        json_decref(catalogues[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_languages),
        cmocka_unit_test(test_it_speaks_each_language),
        cmocka_unit_test(test_its_files),
        cmocka_unit_test(test_nothing_else),
        cmocka_unit_test(test_catalogues_are_complete),
    };
    return cmocka_run_group_tests(tests, open_it, close_it);
}
