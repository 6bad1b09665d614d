/*
 * keyed_hash: SipHash-1-3, and a key that each process draws for itself.
 */
#include "tests/unit/unit.h"

#include <sys/wait.h>
#include <unistd.h>

#include "gatepost/base/keyed_hash.h"

/* Key and text are octets that count from 0, as in the paper. */
static void test_known_values(void **state) {
    static const struct {
        size_t len;
        uint64_t hash;
    } rows[] = {{0, 0xabac0158050fc4dc}, {1, 0xc9f49bf37d57ca93},  {7, 0xd3927d989bb11140},
                {8, 0x369095118d299a8e}, {15, 0xd320d86d2a519956}, {63, 0x9d199062b7bbb3a8}};
    static const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    unsigned char text[64];
    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (unsigned char)i;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(keyed_hash_with(key, text, rows[i].len), rows[i].hash);
}

/* The hash of a text in a process of its own. */
static uint64_t hash_elsewhere(void) {
    int ends[2], status;
    uint64_t hash = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        hash = keyed_hash("account:a", 9);
        _exit(write(ends[1], &hash, sizeof hash) == sizeof hash ? 0 : 1);
    }
    assert_int_equal(read(ends[0], &hash, sizeof hash), sizeof hash);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ends[0]);
    close(ends[1]);
    return hash;
}

static void test_each_process_has_its_own_key(void **state) {
    (void)state;
    assert_true(hash_elsewhere() != hash_elsewhere()); /* before this one has drawn any */
    assert_int_equal(keyed_hash("account:a", 9), keyed_hash("account:a", 9));
    assert_true(keyed_hash("account:a", 9) != keyed_hash("account:b", 9));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_each_process_has_its_own_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
