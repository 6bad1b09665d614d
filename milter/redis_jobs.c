/*
 * Transactions at the nodes of a cluster. Owns that they are sent together and answered one by
 * one, and that only those are tried again which certainly were not done.
 */
#include "gatepost/redis_jobs.h"

#include <stdio.h>

/* Returns the number of replies, or -1 when there is no memory. */
static int queue_job(const struct redis_job *job, struct redis_command *c) {
    struct redis_talk *talk = &job->route.to->talk;
    redis_command_begin(c, "ASKING");
    if (job->route.asking && redis_talk_queue(talk, c) != 0)
        return -1;
    int n = job->history ? redis_edit_queue_history(talk, c, job->scribe, job->edit, job->at)
                         : redis_edit_queue(talk, c, job->scribe, job->edit);
    return n < 0 ? -1 : n + job->route.asking;
}

/* Its node is talked with no more: nobody knows how far it got. */
static void lose(struct redis_job *job, const char *why) {
    snprintf(job->route.why, sizeof job->route.why,
             "%.90s: %.250s (it may have been done, look again)", job->route.to->name, why);
    job->state = JOB_LOST;
}

static void flush(struct redis_cluster *cluster, struct redis_member *member,
                  const struct redis_job *jobs, size_t n) {
    bool good = true, any = false;
    for (size_t i = 0; i < n; i++)
        if (jobs[i].state == JOB_SENT && jobs[i].route.to == member) {
            good = good && jobs[i].replies >= 0;
            any = true;
        }
    if (any && !good) {
        redis_talk_disconnect(&member->talk); /* with what is queued already */
        snprintf(member->problem, sizeof member->problem, "no memory");
    } else if (any &&
               redis_talk_flush(&member->talk, member->problem, sizeof member->problem) != 0) {
        redis_map_doubt(cluster->map);
    }
}

static void send_all(struct redis_cluster *cluster, struct redis_job *jobs, size_t n) {
    struct redis_command c = {0};
    for (size_t i = 0; i < n; i++) {
        if (jobs[i].state != JOB_OPEN || redis_route_open(cluster, &jobs[i].route) != 0)
            continue;
        jobs[i].replies = queue_job(&jobs[i], &c);
        jobs[i].state = JOB_SENT;
    }
    redis_command_clear(&c);
    for (struct redis_member *member = cluster->members; member != NULL; member = member->next)
        flush(cluster, member, jobs, n);
}

static void judge(struct redis_cluster *cluster, struct redis_job *job,
                  const struct redis_edited *edited) {
    job->state = JOB_DONE;
    if (edited->conflict)
        job->state = JOB_CONFLICT;
    else if (edited->error[0] != '\0')
        job->state = redis_route_refused(cluster, &job->route, edited->error) && !edited->done
                         ? JOB_OPEN
                         : JOB_REFUSED;
    else if (!job->history)
        job->at = edited->at;
}

static void take_all(struct redis_cluster *cluster, struct redis_job *jobs, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct redis_job *job = &jobs[i];
        struct redis_member *member = job->route.to;
        struct redis_edited edited;
        if (job->state != JOB_SENT)
            continue;
        if (member->talk.conn != NULL &&
            redis_edit_take(&member->talk, job->replies, &edited, member->problem,
                            sizeof member->problem) == 0)
            judge(cluster, job, &edited);
        else
            lose(job, member->problem);
    }
}

static bool any_open(const struct redis_job *jobs, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (jobs[i].state == JOB_OPEN)
            return true;
    return false;
}

void redis_jobs_run(struct redis_cluster *cluster, struct redis_job *jobs, size_t n, bool once) {
    struct redis_tries tries = {0};
    while (any_open(jobs, n) && redis_cluster_again(cluster, &tries) && !(once && tries.n > 1)) {
        send_all(cluster, jobs, n);
        take_all(cluster, jobs, n);
    }
}
