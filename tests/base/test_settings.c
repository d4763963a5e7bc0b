#include "tests/test.h"

#include "base/settings.h"

struct sample_settings {
    size_t port;
    double rate;
    bool loud;
    char name[SETTING_TEXT_SIZE];
};

static const struct setting ROWS[] = {
    SETTING(SIZE, sample_settings, port, "8080", 1, 65535, "a port"),
    SETTING(REAL, sample_settings, rate, "0.5", 0, 1, "a share"),
    SETTING(BOOL, sample_settings, loud, "false", 0, 0, "noise"),
    SETTING(TEXT, sample_settings, name, "x", 0, 0, "a name"),
};

static struct sample_settings values;
static const struct settings TABLE = {ROWS, COUNT(ROWS), &values};

static void defaults_then_file_then_flags(void **state)
{
    struct err err = {0};
    char path[600];
    const char *folder = scratch_folder("settings");
    (void)state;
    write_file(folder, "a.conf", "# comment\nport = 99\n\nname = \"two words\"  # why\n");
    snprintf(path, sizeof path, "%s/a.conf", folder);
    settings_start(&TABLE, 1);
    assert_int_equal(values.port, 8080);
    assert_fine(settings_read(&TABLE, 1, path, &err), err);
    assert_fine(settings_put(&TABLE, 1, "rate", "0.25", &err), err);
    assert_int_equal(values.port, 99);
    assert_string_equal(values.name, "two words");
    assert_true(values.rate == 0.25);
    scratch_drop(folder);
}

static void what_is_not_in_the_table_is_refused_with_its_place(void **state)
{
    struct err err = {0};
    char path[600];
    const char *folder = scratch_folder("settings2");
    (void)state;
    settings_start(&TABLE, 1);
    write_file(folder, "b.conf", "port = 5\nprot = 6\n");
    snprintf(path, sizeof path, "%s/b.conf", folder);
    assert_false(settings_read(&TABLE, 1, path, &err));
    assert_says(err, "b.conf:2");
    assert_says(err, "unknown setting 'prot'");
    scratch_drop(folder);
}

static void a_value_outside_its_range_names_expected_and_found(void **state)
{
    static const struct {
        const char *name, *value, *says;
    } cases[] = {
        {"port", "0", "from 1 to 65535, found '0'"},   {"port", "12x", "found '12x'"},
        {"rate", "1.5", "from 0 to 1, found '1.5'"},   {"rate", "nan", "found 'nan'"},
        {"loud", "yes", "true or false, found 'yes'"},
    };
    (void)state;
    settings_start(&TABLE, 1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err err = {0};
        assert_false(settings_put(&TABLE, 1, cases[i].name, cases[i].value, &err));
        assert_says(err, cases[i].says);
    }
    assert_int_equal(values.port, 8080);
}

static void help_and_print_walk_the_same_table(void **state)
{
    struct text text;
    (void)state;
    settings_start(&TABLE, 1);
    text_init(&text, 10000);
    settings_help(&text, &TABLE);
    assert_non_null(strstr(text.bytes, "--port"));
    assert_non_null(strstr(text.bytes, "[8080; 1 to 65535]"));
    text_reset(&text);
    settings_print(&text, &TABLE);
    assert_string_equal(text.bytes, "port = 8080\nrate = 0.5\nloud = false\nname = x\n");
    text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults_then_file_then_flags),
        TEST(what_is_not_in_the_table_is_refused_with_its_place),
        TEST(a_value_outside_its_range_names_expected_and_found),
        TEST(help_and_print_walk_the_same_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
