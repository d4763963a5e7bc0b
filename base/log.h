/*
 * log.h: one event a line on stderr, `time level event key=value ...`, units in the keys.
 *
 * stdout is the product of a command; stderr is for whoever runs it.  Levels: error (somebody must
 * act), info (state changed), debug.  Values with spaces are quoted by the caller: path="a b".
 *
 * Threads   any; a line is written by one write().
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"

enum log_level { LOG_ERROR, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level); /* at start, before threads */
void log_event(enum log_level level, const char *format, ...) PRINTF(2, 3);

#define log_error(...) log_event(LOG_ERROR, __VA_ARGS__)
#define log_info(...) log_event(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_event(LOG_DEBUG, __VA_ARGS__)

#endif
