#include "recommend/reply.h"

#include "base/rng.h"

#include <string.h>

enum { WISHES_SAID = 4 };

static const char *pick(const char *const *forms, size_t count, uint64_t seed, uint64_t which)
{
    struct rng rng = rng_stream(seed, which, 0);
    return forms[rng_below(&rng, count)];
}
#define PICK(forms, facts, which) pick(forms, COUNT(forms), (facts)->seed, which)

/* As wish_say() begins what is not wanted. */
static bool is_negative(const char *part)
{
    return strncmp(part, "no ", 3) == 0 || strncmp(part, "nothing ", 8) == 0;
}

/* "a", "a and b", "a, b and c" */
static void add_series(struct text *text, const char *const *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        text_addf(text, "%s%s", i == 0 ? "" : i + 1 == count ? " and " : ", ", parts[i]);
}

/* "a and b, no c, no d": what is wanted, then what is not; "no horror and comedy" would say
 * something else. */
static void add_wishes(struct text *text, const struct reply_facts *f)
{
    const char *wanted[WISHES_SAID];
    size_t said = 0;
    for (size_t i = 0; i < f->wish_count && said < WISHES_SAID; i++)
        if (!is_negative(f->wishes[i]))
            wanted[said++] = f->wishes[i];
    add_series(text, wanted, said);
    for (size_t i = 0; i < f->wish_count && said < WISHES_SAID; i++)
        if (is_negative(f->wishes[i]))
            text_addf(text, "%s%s", said++ ? ", " : "", f->wishes[i]);
}

static void say_nothing_fits(struct text *text, const struct reply_facts *f)
{
    static const char *const plain[] = {
        "There is nothing left that I could list.",
        "I have nothing left to list.",
    };
    static const char *const wishes[] = {
        "Nothing that I know fits all of this: ",
        "I know nothing that is all of this: ",
    };
    if (f->wish_count == 0) {
        text_addf(text, "%s", PICK(plain, f, 1));
        return;
    }
    text_addf(text, "%s", PICK(wishes, f, 1));
    add_wishes(text, f);
    text_addf(text, ". Take one of them back, and I will look again.");
}

static bool all_negative(const struct reply_facts *f)
{
    for (size_t i = 0; i < f->wish_count; i++)
        if (!is_negative(f->wishes[i]))
            return false;
    return true;
}

static void say_wishes(struct text *text, const struct reply_facts *f)
{
    static const char *const forms[] = {
        "I looked for ",
        "You asked for ",
        "This is what I understood: ",
    };
    if (f->wish_count == 0)
        return;
    text_addf(text, "%s", all_negative(f) ? forms[1] : PICK(forms, f, 2));
    add_wishes(text, f);
    text_addf(text, f->wish_count > WISHES_SAID ? ", among other things. " : ". ");
}

static void say_names(struct text *text, const struct reply_facts *f)
{
    static const char *const one[] = {"One for you: ", "I would go for ", "I have one: "};
    static const char *const few[] = {"I would go for ", "These are for you: ", "I have found "};
    static const char *const many[] = {"I would begin with ", "At the top I put "};
    size_t said = f->count < REPLY_NAMES ? f->count : REPLY_NAMES;
    text_addf(text, "%s",
              f->count == 1            ? PICK(one, f, 3)
              : f->count > REPLY_NAMES ? PICK(many, f, 3)
                                       : PICK(few, f, 3));
    add_series(text, f->names, said);
    text_addf(text, ".");
}

static void say_rest(struct text *text, const struct reply_facts *f)
{
    static const char *const fewer[] = {" There is no more that fits.", " No others fit."};
    size_t rest = f->count > REPLY_NAMES ? f->count - REPLY_NAMES : 0;
    if (f->count < f->wanted)
        text_addf(text, "%s", PICK(fewer, f, 4));
    else if (rest > 0) /* "below" would be true of some clients alone */
        text_addf(text, " The list has %zu more.", rest);
}

void reply_write(struct text *text, const struct reply_facts *f)
{
    if (f->count == 0) {
        say_nothing_fits(text, f);
        return;
    }
    say_wishes(text, f);
    reply_ranks(text, f);
}

void reply_ranks(struct text *text, const struct reply_facts *f)
{
    say_names(text, f);
    say_rest(text, f);
}
