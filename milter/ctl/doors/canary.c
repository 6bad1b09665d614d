/*
 * The canary and its password. Owns which files a password is read from, and what it is sent as.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../memory.h"
#include "doors.h"

/* Longer than any password; a line of ManageSieve has room for it. */
#define PASSWORD_MAX 400

/* The size of a file that nobody else may read. A FIFO is not waited for. */
static int check_file(int fd, const char *file, struct why *why) {
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return why_set(why, "%s: %s", file, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return why_set(why, "%s: it is not a regular file", file);
    if ((st.st_mode & 077) != 0)
        return why_set(why, "%s: others may read it (mode %04o): chmod 0600", file,
                       (unsigned)st.st_mode & 07777);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return why_set(why, "%s: it belongs to somebody else", file);
    return 0;
}

/* One line without its end; -1 with the reason. */
static int read_password(const char *file, char password[static PASSWORD_MAX + 3],
                         struct why *why) {
    int fd = open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    ssize_t n = 0, len = 0;
    int rc = check_file(fd, file, why);
    while (rc == 0 && len < PASSWORD_MAX + 2 &&
           (n = read(fd, password + len, (size_t)(PASSWORD_MAX + 2 - len))) > 0)
        len += n;
    if (rc == 0 && n < 0)
        rc = why_set(why, "%s: %s", file, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (rc != 0)
        return -1;
    len -= len > 0 && password[len - 1] == '\n';
    len -= len > 0 && password[len - 1] == '\r';
    password[len] = '\0';
    if (len == 0)
        return why_set(why, "%s: it is empty", file);
    if (len > PASSWORD_MAX)
        return why_set(why, "%s: it is longer than %d octets", file, PASSWORD_MAX);
    if (strlen(password) != (size_t)len || strchr(password, '\n') != NULL)
        return why_set(why, "%s: it is not one line of text", file);
    return 0;
}

static char *base64(const unsigned char *octets, size_t len) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = xcalloc((len + 2) / 3 * 4 + 1, 1), *to = text;
    for (size_t i = 0; i < len; i += 3) {
        unsigned long group = (unsigned long)octets[i] << 16;
        group |= i + 1 < len ? (unsigned long)octets[i + 1] << 8 : 0;
        group |= i + 2 < len ? octets[i + 2] : 0;
        *to++ = digits[group >> 18];
        *to++ = digits[group >> 12 & 63];
        *to++ = i + 1 < len ? digits[group >> 6 & 63] : '=';
        *to++ = i + 2 < len ? digits[group & 63] : '=';
    }
    return text;
}

static char *sender_of(const struct ctl *ctl, const char *login) {
    const char *domain = ctl->config->default_domain;
    if (strpbrk(login, " <>\r\n") != NULL)
        return xstrdup("");
    if (strchr(login, '@') != NULL)
        return xstrdup(login);
    return domain[0] == '\0' ? xstrdup("") : xasprintf("%s@%s", login, domain);
}

int canary_read(const struct ctl *ctl, const char *login, const char *file, struct canary *out,
                struct why *why) {
    char password[PASSWORD_MAX + 3], plain[PASSWORD_MAX + 400];
    *out = (struct canary){.login = login};
    if (login[0] == '\0' || strlen(login) > 320)
        return why_set(why, "--canary: it is no account");
    int rc = read_password(file, password, why);
    if (rc == 0) {
        int len = snprintf(plain, sizeof plain, "%c%s%c%s", 0, login, 0, password);
        out->token = base64((unsigned char *)plain, (size_t)len);
        len = snprintf(plain, sizeof plain, "%s:%s", login, password);
        out->basic = base64((unsigned char *)plain, (size_t)len);
        out->sender = sender_of(ctl, login);
    }
    explicit_bzero(password, sizeof password);
    explicit_bzero(plain, sizeof plain);
    return rc;
}

static void forget(char *secret) {
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void canary_clear(struct canary *canary) {
    forget(canary->token);
    forget(canary->basic);
    free(canary->sender);
    *canary = (struct canary){0};
}
