/* SPDX-License-Identifier: MIT */
/* lib/libc/string.h - what lib/string.c and arch/x86_64/memops.S give to the image. */
#ifndef LIBC_STRING_H
#define LIBC_STRING_H

#include <stddef.h>

void  *memcpy(void *restrict to, const void *restrict from, size_t n);
void  *memmove(void *to, const void *from, size_t n);
void  *memset(void *to, int byte, size_t n);
int    memcmp(const void *a, const void *b, size_t n);
void  *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t n);
int    strcmp(const char *a, const char *b);
int    strncmp(const char *a, const char *b, size_t n);
char  *strchr(const char *s, int c);
char  *strrchr(const char *s, int c);
char  *strstr(const char *s, const char *what);
char  *strcpy(char *to, const char *from);
char  *strncpy(char *to, const char *from, size_t n);

#endif
