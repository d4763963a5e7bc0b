/* wish_say.c: wishes as JSON for clients and as sentences for people. */
#include "recommend/wish_parts.h"

#include <stdio.h>
#include <string.h>

static const char *const SENTENCES[WHYS] = {
    [WHY_PEOPLE] = "this catalogue does not say who is in an item or made it",
    [WHY_LENGTH] = "this catalogue does not say how long an item is",
    [WHY_LANGUAGE] = "this catalogue does not say what language or country an item is from",
    [WHY_RATING] = "this catalogue has no ratings, awards or popularity to filter by",
    [WHY_PLACE] = "this catalogue does not say what an item costs or where it can be had",
    [WHY_YEARS] = "this catalogue has no years",
    [WHY_WHICH] = "it is not clear which items are meant",
    [WHY_COUNT] = "a list has at most 50 items",
    [WHY_LIMIT] = "there is more in the message than is read",
    [WHY_OTHER] = "nothing in this catalogue says so"};

static void say_years(struct text *text, const struct wish *wish)
{
    if (wish->from == wish->to)
        text_addf(text, "from %d", wish->from);
    else if (wish->from == YEAR_FIRST)
        text_addf(text, "until %d", wish->to);
    else if (wish->to == YEAR_LAST)
        text_addf(text, "from %d on", wish->from);
    else
        text_addf(text, "%d to %d", wish->from, wish->to);
}

static const char *category_name(const struct wish *wish, const struct wish_book *book)
{
    return book->snapshot->category_names[wish->category];
}

static const char *item_name(const struct wish *wish, const struct wish_book *book)
{
    return wish->row == NO_ITEM ? "all" : titles_name(book->titles, wish->row);
}

void wish_say(struct text *text, const struct wish *wish, const struct wish_book *book)
{
    switch (wish->kind) {
    case WISH_WANTED:
        text_addf(text, "%s", category_name(wish, book));
        break;
    case WISH_ONLY:
        text_addf(text, "only %s", category_name(wish, book));
        break;
    case WISH_UNWANTED:
        text_addf(text, "no %s", category_name(wish, book));
        break;
    case WISH_NOT_YEARS:
        text_addf(text, wish->from == wish->to || wish->from == YEAR_FIRST || wish->to == YEAR_LAST
                            ? "nothing "
                            : "nothing from ");
        say_years(text, wish);
        break;
    case WISH_YEARS:
        say_years(text, wish);
        break;
    case WISH_COUNT:
        text_addf(text, "%zu items", wish->count);
        break;
    default:
        text_addf(text, "%s %s", WISH_NAMES[wish->kind], item_name(wish, book));
        break;
    }
}

static json_t *value_of(const struct wish *wish, const struct wish_book *book)
{
    switch (wish->kind) {
    case WISH_WANTED:
    case WISH_ONLY:
    case WISH_UNWANTED:
        return json_string(category_name(wish, book));
    case WISH_YEARS:
    case WISH_NOT_YEARS: {
        json_t *years = json_object();
        if (years && wish->from != YEAR_FIRST)
            json_object_set_new(years, "from", json_integer(wish->from));
        if (years && wish->to != YEAR_LAST)
            json_object_set_new(years, "to", json_integer(wish->to));
        return years;
    }
    case WISH_COUNT:
        return json_integer((json_int_t)wish->count);
    default:
        return json_string(item_name(wish, book));
    }
}

json_t *wishes_understood(const struct wishes *wishes, const struct wish_book *book)
{
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < wishes->count; i++) {
        const struct wish *wish = &wishes->wish[i];
        struct text label;
        char id[17];
        snprintf(id, sizeof id, "%016llx", (unsigned long long)wish->id);
        text_init(&label, 2048);
        wish_say(&label, wish, book);
        json_t *entry = json_pack("{s:s, s:s, s:o, s:s, s:s}", "id", id, "kind",
                                  WISH_NAMES[wish->kind], "value", value_of(wish, book), "label",
                                  label.bytes ? label.bytes : "", "text", wish->text);
        text_release(&label);
        fine = entry && json_array_append_new(list, entry) == 0;
    }
    if (fine)
        return list;
    json_decref(list);
    return NULL;
}

json_t *wishes_not_understood(const struct wishes *wishes)
{
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < wishes->unclear_count; i++)
        fine = json_array_append_new(list,
                                     json_pack("{s:s, s:s}", "text", wishes->unclear[i].text,
                                               "reason", WHY_NAMES[wishes->unclear[i].why])) == 0;
    if (fine)
        return list;
    json_decref(list);
    return NULL;
}

/* A sentence for each reason, with all that it holds for. */
void wishes_said(struct text *text, const struct wishes *wishes)
{
    for (size_t why = 0; why < WHYS; why++) {
        size_t said = 0;
        for (size_t i = 0; i < wishes->unclear_count; i++) {
            if (wishes->unclear[i].why != why)
                continue;
            if (said++ == 0)
                text_addf(text, "%sI cannot act on ", text->size ? " " : "");
            else
                text_addf(text, ", ");
            text_addf(text, "\"%s\"", wishes->unclear[i].text);
        }
        if (said)
            text_addf(text, ": %s.", SENTENCES[why]);
    }
}

void wishes_relaxed_said(struct text *text, const struct wish *dropped, size_t left,
                         const struct wish_book *book)
{
    const char *space = text->size ? " " : "";
    if (left)
        text_addf(text, "%sOnly %zu item%s all of that, so I left out: ", space, left,
                  left == 1 ? " fits" : "s fit");
    else
        text_addf(text, "%sNothing fits all of that, so I left out: ", space);
    wish_say(text, dropped, book);
    text_addf(text, ".");
}

bool wish_id_read(uint64_t *id, const char *text)
{
    uint64_t value = 0;
    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return false;
    for (const char *c = text; *c; c++)
        value = value << 4 | (uint64_t)(*c <= '9' ? *c - '0' : *c - 'a' + 10);
    *id = value;
    return true;
}
