/*
 * The fuzz targets' name server. Owns the language of their input; what is asked of it is not its
 * business.
 */
#include "fake_dns.h"

#include <stdlib.h>
#include <string.h>

#include "milter/dns/packet.h"

#define LINES_MAX 256
#define INPUT_MAX 65536

/* The longest name that an answer can hold, in text form. */
#define NAME_MAX_OCTETS 253

struct line {
    char type;
    unsigned name;
    const char *data; /* in `text` */
    size_t len;
};

static struct {
    char text[INPUT_MAX + 1]; /* without the escapes, each line terminated */
    struct line lines[LINES_MAX];
    size_t n;
    struct ip_address client;
    unsigned queries;
} zone;

static struct ip_address client_of(unsigned char octet) {
    static const char *const clients[] = {
        "192.0.2.1", "2001:db8::cb01",       "127.0.0.1",       "::1",
        "192.0.2.3", "2001:db8:1:2:3:4:5:6", "255.255.255.255", "0.0.0.0",
    };
    struct ip_address ip = {.family = IP_NONE};
    const char *text = clients[octet & 7];
    ip_parse(text, strlen(text), &ip);
    return ip;
}

/* Cuts a word off `rest`: what follows a space, up to the next one. */
static const char *cut_word(char **rest) {
    char *word = *rest;
    if (word == NULL || *word != ' ')
        return NULL;
    *word++ = '\0';
    *rest = strchr(word, ' ');
    return word;
}

static void load_scene(char *first, struct fake_scene *scene) {
    char *rest = *first == '\0' ? NULL : first + 1;
    scene->client = zone.client = client_of((unsigned char)*first);
    scene->trace = (*first & 8) != 0;
    scene->helo = cut_word(&rest);
    scene->sender = cut_word(&rest);
    if (rest != NULL)
        *rest = '\0';
}

static unsigned name_of(const char *name) {
    return (unsigned char)name[0] & 7;
}

void fake_dns_load(const uint8_t *data, size_t size, struct fake_scene *scene) {
    char *out = zone.text, *begin = zone.text;
    bool first = true;
    zone.n = 0;
    zone.queries = 0;
    if (size > INPUT_MAX - 1)
        size = INPUT_MAX - 1;
    for (size_t i = 0; i <= size; i++) {
        if (i < size && data[i] != '\n') {
            i += data[i] == '\\' && i + 1 < size;
            *out++ = (char)data[i];
            continue;
        }
        *out++ = '\0';
        size_t len = (size_t)(out - begin) - 1;
        if (first)
            load_scene(begin, scene);
        else if (len >= 2 && zone.n < LINES_MAX)
            zone.lines[zone.n++] = (struct line){begin[0], name_of(begin + 1), begin + 2, len - 2};
        first = false;
        begin = out;
    }
}

unsigned fake_dns_queries(void) {
    return zone.queries;
}

static char letter_of(enum dns_type type) {
    switch (type) {
    case DNS_A:
        return 'A';
    case DNS_AAAA:
        return 'Q';
    case DNS_MX:
        return 'M';
    case DNS_PTR:
        return 'P';
    case DNS_TXT:
        return 'T';
    }
    abort();
}

/* An address: "c" is the client's own, other octets stand for themselves and lead it. */
static size_t address_data(const struct line *line, enum dns_type type, char out[16]) {
    size_t want = type == DNS_A ? 4 : 16;
    memcpy(out, zone.client.bytes, want);
    if (line->len > 0 && line->data[0] != 'c')
        memcpy(out, line->data, line->len < want ? line->len : want);
    return want;
}

static void add(struct dns_answer *answer, const char *data, size_t len) {
    char *copy = malloc(len + 1);
    memcpy(copy, data, len);
    copy[len] = '\0';
    answer->records[answer->n].data = copy;
    answer->records[answer->n].len = len;
    answer->n++;
}

static void add_line(struct dns_answer *answer, const struct line *line, enum dns_type type) {
    if (type == DNS_A || type == DNS_AAAA) {
        char address[16] = {0};
        size_t len = address_data(line, type, address);
        add(answer, address, len);
    } else if (type == DNS_TXT) {
        add(answer, line->data, line->len);
    } else if (line->len <= NAME_MAX_OCTETS && memchr(line->data, '\0', line->len) == NULL) {
        add(answer, line->data, line->len);
    }
}

enum dns_status fake_dns_query(const char *name, enum dns_type type, struct dns_answer **out) {
    struct dns_answer *answer;
    unsigned asked = name_of(name);
    char letter = letter_of(type);
    size_t n = 0;
    zone.queries++;
    *out = NULL;
    for (size_t i = 0; i < zone.n; i++) {
        if (zone.lines[i].name != asked)
            continue;
        if (zone.lines[i].type == 'Z')
            return DNS_FAILED;
        if (zone.lines[i].type == 'F') {
            *out = dns_answer_new(DNS_FAILED, "no answer in time");
            return DNS_FAILED;
        }
        n += zone.lines[i].type == letter;
    }
    answer = dns_answer_new(DNS_ABSENT, "");
    if (n > 0)
        answer->records = calloc(n, sizeof *answer->records);
    for (size_t i = 0; n > 0 && i < zone.n; i++)
        if (zone.lines[i].name == asked && zone.lines[i].type == letter)
            add_line(answer, &zone.lines[i], type);
    answer->status = answer->n > 0 ? DNS_FOUND : DNS_ABSENT;
    *out = answer;
    return answer->status;
}

struct dns {
    int unused;
};

bool dns_is_known(struct dns *dns, const char *name, enum dns_type type, int64_t deadline) {
    (void)dns;
    (void)name;
    (void)type;
    (void)deadline;
    return false;
}

int dns_open(const char *const *nameservers, size_t n, struct dns **out, struct why *why) {
    static struct dns dns;
    (void)nameservers;
    (void)n;
    (void)why;
    *out = &dns;
    return 0;
}

void dns_free(struct dns *dns) {
    (void)dns;
}

enum dns_status dns_query(struct dns *dns, const char *name, enum dns_type type, int64_t deadline,
                          struct dns_answer **answer) {
    (void)dns;
    (void)deadline;
    return fake_dns_query(name, type, answer);
}
