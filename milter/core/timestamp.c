/*
 * Points in time. Owns the syntax of a timestamp; does not know what time it is.
 */
#include "gatepost/core/timestamp.h"

#include <stdbool.h>
#include <stdio.h>

static bool digits(const char *text, size_t n, int *value) {
    *value = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *value = *value * 10 + (text[i] - '0');
    }
    return true;
}

static bool is_leap(int year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days from 1970-01-01 to the first of January of `year` (proleptic Gregorian). */
static int64_t days_before_year(int year) {
    int64_t y = year - 1;
    return y * 365 + y / 4 - y / 100 + y / 400 - 719162;
}

int timestamp_parse(const char *text, size_t len, int64_t *seconds) {
    int year, month, day, hour, minute, second;
    if (len != 20 || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't') ||
        text[13] != ':' || text[16] != ':' || (text[19] != 'Z' && text[19] != 'z'))
        return -1;
    if (!digits(text, 4, &year) || !digits(text + 5, 2, &month) || !digits(text + 8, 2, &day) ||
        !digits(text + 11, 2, &hour) || !digits(text + 14, 2, &minute) ||
        !digits(text + 17, 2, &second))
        return -1;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) ||
        hour > 23 || minute > 59 || second > 59)
        return -1;
    int64_t days = days_before_year(year) + day - 1;
    for (int m = 1; m < month; m++)
        days += days_in_month(year, m);
    *seconds = days * 86400 + hour * 3600 + minute * 60 + second;
    return 0;
}

const char *timestamp_format(int64_t seconds, char out[TIMESTAMP_SIZE]) {
    const int64_t first = days_before_year(1) * 86400, last = days_before_year(10000) * 86400 - 1;
    seconds = seconds < first ? first : seconds > last ? last : seconds;
    int64_t days = seconds / 86400, rest = seconds % 86400;
    if (rest < 0) {
        days--;
        rest += 86400;
    }
    int month = 1;
    int year = (int)(days < 0 ? 1969 + days / 365 : 1970 + days / 366); /* or a later one */
    year = year < 1 ? 1 : year;
    while (days >= days_before_year(year + 1))
        year++;
    days -= days_before_year(year);
    while (days >= days_in_month(year, month))
        days -= days_in_month(year, month++);
    snprintf(out, TIMESTAMP_SIZE, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)year % 10000u,
             (unsigned)month % 100u, (unsigned)(days + 1) % 100u, (unsigned)(rest / 3600) % 100u,
             (unsigned)(rest / 60 % 60) % 100u, (unsigned)(rest % 60) % 100u);
    return out;
}
