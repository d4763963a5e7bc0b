#include "recommend/list.h"
#include "train/dialogue_lists.h"
#include "train/experience.h"
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
    SETTING(BOOL, index_settings, count_dialogues, "false", 0, 0,
            "the dialogues that teach count, too: each as what one user took"),
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
            "steps until the learning rate is full, at most a quarter of all"),
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
        "sft: from the start; lists: --init learns to write lists by imitation; reason: to give "
        "reasons; dialogue: to list for what is said; experience: a bias of items for the lists of "
        "--init, which stays as it is; rl: post-training of --init by --algo, or that method's own "
        "name (srpo+igpo); continue: --init goes on with the same events and as many updates, the "
        "control"),
    SETTING(TEXT, train_settings, init, "production", 0, 0,
            "version that the later stages start from"),
    SETTING(SIZE, train_settings, rl_steps, "400", 1, 10000000,
            "updates of the other later stages"),
    SETTING(BOOL, train_settings, learn_kept, "false", 0, 0,
            "the supervised losses of other later stages, too, learn from the events kept for rl"),
    SETTING(SIZE, train_settings, list_items, "0", 0, LIST_RANKS_MAX,
            "ranks of a list, in lists and rl; 0: rl names single items"),
    SETTING(TEXT, train_settings, list_teacher, "slate", 0, 0,
            "what fills lists to imitate up: slate (of dialogues: what is named together), or rra: "
            "that list, or a large model's (tessera texts --lists true), remapped, reflected and "
            "adjusted"),
    SETTING(BOOL, train_settings, rl_reasons, "false", 0, 0,
            "stage rl pays for a chain of reasons and the name after it, not for a name alone"),
    SETTING(SIZE, train_settings, reason_steps, "600", 1, 10000000, "updates of stage reason"),
    SETTING(REAL, train_settings, reason_learning_rate, "0.001", 1e-9, 1, "of stage reason"),
    SETTING(REAL, train_settings, reason_share, "0.5", 0.01, 1,
            "chains among the tasks of stage reason"),
    SETTING(REAL, train_settings, reason_weight, "0.3", 0, 100, "weight of a choice in a chain"),
    SETTING(SIZE, train_settings, rl_prompts, "64", 4, 65536, "prompts sampled at a time"),
    SETTING(SIZE, train_settings, rl_check_every, "100", 1, 1000000,
            "updates between looks at validation"),
    SETTING(REAL, train_settings, rl_learning_rate, "0.0001", 1e-9, 1, "of the other later stages"),
    SETTING(REAL, train_settings, rl_temperature, "1", 0.01, 10, "of sampling"),
    SETTING(SIZE, train_settings, rl_turns, "1", 1, 64,
            "prompts of one dialogue that are one rollout: each list is paid for all of them "
            "(--algo turn_grpo --rl-source dialogues)"),
    SETTING(REAL, train_settings, rl_weight, "1", 0, 1000, "of the objective in stage rl"),
    SETTING(
        REAL, train_settings, rl_beside, "-1", -1, 1000,
        "of what find, name and say go on learning beside it; 0: nothing, and hardly a window is "
        "read; -1: 1, over dialogues 0"),
    SETTING(TEXT, train_settings, rl_source, "kept", 0, 0,
            "events that post-training is paid for: kept (rl_share), newer than the index, or "
            "dialogues: what is named there, from a version of stage dialogue (continue: its "
            "control)"),
    SETTING(BOOL, train_settings, watch, "false", 0, 0,
            "with rl_source newer: train again whenever there are enough new events"),
    SETTING(SIZE, train_settings, watch_events, "1000", 1, 1000000000, "how many are enough"),
    SETTING(SIZE, train_settings, experience_rounds, "6", 1, 1000, "rounds of stage experience"),
    SETTING(SIZE, train_settings, experience_prompts, "1000", 2, 10000000, "prompts of a round"),
    SETTING(SIZE, train_settings, experience_lists, "8", 2, EXPERIENCE_LISTS_MAX,
            "lists drawn for each"),
    SETTING(REAL, train_settings, experience_prior, "20", 0.001, 1e9,
            "listings that an item is taken to have had without any advantage"),
    SETTING(BOOL, train_settings, promote, "true", 0, 0,
            "put the version into production if it does not lose"),
    SETTING(SIZE, train_settings, dialogue_symbols, "192", 16, DIALOGUE_SYMBOLS_MAX,
            "newest symbols of a dialogue that are read before its list"),
    SETTING(SIZE, train_settings, dialogue_steps, "150", 1, 10000000, "updates of stage dialogue"),
    SETTING(REAL, train_settings, dialogue_learning_rate, "0.001", 1e-9, 1, "of stage dialogue"),
    SETTING(REAL, train_settings, dialogue_share, "0.3", 0.01, 100,
            "dialogues for each window in a step of stage dialogue"),
    SETTING(REAL, train_settings, list_truth, "0.5", 0, 1,
            "share of its lists that begin with what the dialogue really went on to name"),
    SETTING(
        TEXT, train_settings, backbone, "", 0, 0,
        "pretrained trunk and words that sft begins with: a Hugging Face folder or a GGUF file, "
        "family llama, qwen2 or qwen3; sizes are its own"),
    SETTING(
        REAL, train_settings, trunk_rate, "0.05", 0, 10,
        "share of the learning rate for a pretrained trunk and its words; 0: they stay; adapters "
        "(lora_rank) learn at the whole rate"),
    SETTING(SIZE, train_settings, lora_rank, "0", 0, 1024,
            "adapters beside the matrices of a pretrained trunk, which stays; 0: none"),
    SETTING(REAL, train_settings, lora_alpha, "32", 1e-3, 1e6,
            "what adapters add counts alpha / rank times"),
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
