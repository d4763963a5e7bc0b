#include "recommend/list.h"
#include "train/jobs.h"

const struct setting INDEX_SETTINGS[] = {
    SETTING(
        SIZE, index_settings, tile_levels, "0", 0, 7,
        "quantised tiles in a name, one more tells collisions apart; 0: 3, or 4 for many items"),
    SETTING(SIZE, index_settings, tiles, "0", 0, 65535,
            "tiles at each level; 0: from the number of items with events"),
    SETTING(SIZE, index_settings, tile_balance, "0", 0, 1000,
            "rounds in which tiles are brought to equal shares; 0: as k-means leaves them"),
    SETTING(BOOL, index_settings, feed_back, "false", 0, 0,
            "name items by the find vectors of the version in production, not by co-occurrence"),
    SETTING(SIZE, index_settings, vocab, "0", 0, 32768,
            "tokens of text, learnt from catalogue and dialogues; 0: from the number of words"),
    SETTING(SIZE, index_settings, text_dims, "64", 1, 512,
            "dims of the text part of a content vector"),
    SETTING(SIZE, index_settings, event_dims, "64", 1, 512, "dims of its co-occurrence part"),
    SETTING(REAL, index_settings, text_weight, "1", 0, 100, "length of the text part"),
    SETTING(REAL, index_settings, event_weight, "1", 0, 100, "length of the co-occurrence part"),
    SETTING(SIZE, index_settings, neighbours, "200", 1, 10000,
            "co-occurrence neighbours kept for each item"),
    SETTING(SIZE, index_settings, neighbour_window, "50", 1, 1000,
            "events apart that still count as together"),
    SETTING(REAL, index_settings, neighbour_backward, "0.3", 0, 1,
            "weight of what came before, beside 1 for what came after"),
    SETTING(REAL, index_settings, neighbour_from, "0.6", 0, 2,
            "power of an item's own events by which its neighbours are weighed down"),
    SETTING(REAL, index_settings, neighbour_to, "0.2", 0, 2, "the same for the neighbour's events"),
    SETTING(REAL, index_settings, neighbour_shrink, "10", 0, 100000, "events added to both before"),
    SETTING(SIZE, index_settings, text_neighbours, "100", 1, 10000,
            "nearest texts kept for each item"),
    SETTING(SIZE, index_settings, index_seed, "1", 0, 1000000, "seed of SVD and k-means"),
    SETTING(TEXT, index_settings, split, "leave_one_out", 0, 0,
            "leave_one_out, time, or none: what trains and what judges"),
    SETTING(REAL, index_settings, cold_share, "0", 0, 0.9,
            "share of items without any training event, to judge how new items fare"),
    SETTING(REAL, index_settings, rl_share, "0", 0, 1,
            "share of users whose last training events are kept for post-training"),
    SETTING(SIZE, index_settings, rl_events, "2", 1, 50,
            "how many of them; lists need 3 or more, 5 is good"),
};
const size_t INDEX_SETTINGS_COUNT = COUNT(INDEX_SETTINGS);

