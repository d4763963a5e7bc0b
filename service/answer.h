/*
 * answer.h: what the speaker makes of a chat: a list, then words about it.
 *
 *     answer_begin: dialogue, user, what was shown ─► slate, or a talk of a version that was
 *                   taught dialogues (recommend/talks.h)
 *     answer_step:  once a step for each chat: the list as soon as it is ready, then one piece of
 *                   text a step
 *
 * A desk is what a version needs to answer chats.  A chat stays on the desk it began on, so a new
 * version disturbs nobody.
 *
 * Threads   the speaker's alone.
 * Memory    a desk: scratch for one slate, and streams of talks; an answer: its list and words.
 */
#ifndef SERVICE_ANSWER_H
#define SERVICE_ANSWER_H

#include "recommend/dialogue.h"
#include "recommend/talks.h"
#include "recommend/wishes.h"
#include "service/chat.h"
#include "service/gather.h"

enum { QUERY_BYTES = 1024 };

struct desk {
    struct snapshot *snapshot; /* held: that of titles and talks */
    struct titles *titles;
    struct wish_book *book;
    struct wish_work *wish_work;
    struct talks *talks;
    struct scratch scratch;
    size_t active;                 /* answers that use it */
    double read_at_s, read_took_s; /* titles and book */
};

bool desk_open(struct desk *desk, struct service *service, struct snapshot *snapshot,
               struct err *err) MUST_CHECK; /* takes the caller's share */
void desk_close(struct desk *desk);
/* Items that changed get their names and categories, now and then: it reads the whole catalogue. */
void desk_follow(struct desk *desk, struct service *service, struct snapshot *snapshot);

enum answer_state { ANSWER_LISTING, ANSWER_SAYING, ANSWER_OVER };

struct answer {
    enum answer_state state;
    struct desk *desk;
    struct snapshot *snapshot; /* held: items as they are now */
    struct talk talk;
    struct votes votes; /* of what it names, for the talk */
    bool in_talk;
    uint32_t prompt[LIST_PROMPT_MAX]; /* of the talk */
    size_t prompt_count;
    struct gathering gathering; /* skip is owned */
    struct slate slate;         /* the list, whoever wrote it */
    struct wishes wishes;
    char query[QUERY_BYTES]; /* what the newest message asks for beside its wishes */
    json_t *recommendations, *understood, *not_understood, *reasons; /* owned */
    json_t *relaxed;                                                 /* owned; labels, or NULL */
    size_t n;                                                        /* items wanted */
    struct text notes; /* what has to be said beside it: what was not understood or left out */
    struct text words; /* what is to be said; [0, said) was */
    size_t said;
    bool words_ready; /* nothing more comes into words */
    size_t tokens, prompt_tokens;
    size_t heard;         /* symbols of the talk's words that were taken */
    size_t run;           /* the first of them after the newest name */
    size_t run_taken;     /* bytes of the text from there on that were taken */
    struct text sentence; /* of those, what is not to be said yet */
    bool redrafted;
    const char *source, *finish; /* "template" or "model"; "stop" or "length" */
    char request_id[64];         /* of the list, for events that refer to it */
    uint64_t asked;              /* conversation_asked() of the request */
};

/* taught: the version was taught to list for dialogues. */
bool answer_begin(struct chat *chat, struct desk *desk, struct snapshot *snapshot, bool taught,
                  struct conversations *conversations, struct err *err) MUST_CHECK;
/* Of an answer that has begun: gathering, wishes, notes, n and prompt, from the request and what
 * was shown before: answer_read.c. */
bool answer_read(struct chat *chat, struct conversations *conversations,
                 struct err *err) MUST_CHECK;
/* After a step of its desk's talks; false: it is over. */
bool answer_step(struct chat *chat, struct conversations *conversations);
void answer_free(struct chat *chat); /* its talk ends, too; NULL answer is fine */

/* The list as items of a reply, and the text of a template about it: answer_list.c. */
bool answer_list(struct chat *chat, struct conversations *conversations,
                 struct err *err) MUST_CHECK;

/*
 * Takes what the talk said since the last step.  A sentence is said when it is whole and names
 * nothing but items of the list; else the draft is made once more, and then a template speaks; of a
 * stream that has begun to speak the sentences before it stay, and no more come: answer_words.c.
 */
void answer_hear(struct chat *chat);
/* A template's words about the list, cut where the request says. */
void write_template(struct answer *answer, const struct chat_request *request);

/* How a client is told: chat_reply.c.  A chat that does not stream is told everything at its end.
 */
void reply_list(struct chat *chat);
void reply_words(struct chat *chat, const char *words, size_t size);
void reply_end(struct chat *chat);

#endif
