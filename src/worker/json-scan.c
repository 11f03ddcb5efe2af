/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See json-scan.h. The grammar is followed by recursive descent; strings, which are most of any text, are passed over
 * a block of bytes at a time. */

#include <ctype.h>
#include <endian.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/string-table.h"
#include "worker/json-scan.h"

typedef struct Scanner {
        const char *start;
        const char *at;
        const char *end;
        unsigned depth_max;
        JsonFault fault;
        JsonIndex *index;
} Scanner;

static const char *const json_fault_table[_JSON_FAULT_MAX] = {
        [JSON_FAULT_SYNTAX] = "no JSON",
        [JSON_FAULT_WORD] = "no JSON: unknown word",
        [JSON_FAULT_NUMBER] = "no JSON: broken number",
        [JSON_FAULT_CONTROL] = "no JSON: control character in a string",
        [JSON_FAULT_ESCAPE] = "no JSON: unknown escape in a string",
        [JSON_FAULT_UTF8] = "invalid UTF-8",
        [JSON_FAULT_DEPTH] = "nested too deeply",
        [JSON_FAULT_TRAILING] = "no JSON: something after the value",
        [JSON_FAULT_TRUNCATED] = "no JSON: it ends too early",
};
DEFINE_STRING_TABLE(json_fault, JsonFault, _JSON_FAULT_MAX);

static int scan_value(Scanner *scanner, unsigned depth, uint32_t member, JsonKind *ret_kind);

static int fault(Scanner *scanner, JsonFault what)
{
        scanner->fault = scanner->at >= scanner->end ? JSON_FAULT_TRUNCATED : what;
        return -EBADMSG;
}

static void skip_spaces(Scanner *scanner)
{
        while (scanner->at < scanner->end && (unsigned char) *scanner->at <= ' ' &&
               (*scanner->at == ' ' || *scanner->at == '\t' || *scanner->at == '\n' || *scanner->at == '\r'))
                scanner->at++;
}

static bool at_char(const Scanner *scanner, char c)
{
        return scanner->at < scanner->end && *scanner->at == c;
}

static bool at_digit(const Scanner *scanner)
{
        return scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9';
}

unsigned json_utf8_length(const unsigned char *bytes, size_t size)
{
        unsigned char first = bytes[0], low = 0x80, high = 0xbf;
        unsigned length;

        if (first < 0x80)
                return 1;
        if (first >= 0xc2 && first <= 0xdf)
                length = 2;
        else if (first >= 0xe0 && first <= 0xef) {
                length = 3;
                low = first == 0xe0 ? 0xa0 : 0x80;
                high = first == 0xed ? 0x9f : 0xbf;
        } else if (first >= 0xf0 && first <= 0xf4) {
                length = 4;
                low = first == 0xf0 ? 0x90 : 0x80;
                high = first == 0xf4 ? 0x8f : 0xbf;
        } else
                return 0;

        if (size < length || bytes[1] < low || bytes[1] > high)
                return 0;
        for (unsigned i = 2; i < length; i++)
                if ((bytes[i] & 0xc0) != 0x80)
                        return 0;
        return length;
}

static int scan_escape(Scanner *scanner)
{
        scanner->at++;
        if (scanner->at >= scanner->end || !strchr("\"\\/bfnrtu", *scanner->at) || !*scanner->at)
                return fault(scanner, JSON_FAULT_ESCAPE);

        if (*scanner->at++ != 'u')
                return 0;
        for (unsigned i = 0; i < 4; i++, scanner->at++)
                if (scanner->at >= scanner->end || !isxdigit((unsigned char) *scanner->at))
                        return fault(scanner, JSON_FAULT_ESCAPE);
        return 0;
}

static bool is_plain(char byte)
{
        return (unsigned char) byte >= 0x20 && (unsigned char) byte < 0x80 && byte != '"' && byte != '\\';
}

#ifdef __SSE2__
#define BLOCK_BYTES 16U

