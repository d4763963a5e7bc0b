/*
 * start.c: what supervised training begins from: nothing, a pretrained trunk with its words
 * (model/backbone.h), or, in later stages, a version that began so.
 *
 * Beside a pretrained trunk everything of ours begins at the scale of its words, so that an item
 * looks like a word to it: with e the root mean square of the text embeddings,
 *
 *     own row of an item      the mean of its title's tokens, as long as a word is on average
 *     a mark                  the same of the words that say what it is
 *     tiles, content          random, a fifth of e
 *     find_query, name_start  c I: find starts as nearness of z to a title, name as find down the
 *                             tree; c = 1 / (rms(norm) e sqrt(d)) makes logits of about 1
 *
 * and the own embedding is read as it is compared (own_scale 1).
 */
#include "base/log.h"
#include "model/backbone.h"
#include "train/training.h"

#include <math.h>
#include <string.h>

static const double SMALL = 0.2; /* of e: what is random beside what is known */

static bool goes_on_foreign(const struct training *t)
{
    return t->start && t->start->policy.marks != TOKENIZER_MARKS_AT;
}

bool start_open(struct training *t, struct err *err)
{
    const char *path = t->job->train->backbone;
    if (!*path)
        return true;
    if (t->posttrains)
        return err_set(err, ERR_INPUT,
                       "backbone: stage %s keeps the trunk of the version it starts from: leave "
                       "--backbone out",
                       t->job->train->stage);
    if (strcmp(t->job->train->preset, "policy") != 0)
        return err_set(err, ERR_INPUT, "backbone: preset %s has no place for one",
                       t->job->train->preset);
    t->backbone = backbone_open(path, err);
    return t->backbone && backbone_hash(t->backbone_hash, t->backbone, err);
}

struct tokenizer *start_tokenizer(const struct training *t, struct err *err)
{
    char path[PATH_SIZE];
    if (t->backbone)
        return backbone_tokenizer(t->backbone, err);
    bool fine = goes_on_foreign(t)
                    ? path_make(path, err, "%s/models/%s/tokenizer.json", t->job->home, t->init)
                    : path_make(path, err, "%s/tokenizer.json", t->index_folder);
    return fine ? tokenizer_read(path, err) : NULL;
}

void start_shape(struct shape *shape, const struct training *t)
{
    const struct train_settings *s = t->job->train;
    if (t->backbone) {
        *shape = *backbone_shape(t->backbone);
        shape->own_scale = 1;
    } else if (goes_on_foreign(t)) {
        *shape = t->start->policy.shape;
    } else {
        *shape = (struct shape){.dim = s->dim,
                                .layers = s->layers,
                                .heads = s->heads,
                                .kv_heads = s->kv_heads,
                                .ffn = s->ffn,
                                .rope_base = 10000,
                                .norm_eps = 1e-5};
    }
}

static double rms(const real *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)x[i] * (double)x[i];
    return count ? sqrt(sum / (double)count) : 0;
}

static void scale_by(real *x, double scale, size_t count)
{
    for (size_t i = 0; i < count; i++)
        x[i] *= (real)scale;
}

/* The mean of the rows of tokens, with root mean square e; false if it has no direction. */
static bool mean_row(real *row, const real *text, const uint32_t *token, size_t count, size_t dim,
                     double e)
{
    memset(row, 0, dim * sizeof *row);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < dim; k++)
            row[k] += text[(token[i] & ~TOKEN) * dim + k];
    double length = rms(row, dim);
    if (length <= 0)
        return false;
    scale_by(row, e / length, dim);
    return true;
}

/* "<likes>" begins as " likes" would be read. */
static bool begin_marks(struct training *t, double e, struct err *err)
{
    enum { WORDS = 8 };
    struct version *v = t->version;
    const struct shape *s = &v->policy.shape;
    real *words[] = {v->policy.params.text, s->untied ? v->policy.params.text_out : NULL};
    for (size_t mark = 0; mark < MARKS; mark++) {
        char name[32];
        uint32_t symbols[WORDS];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(MARK_TEXTS[mark] + 1, ">"),
                 MARK_TEXTS[mark] + 1);
        size_t count = text_symbols(symbols, WORDS, v->tokenizer, name, err);
        if (err->code != ERR_NONE)
            return false;
        for (size_t w = 0; w < COUNT(words); w++)
            if (words[w])
                mean_row(words[w] + (v->policy.marks + mark) * s->dim, words[w], symbols, count,
                         s->dim, e);
    }
    return true;
}

