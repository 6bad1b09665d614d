/*
 * policy_field: every row of the table is complete, and every field is found by its name and
 * decoded as its row says. A new row needs nothing here.
 */
#include "tests/unit/unit.h"

#include <ctype.h>

#include "gatepost/core/policy.h"

static bool is_lower_case(const char *text) {
    for (; *text != '\0'; text++)
        if (isupper((unsigned char)*text) || isspace((unsigned char)*text))
            return false;
    return true;
}

static void check_keys(const struct policy_field *field) {
    assert_non_null(field->keys_name);
    for (size_t i = 0; i < field->keys->count; i++) {
        char name[80];
        snprintf(name, sizeof name, "%s:%s", field->name, field->keys->names[i]);
        assert_string_equal(policy_field_setting_name(field, i), name);
    }
}

static void test_rows_are_complete(void **state) {
    bool used[POLICY_SETTINGS] = {false};
    (void)state;
    for (int id = 0; id < POLICY_FIELDS; id++) {
        size_t rows = 0;
        for (size_t i = 0; i < POLICY_FIELDS; i++)
            rows += policy_fields[i].id == (enum policy_field_id)id;
        assert_int_equal(rows, 1);
        const struct policy_field *field = policy_field_of((enum policy_field_id)id);
        assert_true(is_lower_case(field->name) && field->about[0] != '\0');
        assert_int_equal(field->key == NULL, field->kind == FIELD_IS_SETTING);
        assert_int_equal(field->words == NULL, field->kind == FIELD_HAS_ENTRIES);
        assert_int_equal(field->keys != NULL, field->kind == FIELD_HAS_KEYS);
        if (field->keys != NULL)
            check_keys(field);
        for (size_t i = 0; i < policy_field_settings(field); i++) {
            assert_in_range((size_t)id + i, 0, POLICY_SETTINGS - 1);
            assert_false(used[(size_t)id + i]);
            used[(size_t)id + i] = true;
        }
    }
    for (size_t i = 0; i < POLICY_SETTINGS; i++)
        assert_true(used[i]);
}

/* A name of the field, in upper case; of one with a key, some key that it has. */
static void name_field(const struct policy_field *field, char *out, size_t size) {
    const char *key = field->kind == FIELD_HAS_KEYS      ? field->keys->names[0]
                      : field->kind == FIELD_HAS_ENTRIES ? "192.0.2.0/24"
                                                         : "imap";
    snprintf(out, size, "%s%s%s", field->name, field->key == NULL ? "" : ":",
             field->key == NULL ? "" : key);
    for (char *c = out; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
}

static void test_found_by_name(void **state) {
    struct policy_field_key key;
    char name[100];
    (void)state;
    for (size_t i = 0; i < POLICY_FIELDS; i++) {
        const struct policy_field *field = &policy_fields[i];
        name_field(field, name, sizeof name);
        assert_ptr_equal(policy_field_find(name, strlen(name), &key), field);
        assert_ptr_equal(key.text + key.len, name + strlen(name));
        assert_int_equal(key.text - name, strlen(field->name) + (field->key == NULL ? 0 : 1));
        /* one octet less is another field or none */
        if (field->key == NULL)
            assert_ptr_not_equal(policy_field_find(name, strlen(name) - 1, &key), field);
    }
}

static void test_keys(void **state) {
    struct policy_field_key key;
    (void)state;
    assert_non_null(policy_field_find("spf:SoftFail", 12, &key));
    assert_int_equal(key.number, RESULT_SOFTFAIL);
    assert_int_equal(policy_field_find("protocol:", 9, &key)->id, FIELD_PROTOCOL);
    assert_int_equal(key.len, 0);
    static const char *const none[] = {"",         "spf", "spf:",    "spf:hardfail",
                                       "protocol", "ip",  "sources", "sourc",
                                       "source:",  "i",   ":",       "ip;192.0.2.1"};
    for (size_t i = 0; i < COUNT(none); i++)
        if (policy_field_find(none[i], strlen(none[i]), &key) != NULL)
            fail_msg("%s is found", none[i]);
}

/* Every word of every field with words is decoded, and no other. */
static void test_words(void **state) {
    char name[100];
    (void)state;
    for (size_t i = 0; i < POLICY_FIELDS; i++) {
        const struct policy_field *field = &policy_fields[i];
        name_field(field, name, sizeof name);
        for (size_t word = 0; field->words != NULL && word <= field->words->count; word++) {
            bool good = word < field->words->count;
            const char *value = good ? field->words->names[word] : "nonsense";
            struct policy *policy = policy_new();
            assert_int_equal(policy_add(policy, name, strlen(name), value, strlen(value)), 0);
            assert_int_equal(policy->n_faults, !good);
            const struct setting *setting = field->kind == FIELD_HAS_NAMES
                                                ? &policy->protocols[0].on
                                                : &policy->settings[field->id];
            assert_int_equal(setting->state, good ? SETTING_SET : SETTING_MALFORMED);
            assert_string_equal(setting->field, name);
            if (good && field->kind != FIELD_HAS_NAMES)
                assert_int_equal(setting->value, word);
            if (!good)
                assert_int_equal(policy->faults[0].kind, FAULT_MALFORMED);
            policy_free(policy);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_complete),
        cmocka_unit_test(test_found_by_name),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