/* How many bytes of a block come before the first that is a quote, a backslash, a control character or not ASCII. */
static unsigned plain_bytes(const char *bytes)
{
        __m128i block = _mm_loadu_si128((const __m128i *) bytes), marks;

        /* compared as signed: what is not ASCII is less than a space as well */
        marks = _mm_cmplt_epi8(block, _mm_set1_epi8(' '));
        marks = _mm_or_si128(marks, _mm_cmpeq_epi8(block, _mm_set1_epi8('"')));
        marks = _mm_or_si128(marks, _mm_cmpeq_epi8(block, _mm_set1_epi8('\\')));
        return (unsigned) __builtin_ctz((unsigned) _mm_movemask_epi8(marks) | 1U << BLOCK_BYTES);
}
#else
#define BLOCK_BYTES 8U

/* The same in plain C. Subtracting may mark bytes behind a true mark, never before it. */
static unsigned plain_bytes(const char *bytes)
{
        const uint64_t ones = 0x0101010101010101ULL, highs = 0x8080808080808080ULL;
        uint64_t word, quote, backslash, marks;

        memcpy(&word, bytes, sizeof(word));
        word = le64toh(word);
        quote = word ^ (ones * '"');
        backslash = word ^ (ones * '\\');
        marks = (word | (word - ones * 0x20) | (quote - ones) | (backslash - ones)) & highs;
        return marks == 0 ? BLOCK_BYTES : (unsigned) __builtin_ctzll(marks) / 8;
}
#endif

/* Passes over the bytes of a string that stand for themselves. */
static void skip_plain(Scanner *scanner)
{
        while (scanner->end - scanner->at >= BLOCK_BYTES) {
                unsigned n = plain_bytes(scanner->at);

                scanner->at += n;
                if (n < BLOCK_BYTES)
                        return;
        }
        while (scanner->at < scanner->end && is_plain(*scanner->at))
                scanner->at++;
}

static int skip_utf8(Scanner *scanner)
{
        do {
                unsigned length = json_utf8_length((const unsigned char *) scanner->at, scanner->end - scanner->at);

                if (length == 0)
                        return fault(scanner, JSON_FAULT_UTF8);
                scanner->at += length;
        } while (scanner->at < scanner->end && (*scanner->at & 0x80));
        return 0;
}

/* On entry at the opening quote, on success behind the closing one. */
static int scan_string(Scanner *scanner, bool *ret_escaped)
{
        bool escaped = false;
        int r;

        scanner->at++;
        for (;;) {
                skip_plain(scanner);
                if (scanner->at >= scanner->end)
                        return fault(scanner, JSON_FAULT_TRUNCATED);
                if (*scanner->at == '"')
                        break;
                if (*scanner->at & 0x80)
                        r = skip_utf8(scanner);
                else if (*scanner->at == '\\') {
                        escaped = true;
                        r = scan_escape(scanner);
                } else
                        r = fault(scanner, JSON_FAULT_CONTROL);
                if (r < 0)
                        return r;
        }
        scanner->at++;
        if (ret_escaped)
                *ret_escaped = escaped;
        return 0;
}

static int scan_digits(Scanner *scanner)
{
        if (!at_digit(scanner))
                return fault(scanner, JSON_FAULT_NUMBER);
        while (at_digit(scanner))
                scanner->at++;
        return 0;
}

static int scan_number(Scanner *scanner)
{
        int r;

        if (at_char(scanner, '-'))
                scanner->at++;
        if (at_char(scanner, '0')) {
                scanner->at++;
                if (at_digit(scanner))
                        return fault(scanner, JSON_FAULT_NUMBER);
        } else {
                r = scan_digits(scanner);
                if (r < 0)
                        return r;
        }
        if (at_char(scanner, '.')) {
                scanner->at++;
                r = scan_digits(scanner);
                if (r < 0)
                        return r;
        }
        if (at_char(scanner, 'e') || at_char(scanner, 'E')) {
                scanner->at++;
                if (at_char(scanner, '+') || at_char(scanner, '-'))
                        scanner->at++;
                return scan_digits(scanner);
        }
        return 0;
}

