#include "train/report.h"

#include "base/files.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

bool report_open(struct report *report, const char *targets_path, struct err *err)
{
    *report = (struct report){json_array(), NULL};
    if (!targets_path || !path_exists(targets_path))
        return true;
    report->targets = json_read(targets_path, err);
    return report->targets != NULL;
}

void report_add(struct report *report, const char *what, double figure, const char *unit)
{
    json_t *target = NULL;
    bool met = true;
    for (size_t i = 0; i < json_array_size(report->targets); i++) {
        json_t *row = json_array_get(report->targets, i);
        const char *name = json_string_value(json_object_get(row, "what"));
        if (!name || strcmp(name, what) != 0)
            continue;
        json_t *least = json_object_get(row, "least");
        json_t *most = json_object_get(row, "most");
        target = least ? least : most;
        met = least ? figure >= json_number_value(least) : figure <= json_number_value(most);
    }
    json_array_append_new(report->rows, json_pack("{s:s, s:f, s:s, s:O?, s:o}", "what", what,
                                                  "figure", figure, "unit", unit, "target", target,
                                                  "met", target ? json_boolean(met) : json_null()));
}

bool report_write(const struct report *report, const char *path, struct err *err)
{
    return json_write(path, report->rows, JSON_INDENT(2) | JSON_REAL_PRECISION(8), err);
}

void report_close(struct report *report)
{
    json_decref(report->rows);
    json_decref(report->targets);
}

void commit_print(FILE *file)
{
    char commit[64] = "unknown";
    FILE *git = popen("git rev-parse --short=10 HEAD 2>/dev/null", "r");
    if (git) {
        if (fgets(commit, sizeof commit, git))
            commit[strcspn(commit, "\n")] = 0;
        pclose(git);
    }
    fputs(commit, file);
}
