/*
 * What earlier checks on this device came to, of algorithms and of precisions: a text file in the user's cache folder, "trust"
 * with one row a case:
 *
 *     clvgg trust 1
 *     <FNV-1a of the rest of the row> <seconds since 1970> ok|wrong TAB <identity> TAB <case> TAB <why it is wrong, or figures>
 *
 * Identity: identity_of_device() of device/identity.h. A row counts for the very same identity only. Whatever is wrong with the file,
 * its rows or its folder is no error: cases are then checked again. Writers replace the file whole, with the rows that others added
 * meanwhile; when two write at the same moment, the first one's new rows are lost. The oldest rows go beyond VERDICTS_MOST.
 */
#ifndef CLVGG_TRUST_VERDICTS_H
#define CLVGG_TRUST_VERDICTS_H

#include "device/device.h"

#define VERDICTS_FILE      "trust"
#define VERDICTS_MOST      4096
#define VERDICTS_WHY_BYTES 256

typedef struct verdicts verdicts;

/* Reads the rows of dev where they may be used: not with CLVGG_KERNEL_DIR or CLVGG_DEVICE_LIMITS, under which nothing is written
 * either. read false: starts empty, but writes. */
clvgg_status verdicts_open(const clvgg_device_info *dev, bool read, verdicts **out);
/* Writes what was added, then frees. */
void verdicts_close(verdicts **pointer);

/* Whether the case is known; then *ok and why (VERDICTS_WHY_BYTES). */
bool verdicts_find(const verdicts *v, const char *what, bool *ok, char *why);
/* Without memory it is forgotten. */
void verdicts_add(verdicts *v, const char *what, bool ok, const char *why);

#endif
