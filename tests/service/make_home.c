/* make_home.c: the fixture of the service tests: a part of the sample, indexed and trained twice.
 */
#include "tests/service/client.h"

#include "data/lines.h"

static void cut_interactions(const char *path, size_t lines_max)
{
    struct err err = {0};
    struct line line;
    struct lines *in = lines_open(SAMPLE "/interactions.csv.zst", &err);
    FILE *out = fopen(path, "wb");
    assert_non_null(in);
    assert_non_null(out);
    while (lines_max-- > 0 && lines_next(&line, in, &err))
        fprintf(out, "%s\n", line.bytes);
    assert_int_equal(fclose(out), 0);
    lines_close(in);
}

int main(void)
{
    char why[4096];
    static const char *const steps[] = {
        "import --items " SAMPLE "/items.jsonl.zst --interactions " SCRATCH
        "/trained/part.csv --conversations " SAMPLE "/conversations.jsonl.zst",
        "index",
        "train --epochs 2 --check_users 50 --dim 32 --heads 2 --kv_heads 2 --ffn 64 --seed 1",
        "train --epochs 2 --check_users 50 --dim 32 --heads 2 --kv_heads 2 --ffn 64 --seed 2",
    };
    if (system("rm -rf " SCRATCH "/trained && mkdir -p " SCRATCH "/trained") != 0)
        return 1;
    cut_interactions(SCRATCH "/trained/part.csv", 8000);
    for (size_t i = 0; i < COUNT(steps); i++) {
        if (tessera(why, sizeof why, SCRATCH "/trained", steps[i]) != 0) {
            fprintf(stderr, "%s: %s\n", steps[i], why);
            return 1;
        }
    }
    return 0;
}
