#include "base/err.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

void err_record(struct err *err, enum err_code code, const char *format, ...)
{
    if (err->code != ERR_NONE)
        return;
    err->code = code;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    utf8_repair(err->text); /* a text cut inside a character could not become JSON */
}

void err_place(struct err *err, const char *format, ...)
{
    char prefix[160];
    struct err old = *err;
    va_list args;
    va_start(args, format);
    vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    err->code = ERR_NONE;
    err_record(err, old.code, "%s: %s", prefix, old.text);
}
