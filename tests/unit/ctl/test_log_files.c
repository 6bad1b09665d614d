/*
 * log_files: lines of several files with their numbers, and what is no log.
 */
#include "tests/unit/unit.h"

#include <unistd.h>

#include "gatepost/base/line.h"
#include "milter/ctl/replay/log_files.h"

static char folder[] = "/tmp/test-log-files-XXXXXX";
static char first[64], second[64], missing[64];

static int make_folder(void **state) {
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(first, sizeof first, "%s/first", folder);
    snprintf(second, sizeof second, "%s/second", folder);
    snprintf(missing, sizeof missing, "%s/missing", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(first);
    unlink(second);
    return rmdir(folder);
}

static FILE *begin(const char *path) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    return file;
}

static void write_text(const char *path, const char *text, size_t len) {
    FILE *file = begin(path);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void expect(struct log_files *files, const char *name, unsigned long number,
                   const char *text, size_t len) {
    struct why why = {""};
    assert_int_equal(log_files_next(files, &why), len);
    assert_memory_equal(files->line, text, len + 1);
    assert_string_equal(files->name, name);
    assert_int_equal(files->number, number);
}

static void test_lines(void **state) {
    char *const names[] = {first, second};
    struct log_files files = {.names = names, .n = 2};
    struct why why;
    (void)state;
    write_text(first, "a\n\nb\0c\n", 7);
    write_text(second, "no end", 6);
    expect(&files, first, 1, "a\n", 2);
    expect(&files, first, 2, "\n", 1);
    expect(&files, first, 3, "b\0c\n", 4);
    expect(&files, second, 1, "no end", 6);
    assert_int_equal(log_files_next(&files, &why), LOG_FILES_END);
    assert_int_equal(log_files_next(&files, &why), LOG_FILES_END);
    log_files_close(&files);
}

static void test_a_long_line_is_skipped(void **state) {
    char *const names[] = {first};
    struct log_files files = {.names = names, .n = 1};
    struct why why;
    (void)state;
    FILE *file = begin(first);
    for (size_t i = 0; i < 3 * LINE_LONGEST; i++)
        putc('x', file);
    fputs("\nnext\n", file);
    for (size_t i = 0; i < LINE_LONGEST + 1; i++)
        putc('y', file); /* the last, without its newline */
    assert_int_equal(fclose(file), 0);
    assert_int_equal(log_files_next(&files, &why), LOG_FILES_TOO_LONG);
    assert_int_equal(files.number, 1);
    expect(&files, first, 2, "next\n", 5);
    assert_int_equal(log_files_next(&files, &why), LOG_FILES_TOO_LONG);
    assert_int_equal(log_files_next(&files, &why), LOG_FILES_END);
    log_files_close(&files);
}

static void test_what_is_no_log(void **state) {
    static const struct {
        const char *text, *why;
    } rows[] = {{"\x1f\x8b\x08", "is compressed"},
                {"\xfd"
                 "7zXZ",
                 "is compressed"}};
    struct why why = {""};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *const names[] = {first};
        struct log_files files = {.names = names, .n = 1};
        write_text(first, rows[i].text, strlen(rows[i].text));
        assert_int_equal(log_files_next(&files, &why), LOG_FILES_FAILED);
        assert_non_null(strstr(why.text, rows[i].why));
        log_files_close(&files);
    }
    char *const names[] = {missing};
    struct log_files files = {.names = names, .n = 1};
    assert_int_equal(log_files_next(&files, &why), LOG_FILES_FAILED);
    assert_non_null(strstr(why.text, "No such file"));
    log_files_close(&files);
    char *const folders[] = {folder};
    files = (struct log_files){.names = folders, .n = 1};
    assert_int_equal(log_files_next(&files, &why), LOG_FILES_FAILED);
    assert_non_null(strstr(why.text, "directory"));
    log_files_close(&files);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_a_long_line_is_skipped),
        cmocka_unit_test(test_what_is_no_log),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
