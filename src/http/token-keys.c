/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/token-keys.h"

#include <dirent.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <sys/inotify.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "base/string-util.h"

#define PEM_BEGIN "-----BEGIN "
#define WATCHED   (IN_CLOSE_WRITE | IN_MOVE | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

DEFINE_TRIVIAL_CLEANUP_FUNC(DIR *, closedir);
DEFINE_TRIVIAL_CLEANUP_FUNC(TokenKey *, token_key_unref);

static const char *const token_algorithm_table[] = {
        [TOKEN_HS256] = "HS256",
        [TOKEN_RS256] = "RS256",
        [TOKEN_ES256] = "ES256",
};
DEFINE_STRING_TABLE(token_algorithm, TokenAlgorithm, _TOKEN_ALGORITHM_MAX);

TokenKey *token_key_ref(TokenKey *key)
{
        key->n_ref++;
        return key;
}

TokenKey *token_key_unref(TokenKey *key)
{
        if (!key || --key->n_ref > 0)
                return NULL;
        if (key->data)
                explicit_bzero(key->data, key->size);
        free(key->data);
        free(key->id);
        free(key);
        return NULL;
}

/* ---- One file */

/* Sets the algorithm and the length of the id in "ID.hs256". */
static bool parse_name(const char *name, TokenAlgorithm *ret, size_t *ret_size)
{
        const char *dot = strrchr(name, '.');

        if (!dot || dot == name || name[0] == '.' || (size_t) (dot - name) > TOKEN_KEY_ID_MAX)
                return false;
        for (TokenAlgorithm a = 0; a < _TOKEN_ALGORITHM_MAX; a++)
                if (strcasecmp(dot + 1, token_algorithm_to_string(a)) == 0) {
                        *ret = a;
                        *ret_size = (size_t) (dot - name);
                        return true;
                }
        return false;
}

/* Return: what is wrong with it; NULL: nothing. */
static const char *check_public_key(const TokenKey *key)
{
        BIO *bio = BIO_new_mem_buf(key->data, (int) key->size);
        EVP_PKEY *pkey = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
        const char *why = NULL;
        char group[64] = "";

        if (!pkey)
                why = "is no public key in PEM";
        else if (key->algorithm == TOKEN_RS256) {
                if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA)
                        why = "is no RSA key";
                else if (EVP_PKEY_get_bits(pkey) < TOKEN_RSA_MIN_BITS)
                        why = "is shorter than 2048 bits";
        } else if (EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL) != 1 ||
                   !streq(group, TOKEN_EC_GROUP))
                why = "is no key of the curve P-256";
        EVP_PKEY_free(pkey);
        BIO_free(bio);
        ERR_clear_error();
        return why;
}

static const char *check_key(const TokenKey *key)
{
        if (key->algorithm != TOKEN_HS256)
                return check_public_key(key);
        /* Whoever knows a public key could sign with it. */
        if (memmem(key->data, key->size, PEM_BEGIN, strlen(PEM_BEGIN)))
                return "is a key in PEM, and no secret";
        return key->size < TOKEN_SECRET_MIN ? "has less than 32 bytes" : NULL;
}

/* Return: 1; 0: the file is none, or is wrong, which is logged; -ENOMEM. */
static int read_key(const char *folder, const char *prefix, const char *file, TokenKey **ret)
{
        _cleanup_(token_key_unrefp) TokenKey *key = calloc(1, sizeof(*key));
        _cleanup_free_ char *path = asprintf_or_null("%s/%s", folder, file);
        const char *name = startswith(file, prefix), *why;
        size_t id_size;
        int r;

        if (!key || !path)
                return -ENOMEM;
        key->n_ref = 1;
        if (!name || !parse_name(name, &key->algorithm, &id_size))
                return 0;
        r = read_file(path, TOKEN_KEY_MAX_BYTES, &key->data, &key->size);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                (void) log_warning_errno(r, "Cannot read %s: %m", path);
                return 0;
        }
        /* What an editor puts at the end of a secret. */
        if (key->size > 0 && key->algorithm == TOKEN_HS256 && key->data[key->size - 1] == '\n')
                key->size--;
        why = check_key(key);
        if (why) {
                log_warning("%s %s: it is not used.", path, why);
                return 0;
        }
        key->id = strndup(name, id_size);
        if (!key->id)
                return -ENOMEM;
        *ret = TAKE_PTR(key);
        return 1;
}

