/*
 * The protocols of mail as tables. Owns what is said at each step and how its answers are told
 * apart; does not know what is made of them.
 */
#include "mail_talk.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/*
 * How a line begins, and what it is then. In the pattern '#' is a digit, and ' ' at its end also
 * the end of the line. A line that nothing matches is none of this protocol.
 */
struct ending {
    const char *pattern;
    enum talk_answer answer; /* TALK_NOTHING: more lines follow */
};

struct step {
    const char *command; /* "%s": the argument; NULL: the server speaks first */
    const struct ending *endings;
};

/* Where the offers stand. */
struct offer_words {
    size_t skipped;        /* octets in front of the words */
    const char *starttls;  /* the word for it */
    const char *mechanism; /* the word before SASL mechanisms */
    const char *login;     /* "USER": a login without SASL; NULL: it goes by `no_login` */
    const char *no_login;  /* "LOGINDISABLED" */
    bool all_words;        /* each word of the line is an offer, not only the first */
};

struct talk_protocol {
    const char *name;
    struct step steps[TALK_STEPS]; /* without endings: there is no such step */
    struct offer_words offers;
};

static const struct ending smtp_endings[] = {
    {"2## ", TALK_YES}, {"3## ", TALK_GO_ON},   {"4## ", TALK_LATER},
    {"5## ", TALK_NO},  {"###-", TALK_NOTHING}, {NULL, TALK_ODD},
};

const struct talk_protocol talk_smtp = {
    "SMTP",
    {
        [TALK_GREETING] = {NULL, smtp_endings},
        [TALK_CAPABILITIES] = {"EHLO gatepostctl.invalid\r\n", smtp_endings},
        [TALK_STARTTLS] = {"STARTTLS\r\n", smtp_endings},
        [TALK_LOGIN] = {"AUTH PLAIN\r\n", smtp_endings},
        [TALK_TOKEN] = {"%s\r\n", smtp_endings},
        [TALK_SENDER] = {"MAIL FROM:<%s>\r\n", smtp_endings},
        [TALK_BYE] = {"QUIT\r\n", smtp_endings},
    },
    {4, "STARTTLS", "AUTH", NULL, NULL, false},
};

static const struct ending imap_greetings[] = {
    {"* OK ", TALK_YES}, {"* PREAUTH ", TALK_OPEN}, {"* BYE ", TALK_LATER}, {NULL, TALK_ODD}};
static const struct ending imap_endings[] = {
    {"a OK ", TALK_YES}, {"a NO [UNAVAILABLE] ", TALK_LATER},
    {"a NO ", TALK_NO},  {"a BAD ", TALK_NO},
    {"+ ", TALK_GO_ON},  {"* ", TALK_NOTHING},
    {NULL, TALK_ODD},
};

const struct talk_protocol talk_imap = {
    "IMAP",
    {
        [TALK_GREETING] = {NULL, imap_greetings},
        [TALK_CAPABILITIES] = {"a CAPABILITY\r\n", imap_endings},
        [TALK_STARTTLS] = {"a STARTTLS\r\n", imap_endings},
        [TALK_LOGIN] = {"a AUTHENTICATE PLAIN\r\n", imap_endings},
        [TALK_TOKEN] = {"%s\r\n", imap_endings},
        [TALK_BYE] = {"a LOGOUT\r\n", imap_endings},
    },
    {2, "STARTTLS", "AUTH", NULL, "LOGINDISABLED", true},
};

static const struct ending pop3_endings[] = {
    {"+OK ", TALK_YES}, {"-ERR [SYS/TEMP] ", TALK_LATER}, {"-ERR ", TALK_NO}, {"+ ", TALK_GO_ON},
    {NULL, TALK_ODD},
};
static const struct ending pop3_list_endings[] = {
    {". ", TALK_YES}, {"-ERR ", TALK_NO}, {"", TALK_NOTHING}, {NULL, TALK_ODD}};

const struct talk_protocol talk_pop3 = {
    "POP3",
    {
        [TALK_GREETING] = {NULL, pop3_endings},
        [TALK_CAPABILITIES] = {"CAPA\r\n", pop3_list_endings},
        [TALK_STARTTLS] = {"STLS\r\n", pop3_endings},
        [TALK_LOGIN] = {"AUTH PLAIN\r\n", pop3_endings},
        [TALK_TOKEN] = {"%s\r\n", pop3_endings},
        [TALK_BYE] = {"QUIT\r\n", pop3_endings},
    },
    {0, "STLS", "SASL", "USER", NULL, false},
};

static const struct ending sieve_endings[] = {
    {"OK ", TALK_YES},    {"NO (TRYLATER) ", TALK_LATER}, {"NO ", TALK_NO},
    {"BYE ", TALK_LATER}, {"\"", TALK_NOTHING},           {NULL, TALK_ODD},
};

const struct talk_protocol talk_sieve = {
    "ManageSieve",
    {
        [TALK_GREETING] = {NULL, sieve_endings},
        [TALK_STARTTLS] = {"STARTTLS\r\n", sieve_endings},
        [TALK_GREETING_BY_TLS] = {NULL, sieve_endings},
        [TALK_LOGIN] = {"AUTHENTICATE \"PLAIN\" \"%s\"\r\n", sieve_endings},
        [TALK_BYE] = {"LOGOUT\r\n", sieve_endings},
    },
    {0, "STARTTLS", "SASL", NULL, NULL, false},
};

