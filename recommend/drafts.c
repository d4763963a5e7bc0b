#include "recommend/drafts.h"

#include "recommend/folding.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Sorted; a title of these alone, without capitals, is running text. */
static const char *const COMMON[] = {
    "a",         "about",      "above",    "across",    "action",     "actor",    "actors",
    "after",     "again",      "against",  "all",       "also",       "always",   "am",
    "an",        "and",        "animated", "another",   "any",        "anything", "are",
    "around",    "as",         "at",       "away",      "awesome",    "back",     "bad",
    "be",        "because",    "been",     "before",    "began",      "begin",    "begins",
    "behind",    "being",      "below",    "best",      "better",     "between",  "beyond",
    "big",       "bit",        "both",     "boy",       "boys",       "brother",  "but",
    "by",        "can",        "can't",    "character", "characters", "classic",  "come",
    "comedies",  "comedy",     "comes",    "coming",    "cool",       "could",    "crazy",
    "crime",     "dark",       "darker",   "day",       "days",       "did",      "didn't",
    "do",        "does",       "doing",    "don't",     "done",       "down",     "drama",
    "during",    "each",       "early",    "easy",      "eight",      "else",     "end",
    "ended",     "ending",     "ends",     "enjoy",     "enough",     "even",     "ever",
    "every",     "everything", "family",   "fan",       "fantasy",    "far",      "father",
    "favorite",  "feel",       "feeling",  "feelings",  "feels",      "few",      "film",
    "films",     "find",       "finds",    "fine",      "first",      "five",     "for",
    "forget",    "found",      "four",     "friends",   "from",       "full",     "fun",
    "funny",     "game",       "get",      "gets",      "getting",    "girl",     "girls",
    "give",      "given",      "gives",    "giving",    "go",         "goes",     "going",
    "gone",      "good",       "got",      "great",     "guy",        "guys",     "had",
    "half",      "happy",      "hard",     "has",       "have",       "he",       "heard",
    "heart",     "hello",      "help",     "her",       "here",       "here's",   "hey",
    "hi",        "high",       "him",      "his",       "home",       "hope",     "horror",
    "hours",     "how",        "i",        "i'll",      "i'm",        "i've",     "if",
    "in",        "inside",     "into",     "is",        "isn't",      "it",       "it's",
    "its",       "just",       "keep",     "keeps",     "kept",       "kid",      "kids",
    "kind",      "kinds",      "knew",     "know",      "known",      "last",     "late",
    "left",      "less",       "let",      "let's",     "life",       "light",    "lighter",
    "like",      "liked",      "likes",    "list",      "little",     "live",     "lives",
    "long",      "longer",     "look",     "looks",     "lot",        "love",     "loved",
    "loves",     "made",       "make",     "makes",     "making",     "man",      "many",
    "may",       "maybe",      "me",       "men",       "might",      "mind",     "minutes",
    "more",      "most",       "mother",   "movie",     "movies",     "much",     "must",
    "my",        "mystery",    "name",     "near",      "need",       "never",    "new",
    "newer",     "next",       "nice",     "night",     "nights",     "nine",     "no",
    "not",       "nothing",    "now",      "of",        "off",        "ok",       "okay",
    "old",       "older",      "on",       "once",      "one",        "ones",     "only",
    "open",      "or",         "other",    "others",    "our",        "out",      "outside",
    "over",      "own",        "part",     "people",    "perfect",    "place",    "play",
    "real",      "really",     "right",    "romance",   "run",        "sad",      "said",
    "same",      "saw",        "say",      "scary",     "science",    "second",   "see",
    "seems",     "seen",       "seven",    "short",     "shorter",    "should",   "side",
    "simple",    "sister",     "six",      "slow",      "so",         "some",     "someone",
    "something", "sort",       "sorts",    "sounds",    "start",      "started",  "starts",
    "stay",      "stayed",     "stays",    "still",     "story",      "such",     "sure",
    "sweet",     "take",       "takes",    "taking",    "taste",      "tell",     "ten",
    "than",      "thank",      "thanks",   "that",      "that's",     "the",      "their",
    "them",      "then",       "there",    "there's",   "these",      "they",     "they're",
    "thing",     "things",     "think",    "third",     "this",       "thought",  "three",
    "thriller",  "through",    "time",     "times",     "to",         "today",    "together",
    "told",      "tonight",    "too",      "top",       "true",       "try",      "turn",
    "turns",     "two",        "type",     "types",     "under",      "until",    "up",
    "us",        "very",       "want",     "wanted",    "wants",      "war",      "was",
    "watch",     "watched",    "watching", "way",       "we",         "we're",    "weekend",
    "weird",     "well",       "were",     "what",      "what's",     "when",     "where",
    "which",     "while",      "who",      "whole",     "why",        "wild",     "will",
    "with",      "without",    "woman",    "women",     "won't",      "work",     "world",
    "worlds",    "worth",      "would",    "year",      "years",      "yes",      "yet",
    "you",       "you'll",     "you're",   "young",     "your",
};

