/*
 * Transactions at the nodes of a cluster. Owns that they are sent together and answered one by
 * one, and that only those are tried again which certainly were not done.
 */
#include "cluster_transactions.h"

#include <stdio.h>

/* Returns 0, or -1 with the reason as the node's problem: the job stays open. */
static int queue_job(struct cluster_transaction *job, struct redis_command *c) {
    const struct redis_errand errand = {.scribe = job->scribe,
                                        .edit = job->edit,
                                        .asking = job->route.asking,
                                        .history = job->history,
                                        .at = job->at};
    struct redis_member *member = job->route.to;
    struct why why;
    job->replies = redis_transaction_queue(&member->talk, c, &errand, &why);
    if (job->replies >= 0)
        return 0;
    redis_client_disconnect(&member->talk); /* with what is queued already */
    why_set(&member->problem, "%.90s: %s", member->name, why.text);
    return why_set(&job->route.why, "%s", member->problem.text);
}

/* Its node is talked with no more: nobody knows how far it got. */
static void lose(struct cluster_transaction *job, const char *why) {
    why_set(&job->route.why, "%.90s: %.250s (it may have been done, look again)",
            job->route.to->name, why);
    job->state = JOB_LOST;
}

static void flush(struct cluster_nodes *cluster, struct redis_member *member,
                  const struct cluster_transaction *jobs, size_t n) {
    bool any = false;
    for (size_t i = 0; i < n; i++)
        any |= jobs[i].state == JOB_SENT && jobs[i].route.to == member;
    if (any && member->talk.conn != NULL &&
        redis_client_flush(&member->talk, &member->problem) != 0)
        redis_map_doubt(cluster->map);
}

static void send_all(struct cluster_nodes *cluster, struct cluster_transaction *jobs, size_t n) {
    struct redis_command c = {0};
    for (size_t i = 0; i < n; i++) {
        if (jobs[i].state == JOB_OPEN && cluster_route_open(cluster, &jobs[i].route) == 0 &&
            queue_job(&jobs[i], &c) == 0)
            jobs[i].state = JOB_SENT;
    }
    redis_command_clear(&c);
    for (struct redis_member *member = cluster->members; member != NULL; member = member->next)
        flush(cluster, member, jobs, n);
}

static void judge(struct cluster_nodes *cluster, struct cluster_transaction *job,
                  const struct redis_transaction_outcome *edited) {
    job->state = JOB_DONE;
    if (edited->conflict)
        job->state = JOB_CONFLICT;
    else if (edited->error[0] != '\0')
        job->state = cluster_route_refused(cluster, &job->route, edited->error) && !edited->done
                         ? JOB_OPEN
                         : JOB_REFUSED;
    else if (!job->history)
        job->at = edited->at;
}

static void take_all(struct cluster_nodes *cluster, struct cluster_transaction *jobs, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct cluster_transaction *job = &jobs[i];
        struct redis_member *member = job->route.to;
        struct redis_transaction_outcome edited;
        if (job->state != JOB_SENT)
            continue;
        if (member->talk.conn != NULL &&
            redis_transaction_take(&member->talk, job->replies, &edited, &member->problem) == 0)
            judge(cluster, job, &edited);
        else
            lose(job, member->problem.text);
    }
}

static bool any_open(const struct cluster_transaction *jobs, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (jobs[i].state == JOB_OPEN)
            return true;
    return false;
}

void cluster_transactions_run(struct cluster_nodes *cluster, struct cluster_transaction *jobs,
                              size_t n, bool once) {
    struct redis_tries tries = {0};
    while (any_open(jobs, n) && cluster_nodes_again(cluster, &tries) && !(once && tries.n > 1)) {
        send_all(cluster, jobs, n);
        take_all(cluster, jobs, n);
    }
}