/* Items with events; those of others stay 0. */
static void begin_items(struct training *t, double e)
{
    const struct policy *p = &t->version->policy;
    const struct item_words *w = t->words;
    size_t dim = p->shape.dim;
    size_t named = 0;
    for (size_t r = 0; r < p->items.count; r++) {
        real *own = p->params.own + r * dim;
        size_t from = w->word_at[w->first[2 * r]];
        size_t to = w->word_at[w->first[2 * r + 1]];
        if (!p->items.seen[r])
            continue;
        if (mean_row(own, p->params.text, w->token + from, to - from, dim, e))
            named++;
        else
            for (size_t k = 0; k < dim; k++) /* no title: somewhere else for each */
                own[k] = p->params.tile_in[(r * dim + k) % (p->shape.tiles * dim)];
    }
    log_info("train.backbone items_from_titles=%zu", named);
}

static void begin_square(real *matrix, double value, size_t dim)
{
    memset(matrix, 0, dim * dim * sizeof *matrix);
    for (size_t i = 0; i < dim; i++)
        matrix[i * dim + i] = (real)value;
}

/* From the scales that params_start() gives to those of the backbone. */
static void begin_readings(struct policy *p, double e)
{
    const struct shape *s = &p->shape;
    struct params *to = &p->params;
    double content = rms(p->items.content, p->items.count * s->content) * sqrt((double)s->content);
    double z = rms(to->norm, s->dim);
    double c = 1 / (z * e * sqrt((double)s->dim));
    size_t tiles = s->levels * s->tiles * s->dim;
    begin_square(to->find_query, c, s->dim);
    begin_square(to->name_start, c, s->dim);
    scale_by(to->tile_in, SMALL * e / rms(to->tile_in, tiles), tiles);
    scale_by(to->tile_out, SMALL * e / rms(to->tile_out, tiles), tiles);
    scale_by(to->depth_tile, SMALL * c * z / rms(to->depth_tile, tiles), tiles);
    real *projections[] = {to->content_in, to->find_content};
    for (size_t i = 0; content > 0 && i < COUNT(projections); i++) {
        size_t count = s->dim * s->content;
        scale_by(projections[i], SMALL * e / (content * rms(projections[i], count)), count);
    }
}

/* A bit per param: all but the trunk and its words. */
static uint64_t ours(void)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < PARAM_COUNT; i++)
        bits |= (uint64_t)!PARAMS[i].trunk << i;
    return bits;
}

bool start_begin(struct training *t, struct err *err)
{
    struct version *v = t->version;
    struct params *params = &v->policy.params;
    if (!t->backbone)
        return true;
    const struct shape *theirs = backbone_shape(t->backbone);
    params_start_some(params, ours(), &v->policy.shape, v->policy.items.seen, t->job->train->seed);
    backbone_read(params, t->backbone);
    double e = rms(params->text, theirs->vocab * theirs->dim);
    begin_readings(&v->policy, e);
    if (!begin_marks(t, e, err))
        return false;
    begin_items(t, e);
    version_refresh(v);
    log_info("train.backbone path=%s dim=%zu layers=%zu tokens=%zu words_rms=%.4f norm_rms=%.3f",
             t->job->train->backbone, theirs->dim, theirs->layers, theirs->vocab, e,
             rms(params->norm, theirs->dim));
    return true;
}

bool start_go_on(struct training *t, struct err *err)
{
    return !t->backbone || trainer_continue(&t->trainer, &t->version->policy.params, NULL, err);
}

/* Where the words come from, for the manifest: a new reference; NULL: they are ours. */
json_t *start_words_from(const struct training *t, struct err *err)
{
    char folder[PATH_SIZE];
    if (t->backbone) {
        const char *slash = strrchr(t->job->train->backbone, '/');
        return json_pack("{s:s, s:s}", "backbone",
                         slash && slash[1] ? slash + 1 : t->job->train->backbone, "sha256",
                         t->backbone_hash);
    }
    if (!goes_on_foreign(t) || !path_make(folder, err, "%s/models/%s", t->job->home, t->init))
        return NULL;
    json_t *manifest = manifest_read(folder, err);
    json_t *found = json_incref(json_object_get(manifest, "words_from"));
    json_decref(manifest);
    return found;
}

void start_close(struct training *t)
{
    backbone_close(t->backbone);
    t->backbone = NULL;
}
