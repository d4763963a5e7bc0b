#include "recommend/running_text.h"

#include "base/err.h"

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

bool word_is_joining(const char *word, size_t size)
{
    return is_one_of(JOINING, COUNT(JOINING), word, size);
}

bool word_has(char c)
{
    return isalnum((unsigned char)c) || c == '\'' || (c & 0x80);
}

bool word_next(const char **word, size_t *size, const char **at, const char *end)
{
    while (*at < end && !word_has(**at))
        (*at)++;
    *word = *at;
    while (*at < end && word_has(**at))
        (*at)++;
    *size = (size_t)(*at - *word);
    return *size > 0;
}

bool is_running_text(const char *from, const char *to)
{
    const char *word;
    size_t size;
    size_t words = 0;
    for (const char *at = from; word_next(&word, &size, &at, to); words++)
        if (!is_common(word, size) ||
            (words > 0 && isupper((unsigned char)*word) && !(size == 1 && *word == 'I')))
            return false;
    return words > 0;
}
