/*
 * Fuzz target: what a hostile mail server says to `gatepostctl doors check`. The first octet of the
 * input chooses the protocol, the rest is all that the server ever says. Promises: the conversation
 * ends, what it was told is text within its bounds, and a stream that has ended says why.
 */
#include "fuzz.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gatepost/base/clock.h"
#include "milter/ctl/doors/mail_talk.h"
#include "milter/ctl/doors/our_text.h"

static const struct talk_protocol *const protocols[] = {&talk_smtp, &talk_imap, &talk_pop3,
                                                        &talk_sieve};

static void check(const struct talk *talk, enum talk_answer answer) {
    static const struct config config; /* the texts are those of no configuration */
    const struct talk_offers *offers = &talk->offers;
    enum reason reason = REASONS;
    PROMISE(answer <= TALK_LOST);
    PROMISE((answer == TALK_LOST) == (talk->stream->end != STREAM_OPEN));
    PROMISE(talk->stream->end == STREAM_OPEN || talk->stream->why.text[0] != '\0');
    PROMISE(memchr(talk->said, '\0', sizeof talk->said) != NULL);
    PROMISE(memchr(offers->mechanisms, '\0', sizeof offers->mechanisms) != NULL);
    PROMISE(!offers->plain || offers->login);
    PROMISE(our_text_find(&config, talk->said, &reason) == (reason != REASONS));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int fds[2];
    if (size < 1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
        return 0;
    ssize_t said = send(fds[1], data + 1, size - 1, 0);
    PROMISE(said == (ssize_t)size - 1);
    shutdown(fds[1], SHUT_WR);
    struct stream stream = {.fd = fds[0], .deadline = clock_now_ms() + 60000};
    struct talk talk = {.protocol = protocols[data[0] % 4], .stream = &stream};
    for (int step = 0; step < TALK_STEPS && stream.end == STREAM_OPEN; step++)
        check(&talk, talk_say(&talk, (enum talk_step)step, "AGEAYg=="));
    stream_close(&stream);
    close(fds[1]);
    return 0;
}
