/*
 * wish_parts.h: the insides of wishes.h, between its files.
 *
 *     bytes ─► words (wish_words.c) ─► classes by the lexicon (wish_lexicon.c)
 *           ─► mentions: titles (wish_titles.c), categories (wish_categories.c), years
 *              (wish_years.c), ranks, pronouns, counts (wish_ranks.c)
 *           ─► clauses (wish_clauses.c): what is said of each mention (wish_verdicts.c), as wishes
 *              (wish_put.c); what nothing says (wish_report.c)
 *           ─► wishes among earlier ones (wishes.c) ─► mask (wish_mask.c), JSON, words (wish_say.c)
 */
#ifndef RECOMMEND_WISH_PARTS_H
#define RECOMMEND_WISH_PARTS_H

#include "recommend/wishes.h"

#include <string.h>

enum {
    WORDS_MAX = 2048,
    MENTIONS_MAX = 256,
    MENTION_ROWS = 1024,
    FOLD_SIZE = 24,
    FUZZY_MAX = 64,         /* unknown words of a message that are compared with known ones */
    FUZZY_FORMS_MAX = 4096, /* categories beyond this are matched exactly */
    FORM_SIZE = 48,
    FORM_WORDS = 4
};

/* What a word or a phrase does. */
enum word_class {
    UNKNOWN, /* content: if nothing uses it, it is reported */
    FILLER,  /* says nothing */
    FILM,    /* film, movie, one, something */
    WANT,    /* show me, I would like */
    NO,      /* no, without, nothing */
    NOT,     /* not, don't, isn't */
    ONLY,    /* only, just */
    LOVE,    /* I love */
    HATE,    /* I hate */
    LIKE,    /* similar to */
    SEEN,    /* watched */
    AGAIN,   /* once more */
    REMOVE,  /* leave out */
    UNDO,    /* forget */
    RESET,   /* start over */
    NEUTRAL, /* don't mind, no need: neither wanted nor not */
    GOOD,    /* great: behind a subject it says that it is liked */
    BAD,     /* boring */
    FINE,    /* is fine: may be there */
    BUT,     /* ends a clause */
    IS,      /* was, is */
    HAVE,    /* has */
    ASK,     /* begins a question that wishes for nothing */
    PRONOUN, /* it, that one, those */
    ALL,     /* all of them */
    MOST,    /* most of them */
    EXCEPT,  /* all but */
    BEFORE,
    AFTER,
    SINCE,
    UNTIL,
    BETWEEN,
    ONWARDS,
    BACKWARDS, /* years */
    OLDER,
    NEWER,
    TOO_OLD,
    TOO_NEW,
    RECENT,
    CLASSIC,
    SAME_YEAR,
    SAME_DECADE,
    YEAR_WORD, /* year, decade, when it is about taking back */
    ABOUT,     /* about, set in: a subject follows */
    MORE,
    LESS,
    OTHER, /* or, and */
    PEOPLE,
    LENGTH,
    LANGUAGE,
    RATING,
    PLACE,
    TOPIC, /* what no catalogue of ours says */
    CLASSES
};

struct phrase {
    const char *words; /* folded, one space between */
    enum word_class class;
};
extern const struct phrase PHRASES[];
extern const size_t PHRASES_COUNT;

/* Words of one meaning with a category, if the catalogue has it. */
struct synonym {
    const char *words, *category; /* folded, stemmed, one space between */
};
extern const struct synonym SYNONYMS[];
extern const size_t SYNONYMS_COUNT;

enum word_kind { WORD_TEXT, WORD_NUMBER, WORD_COMMA, WORD_STOP, WORD_DASH, WORD_HASH };

struct word {
    uint32_t from, to; /* bytes of the text */
    char fold[FOLD_SIZE];
    enum word_kind kind;
    enum word_class class;
    uint16_t span;   /* words of its phrase, at the first; 0 within one */
    int16_t mention; /* or -1 */
    bool capital, quoted, used;
    int value; /* of a number, in words too; -1: none */
    int rank;  /* of an ordinal: 1 .., -1 last, -2 second to last; 0: none */
};

enum mention_kind {
    MENTION_CATEGORY,
    MENTION_ITEMS,
    MENTION_PRONOUN,
    MENTION_YEARS,
    MENTION_COUNT
};

struct mention {
    enum mention_kind kind;
    size_t first, last; /* words [first, last) */
    uint32_t category;
    size_t row_first, row_count; /* in rows[] */
    int from, to;
    bool bare_year; /* a period without before, since ...: can be turned round */
    bool relative;  /* older, newer: than what was shown */
    bool turned;    /* of "too old": says what is wanted, and a negation before it says the same */
    size_t count;
    bool ranked; /* by a rank, not by a name */
    bool plural;
    bool except;  /* all but these */
    bool outside; /* of its ranks one or more are not on the list */
    bool dead;    /* used up by another mention, or by what is reported */
    enum say {
        SAY_NOTHING,
        SAY_WANTED,
        SAY_ONLY,
        SAY_UNWANTED,
        SAY_FINE,
        SAY_LIKE,
        SAY_UNLIKE,
        SAY_SEEN,
        SAY_AGAIN
    } say;
    bool framed; /* what stands before it says something already */
};

struct wish_form {
    char key[FORM_SIZE]; /* stems, one space between */
    uint32_t category;
    uint16_t words;
};

struct wish_book {
    const struct snapshot *snapshot;
    const struct titles *titles;
    struct wish_form *form; /* owned [forms] by key */
    size_t forms;
    uint16_t *phrase; /* owned [PHRASES_COUNT] places in PHRASES, by words */
    int newest;       /* year; 0: the catalogue has none */
};

