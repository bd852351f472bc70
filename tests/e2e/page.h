/* What tests look for in pages of XHTML. */
#ifndef CLVGG_TESTS_PAGE_H
#define CLVGG_TESTS_PAGE_H

/* The file's text, valid until the next call. */
char *page_read(const char *path);
void page_expect(const char *page, const char *part);
void page_expect_none(const char *page, const char *part);
/* Fails where the file is not well-formed XML, by a reader of our own, and by Python's where there is one. */
void page_check(const char *path);

#endif
