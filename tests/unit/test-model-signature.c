/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Signatures against vectors that the npm package standardwebhooks and openssl agree on. */

#include "unit/expect.h"

#include <stdlib.h>

#include "base/string-util.h"
#include "model/signature.h"

static const char a_secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

static const struct {
        const char *id;
        uint64_t seconds;
        const char *body;
        const char *signature;
} vectors[] = {
        { "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, "{\"test\": 2432232314}",
          "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" },
        { "msg_1", 1748635214,
          "{\"type\":\"sync.completed\",\"timestamp\":\"2026-05-30T20:00:14.123456Z\",\"data\":"
          "{\"run_id\":\"pull_0123456789abcdef\",\"message\":\"café\"}}",
          "v1,ZRLtZi1SWtZAmGVS91EFh5NmFEoD/fr7finTKMVdEKY=" },
};

static char *sign(const char *const *secrets, size_t n, size_t i)
{
        char *signature = NULL;

        expect_ok(signature_make(secrets, n, vectors[i].id, vectors[i].seconds, vectors[i].body,
                                 strlen(vectors[i].body), &signature));
        return signature;
}

static void test_vectors(void **state)
{
        const char *secrets[] = { a_secret };

        for (size_t i = 0; i < ELEMENTSOF(vectors); i++) {
                char *signature = sign(secrets, 1, i);

                assert_string_equal(signature, vectors[i].signature);
                free(signature);
        }
}

/* One bit of the first vector's: the receiver's library calls it invalid, and so it is none of ours. */
static void test_the_invalid_vector(void **state)
{
        const char *secrets[] = { a_secret };
        char *signature = sign(secrets, 1, 0);

        assert_string_not_equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA=");
        free(signature);
}

/* What ends in bits that stand for nothing is read as the receivers' libraries read it, by which these were signed:
 * as if they were not set. */
static void test_bits_left_over(void **state)
{
#define KEY "whsec_g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1"
        static const struct {
                const char *secret, *signature;
        } cases[] = {
                { KEY "OA=", "v1,vtukf7o1c8YKDYAmXvlPtUgb9rbH2p20tKxYSPtGudk=" },
                { KEY "OE=", "v1,6u8PD1o62t05z9bQbk2h0z7xhR8qPU3+lE5vuQ/ZHmc=" },
                { KEY "OF=", "v1,6u8PD1o62t05z9bQbk2h0z7xhR8qPU3+lE5vuQ/ZHmc=" },
                { KEY "B==", "v1,Z1fwSyy4jaUjcxCPUzvfX+aOK/HRuLNJJsaxHBf4r2g=" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char *signature = NULL;

                assert_true(signature_secret_is_valid(cases[i].secret));
                expect_ok(signature_make(&cases[i].secret, 1, "msg_1", 1000000000, "x", 1, &signature));
                assert_string_equal(signature, cases[i].signature);
                free(signature);
        }
}

static void test_several_secrets(void **state)
{
        const char *secrets[] = { "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", a_secret };
        char *both = sign(secrets, 2, 0), *first = sign(secrets, 1, 0), *joined;

        joined = asprintf_or_null("%s %s", first, vectors[0].signature);
        assert_non_null(joined);
        assert_string_equal(both, joined);
        free(joined);
        free(first);
        free(both);
}

static void test_no_secret(void **state)
{
        const char *bad = "whsec_!";
        char *signature;

        expect_errno(signature_make(&bad, 0, "msg_1", 1, "", 0, &signature), -EINVAL);
        expect_errno(signature_make(&bad, 1, "msg_1", 1, "", 0, &signature), -EINVAL);
}

static void test_new_secret(void **state)
{
        char one[SIGNATURE_SECRET_TEXT_MAX], other[SIGNATURE_SECRET_TEXT_MAX];

        expect_ok(signature_secret_new(one));
        expect_ok(signature_secret_new(other));
        assert_true(signature_secret_is_valid(one));
        assert_string_not_equal(one, other);
        assert_int_equal(strlen(one), strlen("whsec_") + 44);
        assert_int_equal(one[strlen(one) - 1], '=');
}

/* So many letters of base64, closed by that. */
static char *secret_of(size_t n, const char *end)
{
        char *letters = calloc(1, n + 1), *secret;

        assert_non_null(letters);
        (void) memset(letters, 'A', n);
        secret = asprintf_or_null("whsec_%s%s", letters, end);
        assert_non_null(secret);
        free(letters);
        return secret;
}

static void check_secret(size_t n, const char *end, bool valid)
{
        char *secret = secret_of(n, end);

        if (signature_secret_is_valid(secret) != valid)
                fail_msg("%s must%s be valid", secret, valid ? "" : " not");
        free(secret);
}

static void test_lengths(void **state)
{
        check_secret(31, "=", false); /* 23 bytes */
        check_secret(32, "", true);   /* 24 */
        check_secret(86, "==", true); /* 64 */
        check_secret(87, "=", false); /* 65 */
        check_secret(400, "", false);
        check_secret(0, "", false);
}

static void test_what_is_no_base64(void **state)
{
        check_secret(43, "", false); /* not filled up */
        check_secret(41, "===", false);
        check_secret(40, " AAA", false);
        check_secret(40, "AA A", false);
        check_secret(40, "AA=A", false);
        check_secret(40, "-AAA", false);
        check_secret(40, "_AAA", false);
        check_secret(40, "AAA\n", false);
        assert_false(signature_secret_is_valid("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        assert_false(signature_secret_is_valid(""));
        assert_false(signature_secret_is_valid("whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_vectors),    cmocka_unit_test(test_the_invalid_vector),
                cmocka_unit_test(test_bits_left_over), cmocka_unit_test(test_several_secrets),
                cmocka_unit_test(test_no_secret),  cmocka_unit_test(test_new_secret),
                cmocka_unit_test(test_lengths),    cmocka_unit_test(test_what_is_no_base64),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
