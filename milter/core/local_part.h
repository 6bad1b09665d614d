/*
 * What an MTA adds to a local part, and takes off again before it looks for the user. Pure.
 */
#ifndef GATEPOST_CORE_LOCAL_PART_H
#define GATEPOST_CORE_LOCAL_PART_H

/*
 * Behind the tag of a signed sender, "prvs=KDDDSSSSSS=" (draft-levine-smtp-batv-01, 4): a part of
 * `local`, or all of it when there is no such tag or nothing behind it. The tag is not verified:
 * only who made it could.
 */
const char *local_part_skip_tag(const char *local);

/*
 * Takes the address extension off, which begins at the first of `delimiters`; never at the first
 * octet: "+x" is a name. As Postfix (recipient_delimiter): "postmaster", "mailer-daemon" and
 * "double-bounce" have none, and where "-" is a delimiter, neither have "owner-LIST" and
 * "LIST-request".
 */
void local_part_cut_extension(char *local, const char *delimiters);

#endif
