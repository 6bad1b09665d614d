/*
 * address: every spelling of an account has one canonical form.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "gatepost/core/address.h"
#include "gatepost/core/parents.h"

/* Stands in for IDNA where the core is tested alone: one domain that it knows. */
static int to_ascii(const char *domain, char **out) {
    if (strcmp(domain, "\xc3\xb6.example") == 0)
        return -1; /* no memory */
    *out = strcmp(domain, "b\xc3\xbc"
                          "cher.example") == 0
               ? strdup("xn--bcher-kva.example")
               : NULL;
    return *out != NULL;
}

static int lower(const char *text, char **out) {
    if (strcmp(text, "\xc3\xb6") == 0)
        return -1;
    *out = strcmp(text, "J\xc3\x96RG") == 0 ? strdup("j\xc3\xb6rg") : NULL;
    return *out != NULL;
}

static const struct address_rules plain = {
    .default_domain = "", .delimiters = "+", .domain_to_ascii = to_ascii, .lower_case = lower};
static const struct address_rules with_default = {
    .default_domain = "Example.NET", .delimiters = "+-", .domain_to_ascii = to_ascii};
static const struct address_rules with_dash = {.default_domain = "", .delimiters = "+-"};
static const struct address_rules no_extension = {.default_domain = "", .delimiters = ""};

