#include "tests/test.h"

#include "base/files.h"
#include "base/tensors.h"

static void a_published_folder_appears_whole(void **state)
{
    struct err err = {0};
    char aside[600];
    char final[600];
    char link[600];
    char target[PATH_SIZE];
    char folder[512];
    (void)state;
    snprintf(folder, sizeof folder, "%s", scratch_folder("files"));
    snprintf(aside, sizeof aside, "%s/.part", folder);
    snprintf(final, sizeof final, "%s/v1", folder);
    snprintf(link, sizeof link, "%s/current", folder);
    assert_fine(folder_make(aside, &err), err);
    write_file(aside, "a", "hello");
    assert_fine(folder_publish(aside, final, &err), err);
    assert_false(path_exists(aside));
    assert_fine(link_move(link, "v1", &err) && link_move(link, "v2", &err) &&
                    link_move(link, "v1", &err),
                err);
    assert_true(link_read(target, link));
    assert_string_equal(target, "v1");
    scratch_drop(folder);
}

static void tensors_come_back_as_they_went(void **state)
{
    struct err err = {0};
    char path[600];
    char folder[512];
    struct tensors file;
    const float numbers[6] = {1, 2, 3, 4, 5, 6.5F};
    const uint32_t rows[3] = {7, 8, 9};
    const struct tensor list[] = {
        {"numbers", TENSOR_F32, 2, {2, 3}, numbers},
        {"rows", TENSOR_U32, 1, {3}, rows},
    };
    (void)state;
    snprintf(folder, sizeof folder, "%s", scratch_folder("tensors"));
    snprintf(path, sizeof path, "%s/a.safetensors", folder);
    json_t *notes = json_pack("{s:s}", "who", "me");
    assert_fine(tensors_write(path, list, 2, notes, &err), err);
    json_decref(notes);
    assert_fine(tensors_open(&file, path, &err), err);
    assert_string_equal(tensors_note(&file, "who"), "me");
    const float *found = tensors_find(&file, "numbers", TENSOR_F32, 2, 3, &err);
    assert_fine(found, err);
    assert_memory_equal(found, numbers, sizeof numbers);
    assert_null(tensors_find(&file, "numbers", TENSOR_F32, 3, 2, &err));
    assert_says(err, "expected F32 [3, 2], found F32 [2, 3]");
    tensors_close(&file);
    scratch_drop(folder);
}

/* Every prefix of a good file is refused or reads only what is inside it; nothing crashes. */
static void a_cut_or_bent_file_is_refused_by_name(void **state)
{
    struct err err = {0};
    char path[600];
    char folder[512];
    const float numbers[4] = {1, 2, 3, 4};
    const struct tensor list[] = {{"numbers", TENSOR_F32, 1, {4}, numbers}};
    size_t size;
    (void)state;
    snprintf(folder, sizeof folder, "%s", scratch_folder("cut"));
    snprintf(path, sizeof path, "%s/b.safetensors", folder);
    assert_fine(tensors_write(path, list, 1, NULL, &err), err);
    char *bytes = file_read(path, 1 << 20, &size, &err);
    assert_non_null(bytes);
    for (size_t keep = 0; keep < size; keep++) {
        struct err cut = {0};
        struct tensors file;
        assert_fine(file_write_atomic(path, bytes, keep, &err), err);
        if (tensors_open(&file, path, &cut)) {
            fail_msg("%zu of %zu bytes were accepted", keep, size);
            tensors_close(&file);
        }
        assert_int_equal(cut.code, ERR_FORMAT);
        assert_says(cut, "b.safetensors");
    }
    for (size_t at = 0; at < size; at++) { /* a bit flipped anywhere: refused or harmless */
        struct err bent = {0};
        struct tensors file;
        bytes[at] ^= 0x10;
        assert_fine(file_write_atomic(path, bytes, size, &err), err);
        if (tensors_open(&file, path, &bent))
            tensors_close(&file);
        bytes[at] ^= 0x10;
    }
    free(bytes);
    scratch_drop(folder);
}

static void errors_name_the_file(void **state)
{
    struct err err = {0};
    size_t size;
    (void)state;
    assert_null(file_read("/no/such/file", 10, &size, &err));
    assert_int_equal(err.code, ERR_MISSING);
    assert_says(err, "/no/such/file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_published_folder_appears_whole),
        TEST(tensors_come_back_as_they_went),
        TEST(a_cut_or_bent_file_is_refused_by_name),
        TEST(errors_name_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