const struct setting TRAIN_SETTINGS[] = {
    SETTING(SIZE, train_settings, dim, "128", 16, 4096, "width of the residual stream"),
    SETTING(SIZE, train_settings, layers, "1", 1, 64, "transformer layers"),
    SETTING(SIZE, train_settings, heads, "4", 1, 64, "attention heads"),
    SETTING(SIZE, train_settings, kv_heads, "4", 1, 64, "key and value heads; divides heads"),
    SETTING(SIZE, train_settings, ffn, "352", 1, 65536, "width inside the MLP"),
    SETTING(SIZE, train_settings, epochs, "14", 1, 10000,
            "passes over the training sequences, at most"),
    SETTING(SIZE, train_settings, batch, "128", 4, 65536, "sequences in a step"),
    SETTING(SIZE, train_settings, window, "50", 2, 1024,
            "positions of a sequence; longer ones are cut into windows"),
    SETTING(SIZE, train_settings, warmup_steps, "100", 0, 100000,
            "steps until the learning rate is full"),
    SETTING(REAL, train_settings, learning_rate, "0.001", 1e-8, 1,
            "of AdamW; falls to a tenth along a cosine"),
    SETTING(REAL, train_settings, weight_decay, "0.05", 0, 10,
            "of AdamW, on matrices and embeddings"),
    SETTING(REAL, train_settings, adam_beta2, "0.98", 0.5, 0.9999,
            "decay of AdamW's second moment"),
    SETTING(REAL, train_settings, clip_norm, "1", 0.001, 1e9,
            "longest gradient; longer ones are scaled down"),
    SETTING(REAL, train_settings, dropout, "0.3", 0, 0.9, "on the input and in every block"),
    SETTING(REAL, train_settings, own_drop, "0.15", 0, 1,
            "share of inputs without the item's own embedding"),
    SETTING(REAL, train_settings, find_weight, "1", 0, 100, "weight of the find loss"),
    SETTING(REAL, train_settings, name_weight, "0.3", 0, 100, "weight of the name loss"),
    SETTING(REAL, train_settings, name_teach, "0.5", 0, 1,
            "share of name's target that find gives"),
    SETTING(REAL, train_settings, task_share, "1", 0, 100,
            "sequences of words and items for each user in an epoch"),
    SETTING(REAL, train_settings, task_weight, "0.3", 0, 100, "weight of an item they ask for"),
    SETTING(REAL, train_settings, say_weight, "0.05", 0, 100, "weight of a word they ask for"),
    SETTING(BOOL, train_settings, texts, "true", 0, 0,
            "learn also from what `tessera texts` was told, if anything"),
    SETTING(REAL, train_settings, smoothing, "0", 0, 0.9,
            "share of find's target that is spread over all items"),
    SETTING(
        REAL, train_settings, newcomer_loss, "0.0125", 0, 1,
        "share of HR@10 that items with events may lose to those without, if 5 % or more of what "
        "users took next were such items; less if fewer"),
    SETTING(REAL, train_settings, average_decay, "0.995", 0, 0.99999,
            "of the average of the params that is judged and saved; 0: none"),
    SETTING(SIZE, train_settings, softmax_items, "50000", 1, 100000000,
            "items up to which find compares all; above, a sample"),
    SETTING(SIZE, train_settings, negatives, "4096", 16, 1000000, "items drawn for that sample"),
    SETTING(SIZE, train_settings, check_every, "2", 1, 1000, "epochs between looks at validation"),
    SETTING(SIZE, train_settings, check_users, "2000", 10, 10000000,
            "validation users looked at while training"),
    SETTING(SIZE, train_settings, judge_users, "20000", 10, 10000000,
            "validation users by whom weights are fitted and versions compared"),
    SETTING(SIZE, train_settings, patience, "4", 1, 1000,
            "looks without a better one before training stops"),
    SETTING(SIZE, train_settings, state_every_steps, "100", 1, 1000000,
            "steps between saved training states"),
    SETTING(SIZE, train_settings, seed, "1", 0, 1000000000,
            "seed of everything random in training"),
    SETTING(SIZE, train_settings, threads, "0", 0, 256,
            "threads; 0: all cores; the result is the same for any number"),
    SETTING(SIZE, train_settings, beam, "50", 1, 200, "names kept at each level when naming"),
    SETTING(SIZE, train_settings, scan_items_max, "200000", 0, 100000000,
            "items up to which find looks at every vector"),
    SETTING(BOOL, train_settings, node_vectors, "true", 0, 0,
            "name reads the mean find vector of the items under each tile"),
    SETTING(TEXT, train_settings, preset, "policy", 0, 0,
            "policy, or sasrec: a baseline, trunk and find over embeddings of items alone"),
    SETTING(
        TEXT, train_settings, stage, "sft", 0, 0,
        "sft: from the start; lists: --init learns to write lists by imitation; rl: post-training "
        "of "
        "--init by --algo; continue: --init goes on with the same events and as many updates, the "
        "control"),
    SETTING(TEXT, train_settings, init, "production", 0, 0,
            "version that the later stages start from"),
    SETTING(SIZE, train_settings, rl_steps, "400", 1, 10000000, "updates of the later stages"),
    SETTING(BOOL, train_settings, learn_kept, "false", 0, 0,
            "the supervised losses of stages lists and rl learn from the events kept for "
            "post-training, "
            "too, as those of continue do"),
    SETTING(SIZE, train_settings, list_items, "0", 0, LIST_RANKS_MAX,
            "ranks of a list, in lists and rl; 0: rl names single items"),
    SETTING(SIZE, train_settings, rl_prompts, "64", 4, 65536, "prompts sampled at a time"),
    SETTING(SIZE, train_settings, rl_check_every, "100", 1, 1000000,
            "updates between looks at validation"),
    SETTING(REAL, train_settings, rl_learning_rate, "0.0001", 1e-9, 1, "of the later stages"),
    SETTING(REAL, train_settings, rl_temperature, "1", 0.01, 10, "of sampling"),
    SETTING(REAL, train_settings, rl_weight, "1", 0, 1000,
            "of the objective, beside 1 for what find and say go on learning"),
    SETTING(TEXT, train_settings, rl_source, "kept", 0, 0,
            "events that post-training is paid for: kept (rl_share), or newer than the index"),
    SETTING(BOOL, train_settings, watch, "false", 0, 0,
            "with rl_source newer: train again whenever there are enough new events"),
    SETTING(SIZE, train_settings, watch_events, "1000", 1, 1000000000, "how many are enough"),
    SETTING(BOOL, train_settings, promote, "true", 0, 0,
            "put the version into production if it does not lose"),
};
const size_t TRAIN_SETTINGS_COUNT = COUNT(TRAIN_SETTINGS);

void settings_hash(char digest[SHA256_TEXT], const struct settings *tables, size_t count,
                   const char *data)
{
    struct text text;
    text_init(&text, 1 << 20);
    for (size_t t = 0; t < count; t++)
        settings_print(&text, &tables[t]);
    text_addf(&text, "%s\n", data);
    text_sha256(digest, text.bytes, text.size);
    text_release(&text);
}