static const struct {
    const char *raw;
    const struct address_rules *rules;
    const char *text, *domain;
} senders[] = {
    {"<alice@example.com>", &plain, "alice@example.com", "example.com"},
    {"alice@example.com", &plain, "alice@example.com", "example.com"},
    {"<Alice@EXAMPLE.com>", &plain, "alice@example.com", "example.com"},
    {"<>", &plain, "", NULL},
    {"", &plain, "", NULL},
    {"<alice+shop@example.com>", &plain, "alice@example.com", "example.com"},
    {"<alice+a+b@example.com>", &plain, "alice@example.com", "example.com"},
    {"<+alice@example.com>", &plain, "+alice@example.com", "example.com"},
    {"<alice+@example.com>", &plain, "alice@example.com", "example.com"},
    {"<alice+x@example.com>", &no_extension, "alice+x@example.com", "example.com"},
    {"<alice-x@example.com>", &with_default, "alice@example.com", "example.com"},
    {"<@relay.example,@b.example:alice@example.com>", &plain, "alice@example.com", "example.com"},
    {"<@[IPv6:2001:db8::1]:alice@example.com>", &plain, "alice@example.com", "example.com"},
    {"<\"alice\"@example.com>", &plain, "alice@example.com", "example.com"},
    {"<\"ali\\ce\"@example.com>", &plain, "alice@example.com", "example.com"},
    {"<\"a@b\"@example.com>", &plain, "a@b@example.com", "example.com"},
    {"<\"john doe\"@example.com>", &plain, "john doe@example.com", "example.com"},
    {"<\"alice+x\"@example.com>", &plain, "alice@example.com", "example.com"},
    {"<\"alice@example.com>", &plain, "\"alice@example.com", "example.com"},
    {"<alice@example.com.>", &plain, "alice@example.com", "example.com"},
    {"<alice@[192.0.2.1]>", &plain, "alice@[192.0.2.1]", "[192.0.2.1]"},
    {"<alice@b\xc3\xbc"
     "cher.example>",
     &plain, "alice@xn--bcher-kva.example", "xn--bcher-kva.example"},
    {"<J\xc3\x96RG@example.com>", &plain, "j\xc3\xb6rg@example.com", "example.com"},
    {"<\xff\xfe@example.com>", &plain, "\xff\xfe@example.com", "example.com"},
    {"<alice>", &plain, "alice", NULL},
    {"<alice>", &with_default, "alice@example.net", "example.net"},
    {"<alice@>", &plain, "alice", NULL},
    {"<@example.com>", &plain, "@example.com", "example.com"},
    {"<a\\", &plain, "<a\\", NULL},
    /* BATV */
    {"<prvs=0123abcdef=alice@example.com>", &plain, "alice@example.com", "example.com"},
    {"<PRVS=9876ABCdef=Alice+x@Example.com>", &plain, "alice@example.com", "example.com"},
    {"<\"prvs=0123abcdef=alice\"@example.com>", &plain, "alice@example.com", "example.com"},
    {"<prvs=0123456789=a=b@example.com>", &plain, "a=b@example.com", "example.com"},
    {"<prvs=0123abcdef=prvs=0123abcdef=a@d.example>", &plain, "prvs=0123abcdef=a@d.example",
     "d.example"},
    {"<prvs=0123abcdef=alice>", &with_default, "alice@example.net", "example.net"},
    {"<prvs=0123abcdef=owner-list@example.com>", &with_dash, "owner-list@example.com",
     "example.com"},
    {"<prvs=0123abcde=alice@example.com>", &plain, "prvs=0123abcde=alice@example.com",
     "example.com"},
    {"<prvs=0123abcdef0=alice@example.com>", &plain, "prvs=0123abcdef0=alice@example.com",
     "example.com"},
    {"<prvs=012aabcdef=alice@example.com>", &plain, "prvs=012aabcdef=alice@example.com",
     "example.com"},
    {"<prvs=0123abcdeg=alice@example.com>", &plain, "prvs=0123abcdeg=alice@example.com",
     "example.com"},
    {"<prvs=0123abcdef=@example.com>", &plain, "prvs=0123abcdef=@example.com", "example.com"},
    {"<prvs=0123abcdef/alice@example.com>", &plain, "prvs=0123abcdef/alice@example.com",
     "example.com"},
    {"<btv1=0123abcdef=alice@example.com>", &plain, "btv1=0123abcdef=alice@example.com",
     "example.com"},
    /* as split_addr() of Postfix */
    {"<alice-x@example.com>", &with_dash, "alice@example.com", "example.com"},
    {"<Owner-list@example.com>", &with_dash, "owner-list@example.com", "example.com"},
    {"<owner-list+x@example.com>", &with_dash, "owner-list+x@example.com", "example.com"},
    {"<owner+list@example.com>", &plain, "owner@example.com", "example.com"},
    {"<list-REQUEST@example.com>", &with_dash, "list-request@example.com", "example.com"},
    {"<my-list-request@example.com>", &with_dash, "my-list-request@example.com", "example.com"},
    {"<list-request-x@example.com>", &with_dash, "list@example.com", "example.com"},
    {"<-request@example.com>", &with_dash, "-request@example.com", "example.com"},
    {"<MAILER-DAEMON@example.com>", &with_dash, "mailer-daemon@example.com", "example.com"},
    {"<double-bounce@example.com>", &with_dash, "double-bounce@example.com", "example.com"},
    {"<double-bounces@example.com>", &with_dash, "double@example.com", "example.com"},
};

#define LABEL_64 "a123456789b123456789c123456789d123456789e123456789f123456789g123"
#define LABEL_50 "a123456789b123456789c123456789d123456789e123456789"
#define DOMAIN_255 LABEL_50 "." LABEL_50 "." LABEL_50 "." LABEL_50 "." LABEL_50 "z"