static int scan_word(Scanner *scanner, const char *word, size_t size)
{
        for (size_t i = 0; i < size; i++, scanner->at++)
                if (!at_char(scanner, word[i]))
                        return fault(scanner, JSON_FAULT_WORD);
        return 0;
}

/* A place in the index for a member that is just being read, or JSON_PARENT_NONE where it is not indexed. */
static uint32_t index_reserve(Scanner *scanner, unsigned depth, uint32_t parent)
{
        JsonIndex *index = scanner->index;
        uint32_t member, *last;

        if (!index || depth >= JSON_INDEX_LEVELS || (depth > 0 && parent == JSON_PARENT_NONE))
                return JSON_PARENT_NONE;
        if (index->n_members >= JSON_INDEX_MEMBERS_MAX) {
                index->incomplete = true;
                return JSON_PARENT_NONE;
        }
        member = index->n_members++;
        last = parent == JSON_PARENT_NONE ? &index->last : &index->members[parent].last;
        index->members[member].previous = *last;
        index->members[member].last = JSON_PARENT_NONE;
        *last = member;
        return member;
}

/* An object ends by itself: where the bytes of a whole one stand, no other can. */
static bool at_known(const Scanner *scanner)
{
        const JsonSlice *known = &scanner->index->known;

        return at_char(scanner, '{') && known->size > 0 && (size_t) (scanner->end - scanner->at) >= known->size &&
               memcmp(scanner->at, known->data, known->size) == 0;
}

static int scan_member(Scanner *scanner, unsigned depth, uint32_t parent)
{
        uint32_t member = index_reserve(scanner, depth, parent);
        const char *name = scanner->at + 1, *name_end, *value;
        JsonKind kind = _JSON_KIND_INVALID;
        bool escaped = false, known;
        int r;

        if (!at_char(scanner, '"'))
                return fault(scanner, JSON_FAULT_SYNTAX);
        r = scan_string(scanner, &escaped);
        if (r < 0)
                return r;
        name_end = scanner->at - 1;

        skip_spaces(scanner);
        if (!at_char(scanner, ':'))
                return fault(scanner, JSON_FAULT_SYNTAX);
        scanner->at++;
        skip_spaces(scanner);

        value = scanner->at;
        known = member != JSON_PARENT_NONE && at_known(scanner);
        if (known) {
                kind = JSON_KIND_OBJECT;
                scanner->at += scanner->index->known.size;
        } else {
                r = scan_value(scanner, depth + 1, member, &kind);
                if (r < 0)
                        return r;
        }
        if (member == JSON_PARENT_NONE)
                return 0;

        JsonMember *found = scanner->index->members + member;
        found->name = (JsonSlice){ name, name_end - name };
        found->value = (JsonSlice){ value, scanner->at - value };
        found->kind = kind;
        found->escaped = escaped;
        found->known = known;
        return 0;
}

/* Objects and arrays: @close is the closing bracket, @depth how many containers are around. */
static int scan_container(Scanner *scanner, char close, unsigned depth, uint32_t parent)
{
        int r;

        scanner->at++;
        skip_spaces(scanner);
        if (at_char(scanner, close)) {
                scanner->at++;
                return 0;
        }
        if (depth + 1 >= scanner->depth_max)
                return fault(scanner, JSON_FAULT_DEPTH);

        for (;;) {
                r = close == '}' ? scan_member(scanner, depth, parent)
                                 : scan_value(scanner, depth + 1, JSON_PARENT_NONE, NULL);
                if (r < 0)
                        return r;
                skip_spaces(scanner);
                if (at_char(scanner, close)) {
                        scanner->at++;
                        return 0;
                }
                if (!at_char(scanner, ','))
                        return fault(scanner, JSON_FAULT_SYNTAX);
                scanner->at++;
                skip_spaces(scanner);
        }
}