/* What titles write small between their other words. */
static const char *const JOINING[] = {"a",    "an", "and", "as", "at", "but", "by", "for",
                                      "from", "in", "of",  "on", "or", "the", "to", "with"};

static int compare_words(const void *a, const void *b)
{
    return strcmp(a, *(const char *const *)b);
}

/* words [count] rise. */
static bool is_one_of(const char *const *words, size_t count, const char *word, size_t size)
{
    char lower[16];
    if (size >= sizeof lower)
        return false;
    for (size_t i = 0; i < size; i++)
        lower[i] = (char)tolower((unsigned char)word[i]);
    lower[size] = 0;
    return bsearch(lower, words, count, sizeof *words, compare_words) != NULL;
}

static bool is_common(const char *word, size_t size)
{
    return is_one_of(COMMON, COUNT(COMMON), word, size);
}

static bool is_joining(const char *word, size_t size)
{
    return is_one_of(JOINING, COUNT(JOINING), word, size);
}

static bool is_letter(char c)
{
    return isalnum((unsigned char)c) || c == '\'' || (c & 0x80);
}

/* The next word of [at, end); false: there is none. */
static bool next_word(const char **word, size_t *size, const char **at, const char *end)
{
    while (*at < end && !is_letter(**at))
        (*at)++;
    *word = *at;
    while (*at < end && is_letter(**at))
        (*at)++;
    *size = (size_t)(*at - *word);
    return *size > 0;
}

size_t draft_words(const char *bytes, size_t size)
{
    const char *end = size ? bytes + size : bytes;
    const char *word;
    size_t length;
    size_t words = 0;
    for (const char *at = bytes; next_word(&word, &length, &at, end);)
        words += strspn(word, "'") < length; /* a quote mark alone is no word */
    return words;
}

/* Common words, none of them a capital one but the first, which may begin a sentence. */
static bool is_running_text(const char *from, const char *to)
{
    const char *word;
    size_t size;
    size_t words = 0;
    for (const char *at = from; next_word(&word, &size, &at, to); words++)
        if (!is_common(word, size) ||
            (words > 0 && isupper((unsigned char)*word) && !(size == 1 && *word == 'I')))
            return false;
    return words > 0;
}

/* ---- what is written like a name ---- */

/* Bytes of an opening or closing double quote at a place; 0: none. */
static size_t quote_size(const char *at, const char *end)
{
    static const char *const quotes[] = {"\"", "\xe2\x80\x9c", "\xe2\x80\x9d", "\xe2\x80\x9e"};
    for (size_t i = 0; i < COUNT(quotes); i++) {
        size_t size = strlen(quotes[i]);
        if ((size_t)(end - at) >= size && memcmp(at, quotes[i], size) == 0)
            return size;
    }
    return 0;
}

/* Capital words, at most ten of them; between them words that titles do not write large. */
static bool is_capitalised(const char *from, const char *to)
{
    const char *word;
    size_t size;
    size_t words = 0;
    for (const char *at = from; next_word(&word, &size, &at, to); words++) {
        bool capital =
            isupper((unsigned char)*word) || isdigit((unsigned char)*word) || (*word & 0x80) != 0;
        if (!capital && (words == 0 || !is_joining(word, size)))
            return false;
    }
    return words > 0 && words <= 10;
}

/* "(1999)" at a place. */
static bool is_year(const char *at, const char *end)
{
    if (end - at < 6 || at[0] != '(' || at[5] != ')')
        return false;
    for (size_t i = 1; i < 5; i++)
        if (!isdigit((unsigned char)at[i]))
            return false;
    return memcmp(at + 1, "19", 2) == 0 || memcmp(at + 1, "20", 2) == 0 ||
           memcmp(at + 1, "18", 2) == 0;
}

