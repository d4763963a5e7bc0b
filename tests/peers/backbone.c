/*
 * backbone.c: what a backbone computes, for tests/peers/backbone.py to compare with transformers.
 *
 *     peer_backbone PATH TOKENS OUT     TOKENS: numbers parted by spaces, a sequence a line
 *
 * OUT gets logits [positions, vocab] and the gradient of the mean loss of each next token, by the
 * names of the checkpoint.
 */
#include "model/backbone.h"
#include "base/tensors.h"
#include "model/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POSITIONS_MAX = 4096, SEQUENCES_MAX = 256 };

static uint32_t input[POSITIONS_MAX], target[POSITIONS_MAX], first[SEQUENCES_MAX + 1];

static bool read_tokens(struct packed *packed, const char *path, struct err *err)
{
    FILE *file = fopen(path, "r");
    static char line[1 << 16];
    if (!file)
        return err_set(err, ERR_MISSING, "%s: not there", path);
    packed->first = first;
    while (fgets(line, sizeof line, file) && packed->sequences < SEQUENCES_MAX) {
        char *rest = line;
        for (char *word;
             (word = strtok_r(rest, " \n", &rest)) && packed->positions < POSITIONS_MAX;) {
            input[packed->positions] = TOKEN + (uint32_t)strtoul(word, NULL, 10);
            target[packed->positions] = NO_ITEM;
            if (packed->positions > first[packed->sequences])
                target[packed->positions - 1] = input[packed->positions];
            packed->positions++;
        }
        first[++packed->sequences] = (uint32_t)packed->positions;
    }
    fclose(file);
    return true;
}

struct bench {
    struct policy policy;
    struct policy_work work;
    struct params grads;
    struct arena arena;
    float *logits;
};

static void lay_out(struct bench *b, size_t positions, struct arena *arena)
{
    const struct shape *s = &b->policy.shape;
    policy_layout(&b->work, s, positions, positions, 1, 1, true, arena);
    params_layout(&b->policy.params, s, arena);
    params_layout(&b->grads, s, arena);
    b->logits = arena_take(arena, positions * s->vocab, sizeof(float));
}

static size_t list_gradients(struct tensor *list, char (*names)[80], const struct bench *b)
{
    size_t count = 0;
    const struct shape *s = &b->policy.shape;
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        size_t layers = PARAMS[i].dims[0] == LAYERS ? s->layers : 1;
        size_t all = param_count(&PARAMS[i], s);
        const char *at = strstr(PARAMS[i].name, "%zu");
        for (size_t l = 0; PARAMS[i].trunk && all && l < layers; l++) {
            snprintf(names[count], sizeof names[0], "%s", PARAMS[i].name);
            if (at)
                snprintf(names[count], sizeof names[0], "model.layers.%zu%s", l, at + 3);
            list[count] = (struct tensor){names[count],
                                          TENSOR_F32,
                                          1,
                                          {all / layers},
                                          param_data(&b->grads, &PARAMS[i]) + l * all / layers};
            count++;
        }
    }
    return count;
}

static bool run(const char *const *arguments, struct err *err)
{
    struct arena ruler = {0};
    struct packed packed = {0};
    struct losses losses = {0};
    struct backbone *backbone = backbone_open(arguments[0], err);
    if (!backbone || !read_tokens(&packed, arguments[1], err))
        return false;
    struct bench b = {.policy = {.shape = *backbone_shape(backbone), .kernels = kernels_best()}};
    struct shape *s = &b.policy.shape;
    s->content = s->items = s->levels = s->tiles = 1;
    lay_out(&b, packed.positions, &ruler);
    if (!arena_open(&b.arena, ruler.used, err))
        return false;
    lay_out(&b, packed.positions, &b.arena);
    policy_prepare(&b.work, s);
    backbone_read(&b.policy.params, backbone);
    const struct examples examples = {packed, input, target, NULL};
    const struct loss_options options = {.say_weight = 1,
                                         .scale = 1 / (real)(packed.positions - packed.sequences)};
    policy_learn(&b.work, &b.grads, NULL, &losses, &b.policy, &examples, &options);
    product_nt(b.logits, b.work.trunk.z, params_say(&b.policy.params, s), packed.positions,
               s->vocab, s->dim, 0);
    static struct tensor list[8192];
    static char names[8192][80];
    list[0] = (struct tensor){"logits", TENSOR_F32, 2, {packed.positions, s->vocab}, b.logits};
    size_t count = 1 + list_gradients(list + 1, names, &b);
    bool fine = tensors_write(arguments[2], list, count, NULL, err);
    printf("loss %.6f\n", losses.say / (double)losses.tokens);
    arena_close(&b.arena);
    backbone_close(backbone);
    return fine;
}

int main(int count, const char *const *arguments)
{
    struct err err = {0};
    if (count == 4 && run(arguments + 1, &err))
        return 0;
    fprintf(stderr, "%s\n", err.code ? err.text : "usage: peer_backbone PATH TOKENS OUT");
    return 1;
}
