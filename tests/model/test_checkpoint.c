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
    struct toy toy[8];
    char path[600];
    char folder[512];
    (void)state;
    snprintf(folder, sizeof folder, "%s", scratch_folder("state"));
    snprintf(path, sizeof path, "%s/state.safetensors", folder);
    for (size_t i = 0; i < 8; i++)
        toy_open(&toy[i], i + 1, kernels_best());
    struct training_state out = {
        toy[0].policy.params,         toy[1].policy.params, toy[2].policy.params,
        toy[3].policy.params,         &TOY_SHAPE,           "run-a",
        json_pack("{s:i}", "step", 7)};
    struct training_state in = {toy[4].policy.params,
                                toy[5].policy.params,
                                toy[6].policy.params,
                                toy[7].policy.params,
                                &TOY_SHAPE,
                                "run-a",
                                NULL};
    assert_fine(training_state_write(path, &out, &err), err);
    assert_fine(training_state_read(&in, path, &err), err);
    assert_int_equal(json_integer_value(json_object_get(in.counters, "step")), 7);
    for (size_t s = 0; s < 4; s++)
        assert_memory_equal(toy[s].policy.params.down, toy[s + 4].policy.params.down,
                            2 * 16 * 12 * sizeof(real));
    json_decref(in.counters);
    json_decref(out.counters);
    struct err other = {0};
    in.fingerprint = "run-b";
    assert_false(training_state_read(&in, path, &other));
    assert_says(other, "state of run run-a, expected run-b");
    for (size_t i = 0; i < 8; i++)
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