static const struct {
    const char *raw;
    const struct address_rules *rules;
    const char *text, *domain;
    bool misnamed;
} logins[] = {
    {"alice@example.com", &plain, "alice@example.com", "example.com", false},
    {"ALICE@Example.Com", &plain, "alice@example.com", "example.com", false},
    {"alice", &plain, "alice", NULL, false},
    {"alice", &with_default, "alice@example.net", "example.net", false},
    {"alice+tag@example.com", &plain, "alice@example.com", "example.com", false},
    {"DOMAIN\\alice", &plain, "domain\\alice", NULL, false},
    {"a@b@example.com", &plain, "a@b@example.com", "example.com", false},
    {"\"alice\"@example.com", &plain, "\"alice\"@example.com", "example.com", false},
    {"prvs=0123abcdef=alice@example.com", &plain, "prvs=0123abcdef=alice@example.com",
     "example.com", false},
    {"owner-list@example.com", &with_dash, "owner-list@example.com", "example.com", false},
    {"alice-x@example.com", &with_dash, "alice@example.com", "example.com", false},
    {"@.example.com", &plain, "@.example.com", ".example.com", true},
    {"\xc3\xa9t\xc3\xa9@example.com", &plain, "\xc3\xa9t\xc3\xa9@example.com", "example.com",
     false},
    {"\xf0\x9f\x98\x80@example.com", &plain, "\xf0\x9f\x98\x80@example.com", "example.com", false},
    {"alice@localhost", &plain, "alice@localhost", "localhost", false},
    {"alice@a-b.c-1d.example", &plain, "alice@a-b.c-1d.example", "a-b.c-1d.example", false},
    {"alice@[IPv6:2001:db8::1]", &plain, "alice@[ipv6:2001:db8::1]", "[ipv6:2001:db8::1]", false},
    /* white space is compared as directories and databases compare it */
    {" alice@example.com", &plain, "alice@example.com", "example.com", false},
    {"alice@example.com \t\r\n", &plain, "alice@example.com", "example.com", false},
    {"Alice \t@ Example.com", &plain, "alice@example.com", "example.com", false},
    {"alice +shop@example.com", &plain, "alice@example.com", "example.com", false},
    {"alice@example.com\xc2\xa0", &plain, "alice@example.com", "example.com", false},
    {"\xe3\x80\x80"
     "alice@example.com",
     &plain, "alice@example.com", "example.com", false},
    {"john \t\xe2\x80\x83 doe@example.com", &plain, "john doe@example.com", "example.com", false},
    {"alice ", &with_default, "alice@example.net", "example.net", false},
    {"alice@", &with_default, "alice@example.net", "example.net", false},
    {"alice@ ", &with_default, "alice@example.net", "example.net", false},
    {"alice@[192.0.2.1]", &plain, "alice@[192.0.2.1]", "[192.0.2.1]", false},
    {"alice@host_1.example.", &plain, "alice@host_1.example", "host_1.example", false},
    {"alice@b\xc3\xbc"
     "cher.example ",
     &plain, "alice@xn--bcher-kva.example", "xn--bcher-kva.example", false},
    /* a joiner between two letters that need it: Sinhala, Persian */
    {"\xe0\xb7\x81\xe0\xb7\x8a\xe2\x80\x8d\xe0\xb6\xbb@example.com", &plain,
     "\xe0\xb7\x81\xe0\xb7\x8a\xe2\x80\x8d\xe0\xb6\xbb@example.com", "example.com", false},
    {"\xd9\x85\xdb\x8c\xe2\x80\x8c\xd8\xae@example.com", &plain,
     "\xd9\x85\xdb\x8c\xe2\x80\x8c\xd8\xae@example.com", "example.com", false},
    /* no account can have such a name */
    {" ", &plain, "", NULL, true},
    {"@example.com", &plain, "@example.com", "example.com", true},
    {"alice\x01@example.com", &plain, "alice\x01@example.com", "example.com", true},
    {"alice@example.com\x7f", &plain, "alice@example.com\x7f", "example.com\x7f", true},
    {"al\xc2\xad"
     "ice@example.com",
     &plain,
     "al\xc2\xad"
     "ice@example.com",
     "example.com", true},
    {"alice\xe2\x80\x8b@example.com", &plain, "alice\xe2\x80\x8b@example.com", "example.com", true},
    {"alice@example.com?1", &plain, "alice@example.com?1", "example.com?1", true},
    {"alice@exam ple.com", &plain, "alice@exam ple.com", "exam ple.com", true},
    {"alice@i\xe2\x9d\xa4.ws", &plain, "alice@i\xe2\x9d\xa4.ws", "i\xe2\x9d\xa4.ws", true},
    {"alice@.", &plain, "alice", NULL, true},
    {"alice@.", &with_default, "alice", NULL, true},
    {"alice@[192.0.2.1", &plain, "alice@[192.0.2.1", "[192.0.2.1", true},
    {"alice?@example.com", &plain, "alice?@example.com", "example.com", false},
    {"alice@example.com@", &plain, "alice@example.com", NULL, true},
    {"alice@example.com@ ", &plain, "alice@example.com", NULL, true},
    {"alice@@", &plain, "alice@", NULL, true},
    {"alice@example.com@", &with_default, "alice@example.com@example.net", "example.net", true},
    {"alice@[]", &plain, "alice@[]", "[]", true},
    {"alice@[", &plain, "alice@[", "[", true},
    {"alice@[300.1.2.3]", &plain, "alice@[300.1.2.3]", "[300.1.2.3]", true},
    {"alice@-", &plain, "alice@-", "-", true},
    {"alice@-example.com", &plain, "alice@-example.com", "-example.com", true},
    {"alice@example-.com", &plain, "alice@example-.com", "example-.com", true},
    {"alice@example.com-", &plain, "alice@example.com-", "example.com-", true},
    {"alice@example..com", &plain, "alice@example..com", "example..com", true},
    {"alice@.example.com", &plain, "alice@.example.com", ".example.com", true},
    {"alice@" LABEL_64 ".com", &plain, "alice@" LABEL_64 ".com", LABEL_64 ".com", true},
    {"alice@" DOMAIN_255, &plain, "alice@" DOMAIN_255, DOMAIN_255, true},
};

