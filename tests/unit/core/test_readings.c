/*
 * readings: every address that Postfix or Sendmail was seen to make of a sender is among its
 * readings.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "gatepost/core/readings.h"

static void join(const struct readings *readings, char *out, size_t size) {
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < readings->n && len < size; i++)
        len +=
            (size_t)snprintf(out + len, size - len, "%s%s", i == 0 ? "" : " ", readings->items[i]);
}

static void test_readings(void **state) {
    static const struct {
        const char *given, *understood, *want;
    } rows[] = {
        {"<alice@x.example>", "alice@x.example", ""},
        {"<alice+tag@x.example>", NULL, ""},
        {"alice@x.example", "alice", "alice@x.example alice"},
        {"<>", "", ""},
        /* Sendmail, as it delivered them at corp.example */
        {"<@x.example:alice%corp.example>", "alice", "alice%corp.example alice alice@corp.example"},
        {"<@x.example:corp.example!alice>", "alice", "corp.example!alice alice alice@corp.example"},
        {"<localhost!alice>", "alice", "localhost!alice alice alice@localhost"},
        {"<<alice@localhost>>", "alice", "alice@localhost alice"},
        {"<B <corp.example!alice+x>>", "alice+x",
         "corp.example!alice+x alice+x alice+x@corp.example"},
        /* Postfix, with mydestination = corp.example */
        {"<ceo@x.example@corp.example>", "ceo@x.example@corp.example",
         "ceo@x.example@corp.example ceo@x.example"},
        {"<corp.example!x.example!ceo>", "ceo@x.example@corp.example",
         "corp.example!x.example!ceo ceo@x.example@corp.example x.example!ceo@corp.example "
         "ceo@x.example"},
        /* an '@' that is only in quotes leaves all of it a name, to Sendmail */
        {"<\"alice@x.example\">", "\"alice@x.example\"", "alice@x.example alice@x.example@"},
        {"<@x.example,@[IPv6:::1]:\"alice@x.example\">", NULL, "alice@x.example alice@x.example@"},
        {"<\"alice@x.example\"(y@z)>", NULL, "alice@x.example alice@x.example@"},
        {"<\"alice@x.example\"@localhost>", NULL,
         "alice@x.example@localhost alice@x.example alice@x.example@"},
        {"<B <x::alice@x.example;>()>", "x::alice@x.example;",
         ":alice@x.example x::alice@x.example;@ x::alice@x.example;"},
        {"<x:alice@\"x!y.example\";>", "x:alice@\"x!y.example\";",
         "alice@x!y.example x:alice@\"x!y.example\";@ alice@x x:alice@\"x!y.example\"; "
         "y.example\";@x:alice@\"x x:alice@\"x y.example\";@x:alice"},
        {"<@x.example:x::alice@y.example,,>", ",", ":alice@y.example ,"},
        {"<\"alice@x.example\"@y.example>", NULL, "alice@x.example@y.example alice@x.example"},
        {"<corp.example!%%corp.example>", "",
         "corp.example!%%corp.example %%corp.example@corp.example corp.example!%@corp.example "
         "%@corp.example corp.example!@ @ @corp.example corp.example!"},
        /* Postfix reads it twice: a backslash and a route inside of quotes are then syntax */
        {"<x.example.!al\\ice@corp.exam\\\\ple>", "alice@x.example.",
         "x.example.!alice@corp.exam\\ple alice@x.example. x.example.!alice@corp.example"},
        {"<mx!alice@corp.example.\\\\>", "alice@mx",
         "mx!alice@corp.example.\\ alice@mx mx!alice@corp.example."},
        {"<\"@one.example:@two.example:alice\"@x.example>", NULL,
         "@two.example:alice@x.example @two.example:alice alice@x.example alice"},
        /* a literal behind or in a route, to Postfix */
        {"<\"@[IPv6:::1]:alice[IPv6:::1]\"@x.example>", NULL,
         "alice[IPv6:::1]@x.example alice[IPv6:::1]@x.example@"},
        {"<B <@[IPv6:::1]:alice@mx>>", "\"alice \"@mx", "alice@mx alice@mx@ alice @mx"},
        /* brackets that hold nothing */
        {"<y.example!a<>l\\ice@x.example@corp.example>", "lice@x.example",
         "lice@x.example@corp.example lice@x.example"},
        {"<<>>", "", ""},
        /* the rest of the kind */
        {"<bounce%x.example@y.example>", NULL, "bounce%x.example@y.example bounce@x.example"},
        {"<\"alice@corp.example\"@x.example>", NULL,
         "alice@corp.example@x.example alice@corp.example"},
        {"<\"alice%corp.example\"@x.example>", NULL,
         "alice%corp.example@x.example alice@corp.example"},
        {"<alice\\@corp.example@x.example>", NULL,
         "alice@corp.example@x.example alice@corp.example"},
        {"<alice@[192.0.2.1]>", NULL, "alice@[192.0.2.1] alice"},
        {"<alice@[IPv6:2001:db8::1]>", NULL, "alice@[IPv6:2001:db8::1] alice"},
        {"<alice@localhost.localdomain>", NULL, "alice@localhost.localdomain alice"},
        {"<alice@LOCALHOST>", NULL, "alice@LOCALHOST alice"},
        {"<alice@>", NULL, "alice@ alice"},
        {"<alice>", NULL, "alice"},
        {"<a%b%c@d>", NULL, "a%b%c@d a%b@c a@b"},
        {"<c!b!a@d>", NULL, "c!b!a@d b!a@c a@b"},
        {"<b!a%c@d>", NULL, "b!a%c@d a%c@b b!a@c a@c a@b"},
        {"<@one.example,@two.example:alice@x.example>", NULL, "alice@x.example"},
        {"Alice (x) <alice @ x.example>", NULL, "alice@x.example"},
        {"<alice@(corp.example)x.example>", NULL, "alice@x.example"},
        {"x:alice@x.example;", NULL, "alice@x.example"},
        {"<alice@corp.example!x.example>", NULL, "alice@corp.example!x.example alice@corp.example"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct readings readings;
        char got[1000];
        assert_int_equal(readings_find(rows[i].given, rows[i].understood, &readings), 0);
        join(&readings, got, sizeof got);
        if (strcmp(got, rows[i].want) != 0 || readings.too_many)
            fail_msg("%s has: %s", rows[i].given, got);
        readings_clear(&readings);
    }
}

