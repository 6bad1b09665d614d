/*
 * Removing the subjects that an import does not have: what makes `import --replace --prune` a
 * restore of everything.
 */
#ifndef GATEPOST_CTL_WRITE_PRUNE_H
#define GATEPOST_CTL_WRITE_PRUNE_H

#include "import_read.h"

struct prune {
    struct ctl_names gone; /* subjects of the store that the input does not have */
    size_t removed, fields;
};

/*
 * Finds them. Without --force it refuses an input that has fewer subjects than would go: probably
 * a part of an export. CTL_DONE, or another status after saying why and nothing to clear.
 */
int prune_find(struct ctl *ctl, const struct input *input, struct prune *out);

/*
 * Removes them, with their history; only tells them in a dry run. Nothing goes where the rest of
 * the import was not `good`, or without --prune. Returns 0, or -1 with the reason.
 */
int prune_remove(struct ctl *ctl, struct prune *prune, bool good, struct why *why);
void prune_clear(struct prune *prune);

#endif
