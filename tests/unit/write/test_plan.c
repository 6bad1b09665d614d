/*
 * plan: what must change, so that what is there becomes what is wanted.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "gatepost/write/plan.h"

/* "field=value" each; "field" alone is one that is wanted away. */
struct row {
    const char *what;
    bool network, only;
    const char *there[6], *wanted[6];
    const char *changes; /* "field: old -> new; ", "-" for what is not there */
};

static size_t cut(char *memory, const char *pair, const char **name, const char **value) {
    strcpy(memory, pair);
    char *equals = strchr(memory, '=');
    *name = memory;
    *value = equals == NULL ? NULL : equals + 1;
    if (equals != NULL)
        *equals = '\0';
    return strlen(pair) + 1;
}

struct given {
    char memory[2000];
    struct store_field fields[6];
    struct wanted_fact wanted[6];
    struct store_hash hash;
    size_t n;
};

static void give(struct given *given, const char *const there[6], const char *const wanted[6]) {
    memset(given, 0, sizeof *given);
    given->hash.answer = STORE_FOUND;
    given->hash.fields = given->fields;
    char *memory = given->memory;
    for (size_t i = 0; i < 6 && there[i] != NULL; i++) {
        struct store_field *f = &given->fields[given->hash.n++];
        memory += cut(memory, there[i], &f->name, &f->value);
        f->name_len = strlen(f->name);
        f->value_len = strlen(f->value);
    }
    for (size_t i = 0; i < 6 && wanted[i] != NULL; i++) {
        struct wanted_fact *w = &given->wanted[given->n++];
        memory += cut(memory, wanted[i], &w->field, &w->value);
    }
    if (given->hash.n == 0)
        given->hash.answer = STORE_ABSENT;
}

static void put(char *out, struct store_text text) {
    sprintf(out + strlen(out), "%.*s", text.text == NULL ? 1 : (int)text.len,
            text.text == NULL ? "-" : text.text);
}

static void tell(const struct change_plan *plan, char *out) {
    *out = '\0';
    for (size_t i = 0; i < plan->n; i++) {
        put(out, plan->changes[i].field);
        strcat(out, ": ");
        put(out, plan->changes[i].old);
        strcat(out, " -> ");
        put(out, plan->changes[i].new_value);
        strcat(out, "; ");
    }
}

/* The state of what is wanted, by its fields alone. */
static uint64_t state_of(const char *const pairs[6]) {
    uint64_t state = 0;
    char memory[200];
    const char *name, *value;
    for (size_t i = 0; i < 6 && pairs[i] != NULL; i++) {
        cut(memory, pairs[i], &name, &value);
        state += store_state_of(name, strlen(name), value, strlen(value));
    }
    return state;
}

static void test_changes(void **state) {
    static const struct row rows[] = {
        {"nothing wanted", false, false, {"tls=required"}, {NULL}, ""},
        {"a new fact", false, false, {NULL}, {"tls=required"}, "tls: - -> required; "},
        {"another value",
         false,
         false,
         {"tls=required"},
         {"tls=optional"},
         "tls: required -> optional; "},
        {"the same", false, false, {"tls=required"}, {"tls=required"}, ""},
        {"an empty value is one",
         false,
         false,
         {"ip:10.0.0.1="},
         {"ip:10.0.0.1=x"},
         "ip:10.0.0.1:  -> x; "},
        {"away", false, false, {"tls=required", "source=any"}, {"tls"}, "tls: required -> -; "},
        {"away what is not there", false, false, {"source=any"}, {"tls"}, ""},
        {"another spelling of a name",
         false,
         false,
         {"TLS=required"},
         {"tls=optional"},
         "TLS: required -> -; tls: - -> optional; "},
        {"another spelling away", false, false, {"TLS=required"}, {"tls"}, "TLS: required -> -; "},
        {"another spelling of a block",
         false,
         false,
         {"ip:10.0.0.9/8=a"},
         {"ip:10.0.0.0/8=b"},
         "ip:10.0.0.9/8: a -> -; ip:10.0.0.0/8: - -> b; "},
        {"a wider block is another",
         false,
         false,
         {"ip:10.0.0.0/8=a"},
         {"ip:10.0.0.0/9=b"},
         "ip:10.0.0.0/9: - -> b; "},
        {"a member in another spelling",
         true,
         false,
         {"2001:DB8::0/32=a"},
         {"2001:db8::/32=b"},
         "2001:DB8::0/32: a -> -; 2001:db8::/32: - -> b; "},
        {"what is unknown stays",
         false,
         false,
         {"nonsense=1", "tls=required"},
         {"tls=optional"},
         "tls: required -> optional; "},
        {"only: the others go",
         false,
         true,
         {"nonsense=1", "tls=required", "source=any"},
         {"tls=required"},
         "nonsense: 1 -> -; source: any -> -; "},
        {"only nothing",
         false,
         true,
         {"tls=required", "ip:::1="},
         {NULL},
         "tls: required -> -; ip:::1:  -> -; "},
        {"wanted twice: the first counts",
         false,
         false,
         {NULL},
         {"tls=required", "tls=optional"},
         "tls: - -> required; "},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct given given;
        struct change_plan plan;
        char told[500];
        give(&given, rows[i].there, rows[i].wanted);
        assert_int_equal(
            plan_changes(rows[i].network, &given.hash, given.wanted, given.n, rows[i].only, &plan),
            0);
        tell(&plan, told);
        if (strcmp(told, rows[i].changes) != 0)
            fail_msg("%s: %s", rows[i].what, told);
        plan_clear(&plan);
    }
}

