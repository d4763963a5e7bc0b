#include "objective/rollouts.h"

void rollouts_layout(struct rollouts *b, size_t groups, size_t rows, size_t units, size_t tokens,
                     struct arena *arena)
{
    b->group_row = arena_take(arena, groups + 1, sizeof *b->group_row);
    b->talk = arena_take(arena, groups, sizeof *b->talk);
    b->row_unit = arena_take(arena, rows + 1, sizeof *b->row_unit);
    b->unit_token = arena_take(arena, units + 1, sizeof *b->unit_token);
    b->kind = arena_take(arena, rows, 1);
    b->valid = arena_take(arena, rows, 1);
    b->tile = arena_take(arena, tokens, sizeof *b->tile);
    b->hint = arena_take(arena, tokens, 1);
    double **of_tokens[] = {&b->lp,     &b->lp_old, &b->lp_ref, &b->entropy,  &b->advantage,
                            &b->weight, &b->share,  &b->g_lp,   &b->g_entropy};
    double **of_units[] = {&b->exact, &b->matched, &b->alike, &b->reward};
    for (size_t i = 0; i < COUNT(of_tokens); i++)
        *of_tokens[i] = arena_take(arena, tokens, sizeof(double));
    for (size_t i = 0; i < COUNT(of_units); i++)
        *of_units[i] = arena_take(arena, units, sizeof(double));
    b->expected = arena_take(arena, groups, sizeof *b->expected);
    b->scratch = arena_take(arena, tokens + units + rows + groups, sizeof(double));
}