/* Where the words before a year begin: capital ones, and short ones between them. */
static size_t name_before(const char *draft, size_t year)
{
    size_t from = year;
    size_t at = year;
    for (size_t words = 0; words < 10 && at > 0; words++) {
        size_t end = at;
        while (end > 0 && draft[end - 1] == ' ')
            end--;
        size_t begin = end;
        while (begin > 0 && (is_letter(draft[begin - 1]) || draft[begin - 1] == '-'))
            begin--;
        if (begin == end)
            break;
        bool capital = isupper((unsigned char)draft[begin]) || isdigit((unsigned char)draft[begin]);
        if (!capital && !is_joining(draft + begin, end - begin))
            break;
        at = begin;
        from = capital ? begin : from;
    }
    return from;
}

/* ---- a draft ---- */

struct looking {
    const char *draft;
    struct title_hit listed[DRAFT_HITS_MAX], hits[DRAFT_HITS_MAX];
    size_t listed_count, hit_count;
    struct false_name *names;
    size_t most, count;
};

static bool within(const struct title_hit *hits, size_t count, size_t from, size_t to)
{
    for (size_t i = 0; i < count; i++)
        if (from >= hits[i].from && to <= hits[i].to)
            return true;
    return false;
}

static void add_false(struct looking *l, size_t from, size_t to, uint32_t row)
{
    if (l->count < l->most)
        l->names[l->count++] = (struct false_name){from, to, row};
}

static void look_for_titles(struct looking *l, const uint32_t *rows, size_t count)
{
    for (size_t i = 0; i < l->hit_count; i++) {
        const struct title_hit *hit = &l->hits[i];
        if (numbers_hold(rows, count, hit->row) ||
            within(l->listed, l->listed_count, hit->from, hit->to) ||
            (!hit->cased && is_running_text(l->draft + hit->from, l->draft + hit->to)))
            continue;
        add_false(l, hit->from, hit->to, hit->row);
    }
}

static bool is_known(const struct looking *l, size_t from, size_t to)
{
    return within(l->listed, l->listed_count, from, to) || within(l->hits, l->hit_count, from, to);
}

static void look_for_years(struct looking *l)
{
    size_t size = strlen(l->draft);
    for (size_t at = 0; at + 6 <= size; at++)
        if (is_year(l->draft + at, l->draft + size) && !is_known(l, at, at + 6))
            add_false(l, name_before(l->draft, at), at + 6, NO_ITEM);
}

static void look_for_quotes(struct looking *l)
{
    const char *end = l->draft + strlen(l->draft);
    const char *open = NULL;
    for (const char *at = l->draft; at < end; at++) {
        size_t quote = quote_size(at, end);
        if (!quote)
            continue;
        const char *to = at;
        while (open && to > open && strchr(" ,.!?", to[-1]))
            to--;
        if (open && to > open && is_capitalised(open, to) &&
            !is_known(l, (size_t)(open - l->draft), (size_t)(to - l->draft)))
            add_false(l, (size_t)(open - l->draft), (size_t)(to - l->draft), NO_ITEM);
        open = open ? NULL : at + quote;
        at += quote - 1;
    }
}

/* A listed name with another year in brackets names something else. */
static void drop_other_years(struct looking *l, const struct titles *titles)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->listed_count; i++) {
        const struct title_hit *hit = &l->listed[i];
        int year = titles_year(titles, hit->row);
        const char *bracket = l->draft + hit->to - 6;
        bool other = year && hit->to - hit->from > 6 && is_year(bracket, bracket + 6) &&
                     (int)strtol(bracket + 1, NULL, 10) != year;
        if (!other)
            l->listed[kept++] = *hit;
    }
    l->listed_count = kept;
}

size_t draft_false_names(struct false_name *names, size_t most, const struct titles *titles,
                         const char *draft, const uint32_t *rows, size_t count)
{
    struct looking l = {.draft = draft, .names = names, .most = most};
    l.listed_count = titles_among(l.listed, DRAFT_HITS_MAX, titles, draft, rows, count);
    drop_other_years(&l, titles);
    l.hit_count = titles_loose(l.hits, DRAFT_HITS_MAX, titles, draft);
    look_for_titles(&l, rows, count);
    look_for_years(&l);
    look_for_quotes(&l);
    return l.count;
}