const char *talk_name(const struct talk_protocol *protocol) {
    return protocol->name;
}

static bool begins_with(const char *line, const char *pattern) {
    for (; *pattern != '\0'; pattern++, line++) {
        if (*pattern == ' ' && pattern[1] == '\0' && *line == '\0')
            return true;
        if (*pattern == '#' ? !isdigit((unsigned char)*line)
                            : toupper((unsigned char)*line) != toupper((unsigned char)*pattern))
            return false;
    }
    return true;
}

static enum talk_answer find_ending(const struct ending *endings, const char *line) {
    for (; endings->pattern != NULL; endings++)
        if (begins_with(line, endings->pattern))
            return endings->answer;
    return TALK_ODD;
}

static bool is_word(const char *word, size_t len, const char *wanted) {
    return wanted != NULL && strlen(wanted) == len && strncasecmp(word, wanted, len) == 0;
}

static void note_mechanism(struct talk_offers *offers, const char *word, size_t len) {
    size_t used = strlen(offers->mechanisms);
    offers->login = true;
    offers->plain |= is_word(word, len, "PLAIN");
    if (used + len + 2 < sizeof offers->mechanisms)
        snprintf(offers->mechanisms + used, sizeof offers->mechanisms - used, "%s%.*s",
                 used > 0 ? " " : "", (int)len, word);
}

static void note_offers(const struct offer_words *words, const char *line,
                        struct talk_offers *offers) {
    static const char separators[] = " \t\"=";
    bool mechanism = false;
    if (strlen(line) < words->skipped)
        return;
    line += words->skipped;
    for (size_t i = 0;; i++) {
        line += strspn(line, separators);
        size_t len = strcspn(line, separators);
        if (len == 0)
            return;
        if (mechanism) {
            note_mechanism(offers, line, len);
            mechanism = !words->all_words;
        } else if (i == 0 || words->all_words) {
            mechanism = is_word(line, len, words->mechanism);
            offers->starttls |= is_word(line, len, words->starttls);
            offers->login |= is_word(line, len, words->login);
            if (is_word(line, len, words->no_login))
                offers->login = offers->mechanisms[0] != '\0';
        }
        line += len;
    }
}

/* A string that follows as octets (RFC 5804 4): its text is put in the place of "{COUNT}". */
static int take_literal(struct talk *talk) {
    char *brace = strrchr(talk->said, '{');
    unsigned count = 0;
    int end = 0;
    if (brace == NULL || sscanf(brace, "{%5u}%n", &count, &end) != 1 || end == 0 ||
        brace[end] != '\0')
        return 0;
    size_t room = sizeof talk->said - (size_t)(brace - talk->said);
    while (count > 0) {
        char octet;
        if (stream_octets(talk->stream, &octet, 1) != 1)
            return -1;
        if (room > 1 && octet != '\0') {
            *brace++ = octet == '\r' || octet == '\n' ? ' ' : octet;
            room--;
        }
        count--;
    }
    *brace = '\0';
    return 0;
}

static enum talk_answer hear(struct talk *talk, const struct step *step, bool offers) {
    struct talk_offers found = {.login = talk->protocol->offers.no_login != NULL};
    for (;;) { /* the stream ends what has no end */
        if (stream_line(talk->stream, talk->said) != 0)
            return TALK_LOST;
        enum talk_answer answer = find_ending(step->endings, talk->said);
        if (answer == TALK_NOTHING || (offers && answer == TALK_YES))
            note_offers(&talk->protocol->offers, talk->said, &found);
        if (answer == TALK_NOTHING)
            continue;
        if (offers && answer == TALK_YES)
            talk->offers = found;
        return talk->protocol == &talk_sieve && take_literal(talk) != 0 ? TALK_LOST : answer;
    }
}

enum talk_answer talk_say(struct talk *talk, enum talk_step number, const char *argument) {
    const struct step *step = &talk->protocol->steps[number];
    char command[2048];
    talk->said[0] = '\0';
    if (step->endings == NULL)
        return TALK_NOTHING;
    if (step->command != NULL) {
        const char *place = strstr(step->command, "%s");
        int before = place == NULL ? (int)strlen(step->command) : (int)(place - step->command);
        int len = snprintf(command, sizeof command, "%.*s%s%s", before, step->command,
                           place == NULL ? "" : argument, place == NULL ? "" : place + 2);
        int rc = len < 0 || (size_t)len >= sizeof command
                     ? -1
                     : stream_say(talk->stream, command, (size_t)len);
        explicit_bzero(command, sizeof command);
        if (rc != 0)
            return len < (int)sizeof command ? TALK_LOST : TALK_ODD;
    }
    if (number == TALK_BYE) /* whatever it says to that */
        return TALK_YES;
    bool offers = number == TALK_CAPABILITIES ||
                  (talk->protocol->steps[TALK_CAPABILITIES].endings == NULL &&
                   (number == TALK_GREETING || number == TALK_GREETING_BY_TLS));
    return hear(talk, step, offers);
}
