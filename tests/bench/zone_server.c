/* A name server for the benches: all its answers stand in a small file that is read at the start,
   and nothing is looked up, so that it is not what a bench measures. UDP only, one thread; it owns
   the file's records and the socket. It must not be asked by anything but a bench. */

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <ctype.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define RECORDS_MAX 64
#define TTL_SECONDS 86400u
#define UNKEPT "unkept." /* the answers of names that begin so may not be kept */
#define TEXT_MAX 255

struct record {
    char owner[NS_MAXDNAME]; /* in lower case; "*.NAME" are all names below NAME */
    unsigned type;
    unsigned char data[TEXT_MAX + 1];
    size_t length;
};

static struct record records[RECORDS_MAX];
static size_t record_count;

static int read_data(struct record *record, const char *type, const char *value) {
    char name[NS_MAXDNAME];
    unsigned preference;
    if (strcmp(type, "A") == 0) {
        record->type = ns_t_a;
        record->length = 4;
        return inet_pton(AF_INET, value, record->data) == 1 ? 0 : -1;
    }
    if (strcmp(type, "TXT") == 0 && strlen(value) <= TEXT_MAX) {
        record->type = ns_t_txt;
        record->data[0] = (unsigned char)strlen(value);
        memcpy(record->data + 1, value, record->data[0]);
        record->length = record->data[0] + (size_t)1;
        return 0;
    }
    if (strcmp(type, "MX") == 0 && sscanf(value, "%u %1000s", &preference, name) == 2) {
        record->type = ns_t_mx;
        ns_put16(preference, record->data);
        int length = ns_name_compress(name, record->data + 2, TEXT_MAX - 2, NULL, NULL);
        record->length = (size_t)length + 2;
        return length > 0 ? 0 : -1;
    }
    return -1;
}

/* A line is OWNER TYPE VALUE, the value the rest of it. */
static int read_line(const char *line) {
    char type[8];
    int rest = 0;
    struct record *record = &records[record_count];
    if (record_count == RECORDS_MAX ||
        sscanf(line, "%1000s %7s %n", record->owner, type, &rest) != 2 ||
        read_data(record, type, line + rest) != 0)
        return -1;
    record_count++;
    return 0;
}

static int read_file(const char *path) {
    char line[2048];
    FILE *file = fopen(path, "r");
    int rc = file != NULL ? 0 : -1;
    while (rc == 0 && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        rc = read_line(line);
        if (rc != 0)
            fprintf(stderr, "zone_server: cannot use \"%s\"\n", line);
    }
    if (file != NULL)
        fclose(file);
    else
        perror(path);
    return rc;
}

static bool owns(const char *owner, const char *name) {
    size_t length = strlen(name);
    if (owner[0] != '*')
        return strcmp(owner, name) == 0;
    size_t suffix = strlen(owner + 1);
    return length > suffix && strcmp(name + length - suffix, owner + 1) == 0;
}

static unsigned char *put_answer(unsigned char *at, const struct record *record) {
    ns_put16(0xC000 | NS_HFIXEDSZ, at); /* the question's name */
    ns_put16(record->type, at + 2);
    ns_put16(ns_c_in, at + 4);
    ns_put32(strncmp(record->owner, UNKEPT, strlen(UNKEPT)) == 0 ? 0 : TTL_SECONDS, at + 6);
    ns_put16((unsigned)record->length, at + 10);
    memcpy(at + 12, record->data, record->length);
    return at + 12 + record->length;
}

/* Turns the query into its answer, in place. The answer's length, 0 when it gets none. */
static size_t answer(unsigned char *packet, size_t length, size_t room) {
    char name[NS_MAXDNAME];
    unsigned answers = 0;
    bool exists = false;
    if (length < NS_HFIXEDSZ || ns_get16(packet + 4) != 1)
        return 0;
    int name_length =
        ns_name_uncompress(packet, packet + length, packet + NS_HFIXEDSZ, name, sizeof name);
    if (name_length < 0 || NS_HFIXEDSZ + (size_t)name_length + NS_QFIXEDSZ > length)
        return 0;
    for (char *c = name; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    const unsigned char *question = packet + NS_HFIXEDSZ + name_length;
    unsigned char *end = packet + NS_HFIXEDSZ + name_length + NS_QFIXEDSZ;
    for (size_t i = 0; i < record_count; i++) {
        if (!owns(records[i].owner, name))
            continue;
        exists = true;
        if (records[i].type != ns_get16(question) ||
            (size_t)(end - packet) + 12 + records[i].length > room)
            continue;
        end = put_answer(end, &records[i]);
        answers++;
    }
    packet[2] = 0x84 | (packet[2] & 1); /* an authoritative answer */
    packet[3] = 0x80 | (exists ? ns_r_noerror : ns_r_nxdomain);
    ns_put16(answers, packet + 6);
    ns_put16(0, packet + 8);
    ns_put16(0, packet + 10);
    return (size_t)(end - packet);
}

static int serve(const char *address, unsigned port) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || inet_pton(AF_INET, address, &own.sin_addr) != 1 ||
        bind(fd, (struct sockaddr *)&own, sizeof own) != 0) {
        perror("zone_server");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        unsigned char packet[4096];
        struct sockaddr_in peer;
        socklen_t peer_length = sizeof peer;
        ssize_t got =
            recvfrom(fd, packet, sizeof packet, 0, (struct sockaddr *)&peer, &peer_length);
        size_t length = got > 0 ? answer(packet, (size_t)got, 512) : 0;
        if (length > 0)
            sendto(fd, packet, length, 0, (struct sockaddr *)&peer, peer_length);
    }
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fputs("usage: zone_server FILE ADDRESS PORT\n", stderr);
        return 2;
    }
    return read_file(argv[1]) == 0 ? serve(argv[2], (unsigned)strtoul(argv[3], NULL, 10)) : 1;
}