/* ---- The folder */

static void release(TokenKey **keys, size_t n)
{
        for (size_t i = 0; i < n; i++)
                token_key_unref(keys[i]);
}

/* Return: how many there are; negative errno. */
static int read_folder(const char *folder, const char *prefix, TokenKey *keys[static TOKEN_KEYS_MAX])
{
        _cleanup_(closedirp) DIR *dir = opendir(folder);
        struct dirent *entry;
        size_t n = 0;
        int r = 0;

        if (!dir)
                return -errno;
        while (r >= 0 && (entry = readdir(dir))) {
                TokenKey *key = NULL;

                r = read_key(folder, prefix, entry->d_name, &key);
                if (r <= 0)
                        continue;
                if (n == TOKEN_KEYS_MAX) {
                        log_warning("%s has more than %u keys: the others are not used.", folder, TOKEN_KEYS_MAX);
                        token_key_unref(key);
                        break;
                }
                keys[n++] = key;
        }
        if (r < 0)
                release(keys, n);
        return r < 0 ? r : (int) n;
}

static bool is_same(const TokenKey *a, const TokenKey *b)
{
        return a->algorithm == b->algorithm && streq(a->id, b->id) && a->size == b->size &&
               memcmp(a->data, b->data, a->size) == 0;
}

/* Puts the one that is known already in the place of each that was read. Return: how many are not there any more. */
static size_t merge(TokenKeys *keys, TokenKey **now, size_t n)
{
        size_t n_kept = 0;

        for (size_t i = 0; i < keys->n; i++) {
                size_t j = 0;

                while (j < n && !is_same(keys->keys[i], now[j]))
                        j++;
                keys->keys[i]->gone = j == n;
                if (j == n)
                        continue;
                token_key_unref(now[j]);
                now[j] = token_key_ref(keys->keys[i]);
                n_kept++;
        }
        return keys->n - n_kept;
}

static void load(TokenKeys *keys)
{
        TokenKey *now[TOKEN_KEYS_MAX] = {};
        size_t n_gone;
        int n;

        n = read_folder(keys->folder, keys->prefix, now);
        if (n == -ENOMEM) {
                log_oom();
                return;
        }
        if (n < 0)
                (void) log_warning_errno(n, "Cannot read the keys of tokens in %s: %m", keys->folder);
        n = MAX(n, 0);
        n_gone = merge(keys, now, (size_t) n);
        release(keys->keys, keys->n);
        memcpy(keys->keys, now, sizeof(now));
        keys->n = (size_t) n;
        log_info("There are %zu keys of tokens.", keys->n);
        if (n_gone > 0)
                keys->gone(keys->userdata);
}

static int on_change(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        load(userdata);
        return 0;
}

int token_keys_open(sd_event *event, const char *folder, const char *prefix, void (*gone)(void *userdata),
                    void *userdata, TokenKeys **ret)
{
        TokenKeys *keys = calloc(1, sizeof(*keys));
        int r;

        if (!keys)
                return -ENOMEM;
        keys->prefix = prefix;
        keys->gone = gone;
        keys->userdata = userdata;
        r = free_and_strdup(&keys->folder, folder);
        if (r < 0) {
                token_keys_free(keys);
                return r;
        }
        if (folder) {
                r = sd_event_add_inotify(event, &keys->watch, folder, WATCHED, on_change, keys);
                if (r < 0)
                        (void) log_warning_errno(r, "Cannot watch %s: %m", folder);
                load(keys);
        }
        *ret = keys;
        return 0;
}

TokenKeys *token_keys_free(TokenKeys *keys)
{
        if (!keys)
                return NULL;
        sd_event_source_disable_unref(keys->watch);
        release(keys->keys, keys->n);
        free(keys->folder);
        free(keys);
        return NULL;
}
