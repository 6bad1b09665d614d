/*
 * block_index: what lies inside what, against a comparison of all with all.
 */
#include "tests/unit/unit.h"

#include "milter/ctl/lint/block_index.h"

static struct netblock block_of(const char *text) {
    struct netblock block;
    struct why why;
    assert_int_equal(netblock_parse(text, strlen(text), &block, &why), 0);
    return block;
}

static const char *around(const struct block_index *index, const char *text, int64_t until,
                          bool same) {
    const struct netblock block = block_of(text);
    const struct block_entry *entry = block_index_around(index, &block, until, same);
    return entry == NULL ? "" : entry->name;
}

static void test_known(void **state) {
    static const char *const names[] = {"10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "::/0",
                                        "192.0.2.1"};
    struct block_index index = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        const struct netblock block = block_of(names[i]);
        block_index_add(&index, &block, i == 0 ? 1000 : 0, names[i]);
    }
    block_index_build(&index);
    assert_string_equal(around(&index, "10.1.2.3", 0, false), "10.1.0.0/16"); /* 10/8 ends */
    assert_string_equal(around(&index, "10.1.2.3", 900, false), "10.0.0.0/8");
    assert_string_equal(around(&index, "10.2.0.0/16", 0, false), "");
    assert_string_equal(around(&index, "10.2.0.0/16", 1000, false), "10.0.0.0/8");
    assert_string_equal(around(&index, "10.2.0.0/16", 1001, false), "");
    assert_string_equal(around(&index, "2001:db8:1::/48", 0, false), "::/0");
    assert_string_equal(around(&index, "192.0.2.1", 0, false), "");
    assert_string_equal(around(&index, "192.0.2.1", 0, true), "192.0.2.1");
    block_index_clear(&index);
}

static void test_against_all(void **state) {
    (void)state;
    srand(4632);
    for (int round = 0; round < 200; round++) {
        struct netblock blocks[40];
        struct block_index index = {0};
        for (size_t i = 0; i < COUNT(blocks); i++) {
            uint8_t bytes[16] = {0x20, 0x01, (uint8_t)(rand() % 4), (uint8_t)(rand() % 4)};
            blocks[i] = (struct netblock){.base = ip_from_bytes(i % 2 ? IP_V4 : IP_V6, bytes),
                                          .prefix = (uint8_t)(rand() % 33)};
            ip_mask(&blocks[i].base, blocks[i].prefix);
            block_index_add(&index, &blocks[i], 0, "x");
        }
        block_index_build(&index);
        for (size_t i = 0; i < COUNT(blocks); i++) {
            bool wider = false;
            for (size_t j = 0; j < COUNT(blocks); j++)
                wider |= blocks[j].prefix < blocks[i].prefix &&
                         netblock_contains(&blocks[j], &blocks[i].base);
            assert_int_equal(block_index_around(&index, &blocks[i], 0, false) != NULL, wider);
        }
        block_index_clear(&index);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_against_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