/* What a login service may ignore, behind and within a name: no account has it. */
static const char *const unseen[] = {
    "\xcd\x8f",         /* U+034F combining grapheme joiner */
    "\xd8\x9c",         /* U+061C Arabic letter mark */
    "\xe1\x85\x9f",     /* U+115F Hangul choseong filler */
    "\xe1\x9e\xb4",     /* U+17B4 Khmer inherent vowel */
    "\xe1\xa0\x8b",     /* U+180B Mongolian variation selector */
    "\xe1\xa0\x8e",     /* U+180E Mongolian vowel separator */
    "\xe2\x80\x8c",     /* U+200C non-joiner, where none is needed */
    "\xe2\x80\x8d",     /* U+200D joiner, likewise */
    "\xe2\x81\xa0",     /* U+2060 word joiner */
    "\xe2\x81\xaf",     /* U+206F */
    "\xe2\xa0\x80",     /* U+2800 Braille pattern blank */
    "\xe3\x85\xa4",     /* U+3164 Hangul filler */
    "\xef\xb7\x90",     /* U+FDD0 no character */
    "\xef\xb8\x8f",     /* U+FE0F variation selector 16 */
    "\xef\xbb\xbf",     /* U+FEFF byte order mark */
    "\xef\xbe\xa0",     /* U+FFA0 halfwidth Hangul filler */
    "\xef\xbf\xb0",     /* U+FFF0 */
    "\xef\xbf\xbf",     /* U+FFFF no character */
    "\xf0\x9b\xb2\xa0", /* U+1BCA0 shorthand format control */
    "\xf0\x9d\x85\xb3", /* U+1D173 musical symbol begin beam */
    "\xf0\x9f\xbf\xbe", /* U+1FFFE no character */
    "\xf3\xa0\x80\x81", /* U+E0001 language tag */
    "\xf3\xa0\x84\x80", /* U+E0100 variation selector 17 */
    "\xc0\xa0",         /* a space, overlong */
    "\xe0\x80\xa0",     /* in three octets */
    "\xf0\x80\x80\xa0", /* in four */
    "\xc1\xa1",         /* the letter a, overlong */
    "\xed\xa0\x80",     /* a surrogate */
    "\xf4\x90\x80\x80", /* beyond U+10FFFF */
    "\xe9",             /* ISO 8859-1 */
    "\xa0",             /* its no-break space */
    "\xe2\x80",         /* cut short */
};

static void expect(const struct address *got, int rc, const char *raw, const char *text,
                   const char *domain) {
    if (rc != 0 || strcmp(got->text, text) != 0)
        fail_msg("%s: got \"%s\", wanted \"%s\"", raw, got->text, text);
    if ((domain == NULL) != (got->domain == NULL) ||
        (domain != NULL && strcmp(domain, got->domain) != 0))
        fail_msg("%s: got domain \"%s\"", raw, got->domain ? got->domain : "(none)");
}