static int scan_value(Scanner *scanner, unsigned depth, uint32_t member, JsonKind *ret_kind)
{
        JsonKind kind;
        int r;

        if (scanner->at >= scanner->end)
                return fault(scanner, JSON_FAULT_TRUNCATED);

        kind = json_slice_kind((JsonSlice){ scanner->at, 1 });
        switch (kind) {
        case JSON_KIND_OBJECT:
                r = scan_container(scanner, '}', depth, member);
                break;
        case JSON_KIND_ARRAY:
                r = scan_container(scanner, ']', depth, JSON_PARENT_NONE);
                break;
        case JSON_KIND_STRING:
                r = scan_string(scanner, NULL);
                break;
        case JSON_KIND_NUMBER:
                r = scan_number(scanner);
                break;
        case JSON_KIND_TRUE:
                r = scan_word(scanner, "true", 4);
                break;
        case JSON_KIND_FALSE:
                r = scan_word(scanner, "false", 5);
                break;
        case JSON_KIND_NULL:
                r = scan_word(scanner, "null", 4);
                break;
        default:
                r = fault(scanner, *scanner->at == 'N' || *scanner->at == 'I' ? JSON_FAULT_WORD : JSON_FAULT_SYNTAX);
        }
        if (r < 0)
                return r;
        if (ret_kind)
                *ret_kind = kind;
        return 0;
}

int json_scan(JsonSlice text, unsigned depth_max, JsonIndex *ret_index, JsonFault *ret_fault, size_t *ret_offset)
{
        Scanner scanner = {
                .start = text.data,
                .at = text.data,
                .end = text.data + text.size,
                .depth_max = depth_max,
                .index = ret_index,
        };
        JsonKind kind = _JSON_KIND_INVALID;
        int r;

        if (ret_index) {
                ret_index->text = text;
                ret_index->n_members = 0;
                ret_index->last = JSON_PARENT_NONE;
                ret_index->incomplete = false;
        }

        skip_spaces(&scanner);
        r = scan_value(&scanner, 0, JSON_PARENT_NONE, &kind);
        if (r >= 0) {
                skip_spaces(&scanner);
                if (scanner.at < scanner.end)
                        r = fault(&scanner, JSON_FAULT_TRAILING);
        }
        if (r < 0) {
                if (ret_fault)
                        *ret_fault = scanner.fault;
                if (ret_offset)
                        *ret_offset = scanner.at - scanner.start;
                return r;
        }
        if (ret_index)
                ret_index->kind = kind;
        return 0;
}

JsonKind json_slice_kind(JsonSlice value)
{
        if (value.size == 0)
                return _JSON_KIND_INVALID;
        switch (value.data[0]) {
        case '{':
                return JSON_KIND_OBJECT;
        case '[':
                return JSON_KIND_ARRAY;
        case '"':
                return JSON_KIND_STRING;
        case '-':
        case '0' ... '9':
                return JSON_KIND_NUMBER;
        case 't':
                return JSON_KIND_TRUE;
        case 'f':
                return JSON_KIND_FALSE;
        case 'n':
                return JSON_KIND_NULL;
        default:
                return _JSON_KIND_INVALID;
        }
}

bool json_slice_is_string(JsonSlice value, const char *text)
{
        size_t size = strlen(text);

        return value.size == size + 2 && value.data[0] == '"' && memcmp(value.data + 1, text, size) == 0;
}

/* Compares an escaped name with a plain one, a character at a time, so that nothing is allocated. */
static bool escaped_name_is(JsonSlice name, const char *plain, size_t plain_size)
{
        size_t done = 0;

        for (size_t i = 0; i < name.size;) {
                size_t piece = 1;
                char decoded[2 * 6 + 1];

                if (name.data[i] == '\\') {
                        piece = name.data[i + 1] == 'u' ? 6 : 2;
                        /* a pair of surrogates is decoded together */
                        if (piece == 6 && name.size - i >= 12 && name.data[i + 6] == '\\' && name.data[i + 7] == 'u' &&
                            (json_escape_read(name.data + i + 2) & 0xfc00) == 0xd800 &&
                            (json_escape_read(name.data + i + 8) & 0xfc00) == 0xdc00)
                                piece = 12;
                }
                size_t size = json_string_decode((JsonSlice){ name.data + i, piece }, decoded);
                if (size > plain_size - done || memcmp(decoded, plain + done, size) != 0)
                        return false;
                done += size;
                i += piece;
        }
        return done == plain_size;
}

