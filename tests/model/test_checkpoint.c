#include "tests/test.h"

#include "tests/model/toy.h"

#include "model/checkpoint.h"

static void a_policy_comes_back_and_another_index_is_refused(void **state)
{
    struct err err = {0};
    struct toy toy;
    struct toy other;
    struct shape shape;
    char folder[512];
    (void)state;
    snprintf(folder, sizeof folder, "%s", scratch_folder("checkpoint"));
    toy_open(&toy, 1, kernels_best());
    toy_open(&other, 2, kernels_best());
    assert_fine(checkpoint_write(folder, &TOY_SHAPE, &toy.policy.params, "abc", &err), err);
    assert_fine(checkpoint_shape(&shape, folder, "abc", &err), err);
    assert_memory_equal(&shape, &TOY_SHAPE, sizeof shape);
    assert_fine(checkpoint_read(&other.policy.params, &shape, folder, &err), err);
    for (size_t i = 0; i < PARAM_COUNT; i++)
        assert_memory_equal(param_data(&toy.policy.params, &PARAMS[i]),
                            param_data(&other.policy.params, &PARAMS[i]),
                            param_count(&PARAMS[i], &shape) * sizeof(real));
    struct err wrong = {0};
    assert_false(checkpoint_shape(&shape, folder, "xyz", &wrong));
    assert_says(wrong, "config.json: trained with semantic IDs abc, found xyz");
    struct shape larger = TOY_SHAPE;
    larger.ffn++;
    struct err size = {0};
    assert_false(checkpoint_read(&other.policy.params, &larger, folder, &size));
    assert_says(size, "model.safetensors: tensor model.layers.0.mlp.gate_proj.weight");
    toy_close(&toy);
    toy_close(&other);
    scratch_drop(folder);
}

static void a_training_state_belongs_to_its_run(void **state)
{
    struct err err = {0};
    struct toy toy[10];
    char path[600];
    char folder[512];
    (void)state;
    snprintf(folder, sizeof folder, "%s", scratch_folder("state"));
    snprintf(path, sizeof path, "%s/state.safetensors", folder);
    for (size_t i = 0; i < 10; i++)
        toy_open(&toy[i], i + 1, kernels_best());
    struct training_state states[2];
    for (size_t k = 0; k < 2; k++) {
        const struct toy *t = toy + 5 * k;
        states[k] = (struct training_state){.params = t[0].policy.params,
                                            .first = t[1].policy.params,
                                            .second = t[2].policy.params,
                                            .average = t[3].policy.params,
                                            .best = t[4].policy.params,
                                            .shape = &TOY_SHAPE,
                                            .fingerprint = "run-a"};
    }
    struct training_state out = states[0];
    struct training_state in = states[1];
    out.counters = json_pack("{s:i}", "step", 7);
    assert_fine(training_state_write(path, &out, &err), err);
    assert_fine(training_state_read(&in, path, &err), err);
    assert_int_equal(json_integer_value(json_object_get(in.counters, "step")), 7);
    for (size_t s = 0; s < 5; s++)
        assert_memory_equal(toy[s].policy.params.down, toy[s + 5].policy.params.down,
                            2 * 16 * 12 * sizeof(real));
    json_decref(in.counters);
    json_decref(out.counters);
    struct err other = {0};
    in.fingerprint = "run-b";
    assert_false(training_state_read(&in, path, &other));
    assert_says(other, "state of run run-a, expected run-b");
    for (size_t i = 0; i < 10; i++)
        toy_close(&toy[i]);
    scratch_drop(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_policy_comes_back_and_another_index_is_refused),
        TEST(a_training_state_belongs_to_its_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
