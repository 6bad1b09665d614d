/*
 * User and password for Redis. Owns the reading of the password file, again after the password has
 * been refused; knows nothing of connections.
 */
#include "gatepost/store/redis/login.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/regular_file.h"

struct redis_login {
    char *user, *path; /* path "" for no password */
    pthread_mutex_t lock;
    char password[REDIS_PASSWORD_SIZE]; /* under lock, as is the next */
    bool refused;
};

/* The first line of the file. */
static int read_password(const char *path, char out[static REDIS_PASSWORD_SIZE], struct why *why) {
    char line[REDIS_PASSWORD_SIZE];
    struct why reason;
    FILE *file = regular_file_open(path, NULL, &reason);
    if (file == NULL)
        return why_set(why, "store_password_file: %s", reason.text);
    char *got = fgets(line, sizeof line, file);
    fclose(file);
    if (got != NULL)
        line[strcspn(line, "\r\n")] = '\0';
    if (got == NULL || line[0] == '\0')
        return why_set(why, "store_password_file: %s: its first line is empty", path);
    memcpy(out, line, sizeof line);
    return 0;
}

int redis_login_open(const char *user, const char *password_file, struct redis_login **out,
                     struct why *why) {
    struct redis_login *login = calloc(1, sizeof *login);
    if (login == NULL)
        return why_set(why, "no memory");
    pthread_mutex_init(&login->lock, NULL);
    login->user = strdup(user);
    login->path = strdup(password_file);
    if (login->user == NULL || login->path == NULL) {
        why_set(why, "no memory");
        redis_login_free(login);
        return -1;
    }
    if (login->path[0] != '\0' && read_password(login->path, login->password, why) != 0) {
        redis_login_free(login);
        return -1;
    }
    *out = login;
    return 0;
}

void redis_login_free(struct redis_login *login) {
    if (login == NULL)
        return;
    pthread_mutex_destroy(&login->lock);
    explicit_bzero(login->password, sizeof login->password);
    free(login->user);
    free(login->path);
    free(login);
}

const char *redis_login_user(const struct redis_login *login) {
    return login->user;
}

bool redis_login_password(struct redis_login *login, char out[static REDIS_PASSWORD_SIZE]) {
    struct why why;
    if (login->path[0] == '\0')
        return false;
    pthread_mutex_lock(&login->lock);
    if (login->refused && read_password(login->path, login->password, &why) == 0)
        login->refused = false;
    memcpy(out, login->password, sizeof login->password);
    pthread_mutex_unlock(&login->lock);
    return true;
}

void redis_login_refused(struct redis_login *login) {
    pthread_mutex_lock(&login->lock);
    login->refused = true;
    pthread_mutex_unlock(&login->lock);
}