/* A long chain is bounded, and that it was too long is said. */
static void test_too_many(void **state) {
    char sender[2100] = "<";
    struct readings readings;
    (void)state;
    for (int i = 0; i < 500; i++)
        strcat(sender, "a!");
    strcat(sender, "alice@x.example>");
    assert_int_equal(readings_find(sender, sender, &readings), 0);
    assert_true(readings.too_many);
    assert_int_equal(readings.n, READINGS_MAX);
    readings_clear(&readings);
}

/* Any octets give an answer. */
static void test_total(void **state) {
    static const char octets[] = "a@%!<>\"\\(),:;[] .";
    char sender[12];
    (void)state;
    for (unsigned n = 0; n < 300000; n++) {
        struct readings readings;
        unsigned rest = n * 2654435761u;
        size_t len = n % 11;
        for (size_t i = 0; i < len; i++, rest = rest / 17 + n)
            sender[i] = octets[rest % 17];
        sender[len] = '\0';
        assert_int_equal(readings_find(sender, n % 2 == 0 ? NULL : sender, &readings), 0);
        for (size_t i = 0; i < readings.n; i++)
            assert_true(readings.items[i][0] != '\0');
        readings_clear(&readings);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_readings),
                                       cmocka_unit_test(test_too_many),
                                       cmocka_unit_test(test_total)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