/* The state afterwards is that of the fields that are then there. */
static void test_state(void **state) {
    static const struct {
        const char *there[6], *wanted[6], *after[6];
    } rows[] = {
        {{"tls=required"}, {"source=any"}, {"source=any", "tls=required"}},
        {{"tls=required", "ip:::1=a"}, {"tls=optional", "ip:::1"}, {"tls=optional"}},
        {{"tls=required"}, {NULL}, {"tls=required"}},
        {{"tls=required"}, {"tls"}, {NULL}}, /* 0: it is gone */
        {{NULL}, {NULL}, {NULL}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct given given;
        struct change_plan plan;
        give(&given, rows[i].there, rows[i].wanted);
        assert_int_equal(plan_changes(false, &given.hash, given.wanted, given.n, false, &plan), 0);
        assert_true(plan.state == state_of(rows[i].after));
        plan_clear(&plan);
    }
}

static void test_many(void **state) {
    enum { MANY = 20000 };
    static char names[MANY][24];
    static struct store_field fields[MANY];
    static struct wanted_fact wanted[MANY];
    const struct store_hash hash = {.answer = STORE_FOUND, .fields = fields, .n = MANY};
    struct change_plan plan;
    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "10.%u.%u.0/24", i / 256, i % 256);
        fields[i] = (struct store_field){
            .name = names[i], .name_len = strlen(names[i]), .value = "a", .value_len = 1};
        wanted[i] = (struct wanted_fact){names[i], i % 2 == 0 ? "a" : "b"};
    }
    assert_int_equal(plan_changes(true, &hash, wanted, MANY, true, &plan), 0);
    assert_int_equal(plan.n, MANY / 2);
    plan_clear(&plan);
}

static void test_policy(void **state) {
    static const char *const there[6] = {"tls=required", "protocol:pop3=off", "ip:::1=a"};
    static const char *const wanted[6] = {"tls", "ip:::2=b", "protocol:pop3=on"};
    static const char *const all[6] = {"tls", "protocol:pop3", "ip:::1"};
    struct given given;
    struct change_plan plan;
    bool gone = true;
    (void)state;
    give(&given, there, wanted);
    assert_int_equal(plan_changes(false, &given.hash, given.wanted, given.n, false, &plan), 0);
    struct policy *policy = plan_policy("account:alice@example.com", &given.hash, &plan, &gone);
    assert_non_null(policy);
    assert_false(gone);
    assert_int_equal(policy->n_ips, 2);
    assert_int_equal(policy->n_protocols, 1);
    assert_int_equal(policy->n_faults, 0);
    policy_free(policy);
    plan_clear(&plan);
    give(&given, there, all);
    assert_int_equal(plan_changes(false, &given.hash, given.wanted, given.n, false, &plan), 0);
    assert_null(plan_policy("account:alice@example.com", &given.hash, &plan, &gone));
    assert_true(gone);
    plan_clear(&plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
