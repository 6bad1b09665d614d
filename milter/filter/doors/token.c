/*
 * The token of clients that come by TCP. Owns it and how it is compared.
 */
#include "token.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doors.h"

/* Tokens are compared over all of this, so that the time tells nothing. */
#define TOKEN_SIZE 256

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char current[TOKEN_SIZE]; /* under lock; "" for none, which matches nothing */

/* The first line of the file. */
static int read_first_line(FILE *file, char out[static TOKEN_SIZE], struct why *why) {
    bool read = fgets(out, TOKEN_SIZE, file) != NULL;
    if (read && strchr(out, '\n') == NULL && !feof(file))
        return why_set(why, "its first line is too long");
    if (read)
        out[strcspn(out, "\r\n")] = '\0';
    return read && out[0] != '\0' ? 0 : why_set(why, "its first line is empty");
}

/* What is no regular file may have its reader wait, for ever. */
static int read_token(const char *path, char out[static TOKEN_SIZE], struct why *why) {
    struct stat there;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    int rc;
    if (file == NULL || fstat(fd, &there) != 0)
        rc = why_set(why, "%s", strerror(errno));
    else if (!S_ISREG(there.st_mode))
        rc = why_set(why, "it is no regular file");
    else
        rc = read_first_line(file, out, why);
    if (file != NULL)
        fclose(file);
    else if (fd >= 0)
        close(fd);
    return rc;
}

int doors_read_token(const struct config *config, struct why *why) {
    char token[TOKEN_SIZE] = "";
    if (config->doors_token_file[0] != '\0' &&
        read_token(config->doors_token_file, token, why) != 0)
        return -1;
    size_t len = strlen(token);
    memset(token + len, 0, sizeof token - len);
    pthread_mutex_lock(&lock);
    memcpy(current, token, sizeof current);
    pthread_mutex_unlock(&lock);
    return 0;
}

bool token_matches(const char *given) {
    char padded[TOKEN_SIZE] = "";
    size_t len = strlen(given);
    unsigned differences = len == 0 || len >= sizeof padded;
    memcpy(padded, given, len < sizeof padded ? len : sizeof padded - 1);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < sizeof padded; i++)
        differences |= (unsigned char)(padded[i] ^ current[i]);
    pthread_mutex_unlock(&lock);
    return differences == 0;
}
