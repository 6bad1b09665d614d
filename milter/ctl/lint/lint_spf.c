/*
 * What `lint` asks the DNS: the domains of `ip:spf:` entries, and those whose mail must come from a
 * listed address or with an SPF pass; with --dns all that have policy. Owns which domains are
 * asked, each once, and for how long; what a record lets pass is the spf room's to say.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../memory.h"
#define uthash_fatal(message) no_memory()
#include <uthash.h>

#include "../print.h"
#include "gatepost/base/clock.h"
#include "gatepost/session/runtime.h"
#include "lint_dns.h"

/* Milliseconds for all domains together: what is not asked by then is said. */
#define PATIENCE 10000
#define PATIENCE_DNS 60000

/* A domain, and the first fact that it is named in. */
struct lint_domain {
    char *name; /* "p provider.example", "s sender.example": as a provider or as a sender's */
    char *subject, *field;       /* field NULL: only its policy, with --dns */
    size_t others;               /* facts that name it too */
    struct lint_listing listing; /* with --dns: what is listed for its accounts */
    UT_hash_handle hh;
};

/* A walk over them. */
struct asking {
    struct lint *lint;
    const struct lint_domain *domain;
    struct spf *spf;
    int64_t deadline;
    size_t unasked;
    struct why first; /* why the first of these was not */
};

static const char *name_of(const struct lint_domain *domain) {
    return domain->name + 2;
}

static bool is_provider(const struct lint_domain *domain) {
    return domain->name[0] == 'p';
}

/* A fact that names the domain tells more than that it has policy. */
static void tell_better(struct lint_domain *domain, const char *subject, const char *field) {
    if (domain->field != NULL) {
        domain->others += field != NULL;
        return;
    }
    if (field == NULL && subject[strlen("account:")] != '@')
        return;
    free(domain->subject);
    domain->subject = xstrdup(subject);
    domain->field = field == NULL ? NULL : xstrdup(field);
}

static struct lint_domain *note(struct lint *lint, bool provider, const char *name,
                                const char *subject, const char *field) {
    struct lint_domain *found;
    char *key = xasprintf("%c %s", provider ? 'p' : 's', name);
    HASH_FIND_STR(lint->domains, key, found);
    if (found != NULL) {
        tell_better(found, subject, field);
        free(key);
        return found;
    }
    found = xcalloc(1, sizeof *found);
    found->name = key;
    found->subject = xstrdup(subject);
    found->field = field == NULL ? NULL : xstrdup(field);
    HASH_ADD_KEYPTR(hh, lint->domains, found->name, strlen(found->name), found);
    return found;
}

void lint_note_domains(struct lint *lint, const char *subject, const struct policy *policy) {
    const struct setting *source = &policy->settings[FIELD_SOURCE];
    const char *domain = strrchr(subject, '@');
    for (size_t i = 0; i < policy->n_providers; i++)
        if (policy_name_counts(&policy->providers[i], lint->ctl->now))
            note(lint, true, policy->providers[i].name, subject, policy->providers[i].field);
    if (domain == NULL || domain[1] == '.' || domain[1] == '[')
        return;
    bool authorized = source->state == SETTING_SET && source->value == SOURCE_AUTHORIZED;
    if (!authorized && !lint->ctl->dns)
        return;
    struct lint_domain *noted =
        note(lint, false, domain + 1, subject, authorized ? source->field : NULL);
    if (lint->ctl->dns)
        lint_listing_add(&noted->listing, lint, subject, policy);
}

/* " (3 more entries name it)", or nothing. */
static const char *others(const struct lint_domain *domain, char out[60]) {
    out[0] = '\0';
    if (domain->others > 0)
        snprintf(out, 60, " (%zu more %s)", domain->others,
                 domain->others == 1 ? "entry names it" : "entries name it");
    return out;
}

static void take_term(void *context, const struct spf_pass_term *term) {
    const struct asking *asking = context;
    const struct decision_rules *rules = &asking->lint->ctl->config->rules;
    const struct lint_domain *domain = asking->domain;
    char more[60];
    if (term->prefix4 >= rules->widest4 && term->prefix6 >= rules->widest6)
        return;
    lint_found(asking->lint, "spf-too-wide", domain->subject, domain->field,
               "the SPF record of %.253s passes almost anybody, by %.120s%s%.253s; %s%s",
               name_of(domain), term->text,
               strcmp(term->domain, name_of(domain)) == 0 ? "" : " in that of ",
               strcmp(term->domain, name_of(domain)) == 0 ? "" : term->domain,
               is_provider(domain)     ? "such a match lists nobody"
               : domain->field != NULL ? "such a pass does not satisfy source authorized"
                                       : "anybody can send as it with an SPF pass",
               others(domain, more));
}

