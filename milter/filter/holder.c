/*
 * Who listens on a TCP port. Owns the reading of /proc/net/tcp and /proc/PID.
 */
#include "holder.h"

#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LISTENING 0x0a /* of the column "st" */
#define INODES_MAX 64

/* Sockets that listen on one port. */
struct listening {
    unsigned long inodes[INODES_MAX];
    size_t n;
};

static void read_table(const char *path, unsigned port, struct listening *out) {
    char line[400];
    FILE *table = fopen(path, "re");
    while (table != NULL && out->n < INODES_MAX && fgets(line, sizeof line, table) != NULL) {
        unsigned local, state;
        unsigned long inode;
        if (sscanf(line, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*s %*s %lu", &local,
                   &state, &inode) == 3 &&
            local == port && state == LISTENING)
            out->inodes[out->n++] = inode;
    }
    if (table != NULL)
        fclose(table);
}

static bool is_gatepost(const char *pid) {
    char path[300], name[20] = "";
    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    FILE *comm = fopen(path, "re");
    bool found = comm != NULL && fgets(name, sizeof name, comm) != NULL;
    if (comm != NULL)
        fclose(comm);
    return found && strcmp(name, "gatepost\n") == 0;
}

static bool is_one(const char *target, const struct listening *sockets) {
    unsigned long inode;
    if (sscanf(target, "socket:[%lu]", &inode) != 1)
        return false;
    for (size_t i = 0; i < sockets->n; i++)
        if (sockets->inodes[i] == inode)
            return true;
    return false;
}

/* Or it cannot be seen. */
static bool has_one(const char *pid, const struct listening *sockets) {
    char path[300], target[100];
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *fds = opendir(path);
    if (fds == NULL)
        return true;
    bool found = false;
    for (struct dirent *fd; !found && (fd = readdir(fds)) != NULL;) {
        ssize_t len = readlinkat(dirfd(fds), fd->d_name, target, sizeof target - 1);
        if (len > 0) {
            target[len] = '\0';
            found = is_one(target, sockets);
        }
    }
    closedir(fds);
    return found;
}

bool holder_is_filter(const struct sockaddr *address) {
    struct listening sockets = {.n = 0};
    in_port_t port = address->sa_family == AF_INET6
                         ? ((const struct sockaddr_in6 *)address)->sin6_port
                         : ((const struct sockaddr_in *)address)->sin_port;
    read_table("/proc/net/tcp", ntohs(port), &sockets);
    read_table("/proc/net/tcp6", ntohs(port), &sockets);
    DIR *processes = opendir("/proc");
    bool found = false;
    for (struct dirent *entry; processes != NULL && !found && (entry = readdir(processes));)
        found = atoi(entry->d_name) > 0 && atoi(entry->d_name) != getpid() &&
                is_gatepost(entry->d_name) && has_one(entry->d_name, &sockets);
    if (processes != NULL)
        closedir(processes);
    return found;
}