struct wish_work {
    char text[WISH_BYTES + 1]; /* the message: valid UTF-8, no control characters */
    size_t size;
    struct word word[WORDS_MAX];
    size_t words;
    struct mention mention[MENTIONS_MAX];
    size_t mentions;
    uint32_t row[MENTION_ROWS];
    size_t rows;
    struct title_hit hit[MENTIONS_MAX];
    const struct wish_book *book;
    const uint32_t *shown;
    size_t shown_count;
    struct wishes *out;
    uint32_t turn, groups;
    bool seen_before;            /* the clause before this one said what was seen */
    uint32_t it[WISH_SHOWN_MAX]; /* [it_count] what "it" is: the items named last */
    size_t it_count;
    uint64_t undo[WISHES_MAX]; /* [undo_count] rising */
    size_t undo_count;
    struct said {
        uint64_t content; /* hash of what a wish says */
        uint32_t turn, times;
    } said[2 * WISHES_MAX]; /* [said_count] for ids */
    size_t said_count;
};

/* A part of a sentence that one negation, one verb holds for; wish_clauses.c says where it ends. */
struct clause {
    size_t first, last; /* words [first, last) */
    bool negative;      /* holds for what follows */
    bool told;          /* something was mentioned since */
    bool plain;         /* the negation stands right before: "not the second" */
    bool only;
    enum say rel; /* SAY_LIKE, SAY_SEEN, SAY_UNWANTED (turned down) or SAY_NOTHING */
    bool neutral, wants, film, verb, no, loves, again, undo, reset, fine, similar, turns_down, seen;
    bool question;
    bool after_seen; /* "I have seen A, but not B" */
    bool subject;    /* somebody does something */
    bool negates;    /* a verb: don't, haven't */
    bool content;    /* before a mention, and by somebody: "I find war in films ..." */
    size_t want;     /* word behind the first wish */
    size_t used;     /* mentions that became wishes */
};

/* wish_words.c */
void words_read(struct wish_work *w, const char *text, size_t size);
void words_mend(struct wish_work *w);
void words_classify(struct wish_work *w);
size_t fold_word(char fold[FOLD_SIZE], const char *bytes, size_t size);
void stem_word(char stem[FOLD_SIZE], const char *fold);
/* Edits (one more, one less, one other, two swapped) between words, at most most + 1. */
size_t word_distance(const char *a, const char *b, size_t most);
bool word_near(const char *word, const char *known);
static inline bool word_is(const struct wish_work *w, size_t at, const char *fold)
{
    return at < w->words && strcmp(w->word[at].fold, fold) == 0;
}
/* The class of a word alone. */
enum word_class word_class_of(const struct wish_book *book, const char *fold);
bool phrases_open(struct wish_book *book, struct err *err);

/* The class at a word, of a phrase that it may stand within; UNKNOWN behind the end. */
enum word_class class_at(const struct wish_work *w, size_t at);

/* wish_categories.c */
bool categories_open(struct wish_book *book, struct err *err);
void categories_mention(struct wish_work *w);
/* Whether a word is a category, without a slip. */
bool category_spelled(const struct wish_book *book, const char *fold);
/* The category of one word: 0 as it is spelled, 1 with a slip, 2 none. */
size_t categories_near(uint32_t *category, const struct wish_book *book, const char *fold);

/* wish_titles.c */
void titles_mention(struct wish_work *w);

/* wish_ranks.c */
void items_mention(struct wish_work *w);
void counts_mention(struct wish_work *w);

/* wish_years.c */
void years_mention(struct wish_work *w);
void relatives_mention(struct wish_work *w); /* once ranks and titles are known */

/* wish_clauses.c */
void clauses_read(struct wish_work *w);
bool is_subject(const struct wish_work *w, size_t at); /* I, we, my ... */
bool has_word(const struct wish_work *w, const struct clause *c, const char *fold);
static inline bool is_sign(const struct wish_work *w, size_t at)
{
    return w->word[at].kind > WORD_NUMBER;
}

/* wish_verdicts.c: what a clause says of a mention: a word, a comma and a mention from left to
 * right, then what stands behind each mention. */
void take_word(struct clause *c, const struct wish_work *w, size_t at);
void take_comma(struct clause *c, const struct wish_work *w, size_t at);
void say_mention(struct clause *c, const struct wish_work *w, struct mention *m);
void judge_mention(const struct wish_work *w, const struct clause *c, struct mention *m);

/* wish_report.c */
bool is_content(const struct wish_work *w, size_t at);
void swallow_subjects(struct wish_work *w, const struct clause *c);
void report(struct wish_work *w, const struct clause *c);

/* wish_put.c */
void put_mentions(struct wish_work *w, struct clause *c);
void put_items(struct wish_work *w, const struct mention *m);

/* wishes.c */
struct mention *mention_add(struct wish_work *w, enum mention_kind kind, size_t first, size_t last);
void wish_put(struct wish_work *w, const struct wish *wish, size_t first, size_t last);
void wish_unclear(struct wish_work *w, enum wish_why why, size_t first, size_t last);
void wish_forget(struct wish_work *w, const struct mention *m); /* NULL: what was said last */
void wish_forget_all(struct wish_work *w);
void wish_forget_years(struct wish_work *w);
/* Takes back that a category is (not) wanted. */
void wish_forget_category(struct wish_work *w, uint32_t category);

#endif