static void put_off(struct asking *asking, const struct why *why) {
    if (asking->unasked++ == 0)
        asking->first = *why;
}

/* With --dns, of a domain with policy: why there is no record that could be evaluated, or what is
 * found of that. */
static void ask_more(struct asking *asking, enum spf_survey survey, const char *problem) {
    const struct lint_domain *domain = asking->domain;
    struct why why;
    if (survey == SPF_SURVEY_NO_NAME)
        lint_found(asking->lint, "spf-record", domain->subject, NULL, "%.253s does not exist",
                   name_of(domain));
    else if (survey == SPF_SURVEY_WRONG)
        lint_found(asking->lint, "spf-record", domain->subject, NULL,
                   "the SPF record of %.253s is in error: %.200s", name_of(domain), problem);
    else if (survey == SPF_SURVEY_NONE)
        lint_noted(asking->lint, "spf-record", domain->subject, NULL,
                   "%.253s publishes no SPF record", name_of(domain));
    else if (survey == SPF_SURVEY_RECORD &&
             lint_record(asking->lint, asking->spf, name_of(domain), domain->subject,
                         &domain->listing, asking->deadline, &why) != 0)
        put_off(asking, &why);
}

static void ask_domain(struct asking *asking) {
    struct lint *lint = asking->lint;
    const struct lint_domain *domain = asking->domain;
    int64_t now = clock_now_ms(), own = now + lint->ctl->config->spf_timeout;
    struct why why = {"there was no time left"};
    char more[60];
    enum spf_survey survey = SPF_SURVEY_UNKNOWN;
    if (now < asking->deadline)
        survey =
            spf_survey(asking->spf, name_of(domain),
                       own < asking->deadline ? own : asking->deadline, take_term, asking, &why);
    if (survey == SPF_SURVEY_UNKNOWN) {
        put_off(asking, &why);
    } else if (is_provider(domain) && survey != SPF_SURVEY_RECORD) {
        lint_found(lint, "no-provider", domain->subject, domain->field,
                   "nobody is listed by it: %.253s %s%.200s%s", name_of(domain),
                   survey == SPF_SURVEY_NO_NAME ? "does not exist"
                   : survey == SPF_SURVEY_NONE  ? "publishes no SPF record"
                                                : "has an SPF record in error: ",
                   survey == SPF_SURVEY_WRONG ? why.text : "", others(domain, more));
        return;
    }
    if (!is_provider(domain) && lint->ctl->dns)
        ask_more(asking, survey, why.text);
    if (is_provider(domain))
        lint_noted(lint, "provider", domain->subject, domain->field,
                   "every customer of this provider is let in by it: they send from the same "
                   "servers%s",
                   others(domain, more));
}

static int by_name(const struct lint_domain *a, const struct lint_domain *b) {
    return strcmp(a->name, b->name);
}

void lint_domains(struct lint *lint) {
    struct asking asking = {
        .lint = lint, .deadline = clock_now_ms() + (lint->ctl->dns ? PATIENCE_DNS : PATIENCE)};
    struct lint_domain *next;
    struct why why;
    if (lint->domains == NULL)
        return;
    if (runtime_open_evaluator(lint->ctl->config, &asking.spf, &why) != 0) {
        ctl_warn("SPF records are not looked at: %s", why.text);
        return;
    }
    HASH_SORT(lint->domains, by_name);
    for (const struct lint_domain *d = lint->domains; d != NULL; d = d->hh.next) {
        asking.domain = d;
        ask_domain(&asking);
    }
    if (asking.unasked > 0)
        ctl_warn("the SPF records of %zu domains could not be looked at: %s", asking.unasked,
                 asking.first.text);
    spf_release(asking.spf);
    for (struct lint_domain *d = lint->domains; d != NULL; d = next) {
        next = d->hh.next;
        HASH_DEL(lint->domains, d);
        free(d->name);
        free(d->subject);
        free(d->field);
        lint_listing_clear(&d->listing);
        free(d);
    }
}
