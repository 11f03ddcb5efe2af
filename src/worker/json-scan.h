/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Checks one JSON text completely (RFC 8259, UTF-8 included) and finds members in it without building a tree. Values
 * are slices of the text itself: nothing is copied, nothing is unescaped until someone asks.
 *
 * What is accepted, json-c accepts with STRICT and VALIDATE_UTF8 and reads alike, repeated names (the last one counts)
 * and the depth limit included; json-c 0.16 takes more than RFC 8259 allows, and JsonFault says which of it is refused
 * here. Meanings of members belong to message.c, comparing values to json-canonical.c. */

#include "base/macros.h"

/* Members that an index holds; those past it are found by a second scan. */
#define JSON_INDEX_MEMBERS_MAX 1024U

/* Members of objects inside this many objects are indexed: line (0), payload (1), an Airbyte record's data (2). */
#define JSON_INDEX_LEVELS 3U

typedef enum JsonKind {
        JSON_KIND_OBJECT,
        JSON_KIND_ARRAY,
        JSON_KIND_STRING,
        JSON_KIND_NUMBER,
        JSON_KIND_TRUE,
        JSON_KIND_FALSE,
        JSON_KIND_NULL,
        _JSON_KIND_MAX,
        _JSON_KIND_INVALID = -EINVAL,
} JsonKind;

typedef enum JsonFault {
        JSON_FAULT_SYNTAX,
        JSON_FAULT_WORD,    /* a bare word; json-c also knows NaN and Infinity */
        JSON_FAULT_NUMBER,  /* json-c also takes "1.", "-.5", "00" and the like */
        JSON_FAULT_CONTROL, /* an unescaped control character in a string; json-c takes all but NUL */
        JSON_FAULT_ESCAPE,
        JSON_FAULT_UTF8, /* json-c takes overlong forms, surrogates and more than U+10FFFF */
        JSON_FAULT_DEPTH,
        JSON_FAULT_TRAILING,  /* something after the value */
        JSON_FAULT_TRUNCATED, /* the text ends inside a value, or is empty */
        _JSON_FAULT_MAX,
        _JSON_FAULT_INVALID = -EINVAL,
} JsonFault;

/** JsonSlice - bytes of a text that someone else owns; of a string value the quotes are part */
typedef struct JsonSlice {
        const char *data;
        size_t size;
} JsonSlice;

typedef struct JsonMember {
        JsonSlice name; /* between the quotes, still escaped */
        JsonSlice value;
        uint32_t previous; /* the member before it in its object, or JSON_PARENT_NONE */
        uint32_t last;     /* the last member of its value, or JSON_PARENT_NONE */
        JsonKind kind;
        bool escaped; /* the name has escapes */
        bool known;   /* the value is JsonIndex.known */
} JsonMember;

#define JSON_PARENT_NONE UINT32_MAX

/** JsonIndex - the members of the outer objects of a text, in its order; one may be used for text after text */
typedef struct JsonIndex {
        JsonSlice known; /* given to json_scan(): an object that it may meet as a member's value, and that was checked
                          * before; it is not looked into again. Empty: none */
        JsonSlice text;
        JsonKind kind;
        uint32_t n_members;
        uint32_t last;   /* member of the outermost object, or JSON_PARENT_NONE */
        bool incomplete; /* there are more than JSON_INDEX_MEMBERS_MAX */
        JsonMember members[JSON_INDEX_MEMBERS_MAX];
} JsonIndex;

const char *json_fault_to_string(JsonFault fault) _const_;
JsonFault json_fault_from_string(const char *word) _pure_;

/**
 * json_scan() - check a whole text and index its outer members
 * @text:      any bytes; spaces around the value are fine
 * @depth_max: values may stand inside this many containers, as json_tokener_new_ex() counts
 * @ret_index: what was found; undefined on failure but for @known; NULL to check only. Its slices borrow @text
 * @ret_fault: set where the return value is -EBADMSG; may be NULL
 * @ret_offset: likewise: the byte at which the fault was seen; may be NULL
 *
 * Return: 0; -EBADMSG.
 */
int json_scan(JsonSlice text, unsigned depth_max, JsonIndex *ret_index, JsonFault *ret_fault,
              size_t *ret_offset) _must_check_;

/**
 * json_index_find() - a member of an indexed object
 * @parent:   index of the member whose value is looked into, or JSON_PARENT_NONE for the text itself
 * @name:     unescaped, NUL-terminated
 * @ret_kind: set on success only; may be NULL
 * @ret_value: set on success only; may be NULL
 * @ret_member: index of the member, for asking further, or JSON_PARENT_NONE where the index does not reach; may be
 * NULL
 *
 * Return: 1 if found (the last of that name), 0 if not.
 */
int json_index_find(const JsonIndex *index, uint32_t parent, const char *name, JsonKind *ret_kind,
                    JsonSlice *ret_value, uint32_t *ret_member);

/**
 * json_slice_find() - like json_index_find(), in a slice that json_scan() has seen, by scanning it again
 * @object: an object's bytes
 *
 * Return: 1 if found, 0 if not or if @object is none.
 */
int json_slice_find(JsonSlice object, const char *name, JsonKind *ret_kind, JsonSlice *ret_value);

/**
 * json_array_next() - walk the elements of a slice that json_scan() has seen
 * @array: an array's bytes
 * @at:    where the walk is; NULL to begin
 *
 * Return: 1 and an element; 0 after the last one, or if @array is none.
 */
int json_array_next(JsonSlice array, const char **at, JsonSlice *ret);

/** json_slice_kind() - what a checked value is, told by its first byte */
JsonKind json_slice_kind(JsonSlice value) _pure_;

/** json_slice_is_string() - whether a checked value is a string without escapes that is just @text */
bool json_slice_is_string(JsonSlice value, const char *text) _pure_;

/**
 * json_string_decode() - unescape a checked string
 * @string: with its quotes, or a member's name without them
 * @out:    at least as many bytes as @string has, plus one; gets a NUL behind. May not overlap @string
 *
 * Surrogates that are not in pairs become U+FFFD, as json-c does.
 *
 * Return: bytes written, the NUL not counted.
 */
size_t json_string_decode(JsonSlice string, char *out);

/**
 * json_utf8_length() - check one character
 * @size: bytes that may be looked at, at least 1
 *
 * Return: its bytes (1 to 4), or 0 where the bytes are not the well-formed UTF-8 of a Unicode scalar value.
 */
unsigned json_utf8_length(const unsigned char *bytes, size_t size) _pure_;

/**
 * json_escape_read() - the UTF-16 unit of a checked \uXXXX
 * @digits: the four hexadecimal digits
 */
unsigned json_escape_read(const char *digits) _pure_;

/** json_utf8_write() - a code point (surrogates are written as if they were characters); Return: bytes written, up to
 * 4 */
unsigned json_utf8_write(uint32_t code, char *out);