static void test_senders(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(senders); i++) {
        struct address got = {0};
        int rc = address_from_sender(senders[i].raw, senders[i].rules, &got);
        expect(&got, rc, senders[i].raw, senders[i].text, senders[i].domain);
        address_clear(&got);
    }
}

static void test_paths(void **state) {
    static const char *const good[] = {
        "",
        "<>",
        "<alice@example.com>",
        "alice@example.com",
        "<a!b%c=d+e@example.com>",
        "<\"a b\\\"<@>(c)\"@example.com>",
        "<alice@[IPv6:2001:db8::1]>",
        "<alice@example.com.>",
        "<j\xc3\xb6rg@\xc3\xb6.example>",
    };
    static const char *const bad[] = {
        "<alice>",          "< >",
        "<alice@>",         "<alice@d >",
        "< alice@d>",       "<alice @d>",
        "<alice@d(x)>",     "<alice(x)@d>",
        "<<alice@d>>",      "Alice <alice@d>",
        "<alice@\"d\">",    "<\"alice\"x@d>",
        "<alice@\\d>",      "<x:alice@d;>",
        "<@relay:alice@d>", "<alice@d",
        "alice@d>",         "<a@b@d>",
        "<d!alice>",        "<alice%d>",
        "<\"alice@d>",      "<alice@[192.0.2.1>",
        "<alice@d]>",       "<alice@d\t>",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        if (!address_is_path(good[i]))
            fail_msg("%s is none", good[i]);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (address_is_path(bad[i]))
            fail_msg("%s is one", bad[i]);
}

/* With what Postfix or Sendmail was seen to make of it. */
static void test_reread(void **state) {
    static const struct {
        const char *given, *understood, *sender;
    } rows[] = {
        {"<alice@d.example >", "alice@d.example", "alice@d.example"},
        {"<d.example!alice>", "alice@d.example", "alice@d.example"},
        {"<alice@\"d.example\">", "alice@\"d.example\"", "alice@d.example"},
        {"<\"a b\"@ d.example>", "\"a b\"@d.example", "\"a b\"@d.example"},
        {"< >", "", ""},
        {"< >", "<>", "<>"},
        {"<alice@mx.example >", "alice", "alice@mx.example"},
        {"<alice@(a (b) \")mx.example(c)>", "alice", "alice@mx.example"},
        {"<Alice <alice@mx.example>>", "alice", "alice@mx.example"},
        {"<alice@\"mx.example\">", "alice", "alice@mx.example"},
        {"<alice%mx.example>", "alice", "alice@mx.example"},
        {"<mx.example!alice>", "alice", "alice@mx.example"},
        {"<alice>", "alice", "alice"},
        {"<alice(>", "alice", "alice"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *sender = address_reread(rows[i].given, rows[i].understood);
        if (strcmp(sender, rows[i].sender) != 0)
            fail_msg("%s: %s", rows[i].given, sender);
        free(sender);
    }
}

static void test_logins(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(logins); i++) {
        struct address got = {0};
        int rc = address_from_login(logins[i].raw, logins[i].rules, &got);
        expect(&got, rc, logins[i].raw, logins[i].text, logins[i].domain);
        if (got.misnamed != logins[i].misnamed)
            fail_msg("%s: misnamed %d", logins[i].raw, got.misnamed);
        address_clear(&got);
    }
}

static void test_helo(void **state) {
    static const struct {
        const char *helo, *text;
    } rows[] = {
        {"mx.partner.example", "postmaster@mx.partner.example"},
        {"MX.Partner.Example.", "postmaster@mx.partner.example"},
        {"mx_1.partner.example", "postmaster@mx_1.partner.example"},
        {"b\xc3\xbc"
         "cher.example",
         "postmaster@xn--bcher-kva.example"},
        {"1.partner.example", "postmaster@1.partner.example"},
        {"", ""},
        {".", ""},
        {"[192.0.2.1]", ""},
        {"[IPv6:2001:db8::1]", ""},
        {"192.0.2.1", ""},
        {"localhost", ""},
        {"partner..example", ""},
        {".partner.example", ""},
        {"a@partner.example", ""},
        {"\"x\"@partner.example", ""},
        {"x\"@partner.example", ""},
        {"partner.example>", ""},
        {"partner example.com", ""},
        {"partner.example\n", ""},
        {"*.partner.example", ""},
        {"\xff.example", ""},
        {"a123456789012345678901234567890123456789012345678901234567890123.example", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct address got = {0};
        int rc = address_from_helo(rows[i].helo, &with_default, &got);
        expect(&got, rc, rows[i].helo, rows[i].text,
               rows[i].text[0] == '\0' ? NULL : strchr(rows[i].text, '@') + 1);
        address_clear(&got);
    }
}

/* The parents of a domain as they are asked for, nearest first. */
static void test_parents(void **state) {
    static const char *const rows[][2] = {
        {"com", ""},
        {"example.com", ""},
        {"b.example.com", ".example.com"},
        {"c.b.example.com", ".b.example.com .example.com"},
        {"g.f.e.d.c.b.example.com",
         ".d.c.b.example.com .c.b.example.com .b.example.com .example.com"},
        {"e.d.c.b.example.com", ".d.c.b.example.com .c.b.example.com .b.example.com .example.com"},
        {".example.com", ".example.com"},
        {"[192.0.2.1]", ""},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *parents[PARENTS_MAX];
        char text[400] = "";
        for (size_t j = 0, n = parents_of(rows[i][0], parents); j < n; j++) {
            strcat(text, j == 0 ? "" : " ");
            strcat(text, parents[j]);
        }
        assert_string_equal(text, rows[i][1]);
    }
    assert_false(parents_can_be("com"));
    assert_true(parents_can_be("example.com"));
    assert_true(parents_can_be("e.d.c.example.com"));
    assert_false(parents_can_be("f.e.d.c.example.com"));
}

static void test_unseen(void **state) {
    static const char *const forms[] = {"alice%s@example.com", "%salice@example.com",
                                        "al%sice@example.com", "alice%s"};
    (void)state;
    for (size_t i = 0; i < COUNT(unseen); i++)
        for (size_t form = 0; form < COUNT(forms); form++) {
            char *login = NULL;
            struct address got = {0};
            assert_true(asprintf(&login, forms[form], unseen[i]) > 0);
            assert_int_equal(address_from_login(login, &plain, &got), 0);
            if (!got.misnamed)
                fail_msg("row %zu, %s: an account of its own", i, forms[form]);
            address_clear(&got);
            free(login);
        }
}

static void test_xtext(void **state) {
    static const char *const rows[][2] = {
        {"alice@example.com", "alice@example.com"},
        {"a+3Db@example.com", "a=b@example.com"},
        {"ALICE+2Bshop@Example.COM", "ALICE+shop@Example.COM"},
        {"j+C3+B6rg@example.com", "j\xc3\xb6rg@example.com"},
        {"+2B3D", "+3D"},
        {"a+3db", "a+3db"},
        {"a+", "a+"},
        {"a+4", "a+4"},
        {"a+00b", "a+00b"},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[80];
        snprintf(text, sizeof text, "%s", rows[i][0]);
        xtext_decode(text);
        assert_string_equal(text, rows[i][1]);
    }
}

/* Without memory there is no account; the raw spelling, which may be another one's, never is. */
static void test_no_memory(void **state) {
    static const char *const names[] = {"alice@\xc3\xb6.example", "\xc3\xb6@example.com"};
    struct address out = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_int_equal(address_from_sender(names[i], &plain, &out), -1);
        assert_int_equal(address_from_login(names[i], &plain, &out), -1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_senders),
        cmocka_unit_test(test_paths),     cmocka_unit_test(test_reread),
        cmocka_unit_test(test_logins),    cmocka_unit_test(test_unseen),
        cmocka_unit_test(test_xtext),     cmocka_unit_test(test_helo),
        cmocka_unit_test(test_parents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