static bool name_is(JsonSlice name, bool escaped, const char *plain, size_t plain_size)
{
        if (_unlikely_(escaped))
                return escaped_name_is(name, plain, plain_size);
        return name.size == plain_size && memcmp(name.data, plain, plain_size) == 0;
}

int json_index_find(const JsonIndex *index, uint32_t parent, const char *name, JsonKind *ret_kind,
                    JsonSlice *ret_value, uint32_t *ret_member)
{
        size_t name_size = strlen(name);

        if (_unlikely_(index->incomplete)) {
                if (ret_member)
                        *ret_member = JSON_PARENT_NONE;
                return json_slice_find(parent == JSON_PARENT_NONE ? index->text : index->members[parent].value, name,
                                       ret_kind, ret_value);
        }

        for (uint32_t i = parent == JSON_PARENT_NONE ? index->last : index->members[parent].last;
             i != JSON_PARENT_NONE; i = index->members[i].previous) {
                const JsonMember *member = index->members + i;

                if (!name_is(member->name, member->escaped, name, name_size))
                        continue;
                if (ret_kind)
                        *ret_kind = member->kind;
                if (ret_value)
                        *ret_value = member->value;
                if (ret_member)
                        *ret_member = member->known ? JSON_PARENT_NONE : i;
                return 1;
        }
        return 0;
}

int json_slice_find(JsonSlice object, const char *name, JsonKind *ret_kind, JsonSlice *ret_value)
{
        Scanner scanner = { .at = object.data, .end = object.data + object.size, .depth_max = UINT32_MAX };
        size_t name_size = strlen(name);
        int found = 0;

        skip_spaces(&scanner);
        if (!at_char(&scanner, '{'))
                return 0;
        do {
                JsonKind kind = _JSON_KIND_INVALID;
                const char *begin;
                bool escaped = false;

                scanner.at++;
                skip_spaces(&scanner);
                if (!at_char(&scanner, '"'))
                        break;
                begin = scanner.at + 1;
                if (scan_string(&scanner, &escaped) < 0)
                        return 0;
                JsonSlice member = { begin, scanner.at - 1 - begin };
                skip_spaces(&scanner);
                scanner.at++; /* the colon */
                skip_spaces(&scanner);
                begin = scanner.at;
                if (scan_value(&scanner, 0, JSON_PARENT_NONE, &kind) < 0)
                        return 0;
                if (name_is(member, escaped, name, name_size)) {
                        found = 1;
                        if (ret_kind)
                                *ret_kind = kind;
                        if (ret_value)
                                *ret_value = (JsonSlice){ begin, scanner.at - begin };
                }
                skip_spaces(&scanner);
        } while (at_char(&scanner, ','));
        return found;
}

int json_array_next(JsonSlice array, const char **at, JsonSlice *ret)
{
        Scanner scanner = { .at = *at ?: array.data, .end = array.data + array.size, .depth_max = UINT32_MAX };
        const char *begin;

        if (!*at && !at_char(&scanner, '['))
                return 0;
        if (!*at || at_char(&scanner, ','))
                scanner.at++;
        skip_spaces(&scanner);
        begin = scanner.at;
        if (at_char(&scanner, ']') || scan_value(&scanner, 0, JSON_PARENT_NONE, NULL) < 0)
                return 0;
        *ret = (JsonSlice){ begin, scanner.at - begin };
        skip_spaces(&scanner);
        *at = scanner.at;
        return 1;
}
