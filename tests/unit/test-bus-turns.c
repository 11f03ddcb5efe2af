/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls that wait by taker: the share, the whole, who gives way, and the line. */

#include "unit/expect.h"

#include <stdio.h>

#include "base/string-util.h"
#include "bus/turns.h"

#define SHARE 4U
#define WHOLE 12U

static Turns new_turns(void)
{
        return (Turns){ .share = SHARE, .max = WHOLE };
}

static int add(Turns *turns, const char *name, Turn *turn)
{
        Turn *displaced = NULL;
        int r = turns_add(turns, name, turn, &displaced);

        assert_null(displaced);
        return r;
}

static void leave_all(Turns *turns, Turn *all, size_t n)
{
        for (size_t i = 0; i < n; i++)
                turn_leave(&all[i]);
        assert_int_equal(turns->n, 0);
        assert_int_equal(turns->n_begun, 0);
        assert_null(turns->takers);
        assert_null(turns->line);
        for (size_t i = 0; i < ELEMENTSOF(turns->ranks); i++)
                assert_null(turns->ranks[i]);
}

static void test_share(void **state)
{
        Turn all[SHARE + 2] = {};
        Turns turns = new_turns();

        for (size_t i = 0; i < SHARE; i++)
                expect_ok(add(&turns, "a", &all[i]));
        expect_errno(add(&turns, "a", &all[SHARE]), -ENOBUFS);
        expect_ok(add(&turns, "b", &all[SHARE + 1]));
        assert_int_equal(turns.n, SHARE + 1);
        turn_leave(&all[2]);
        expect_ok(add(&turns, "a", &all[SHARE]));
        assert_ptr_equal(all[0].taker->first, &all[0]);
        assert_ptr_equal(all[1].next, &all[3]);
        leave_all(&turns, all, ELEMENTSOF(all));
}

/* Who has the most gives way, newest call first, to who has fewer by two. */
static void test_whole(void **state)
{
        Turn all[WHOLE] = {}, more[6] = {}, *displaced;
        Turns turns = new_turns();

        for (size_t i = 0; i < WHOLE; i++)
                expect_ok(add(&turns, i < 4 ? "a" : i < 8 ? "b" : "c", &all[i]));
        expect_ok(turns_add(&turns, "d", &more[0], &displaced));
        assert_ptr_equal(displaced, &all[3]);
        assert_null(displaced->taker);
        assert_int_equal(turns.n, WHOLE);
        /* "a" has 3 now, "b" has 4 */
        expect_ok(turns_add(&turns, "d", &more[1], &displaced));
        assert_ptr_equal(displaced, &all[7]);
        expect_ok(turns_add(&turns, "d", &more[2], &displaced));
        assert_ptr_equal(displaced, &all[11]);
        /* all have 3: nobody has to give way for a fourth, but for another's first and second */
        expect_errno(add(&turns, "d", &more[3]), -ENOBUFS);
        expect_ok(turns_add(&turns, "e", &more[3], &displaced));
        assert_non_null(displaced);
        expect_ok(turns_add(&turns, "e", &more[4], &displaced));
        assert_non_null(displaced);
        expect_errno(add(&turns, "e", &more[5]), -ENOBUFS);
        assert_int_equal(turns.n, WHOLE);
        for (size_t i = 0; i < ELEMENTSOF(more); i++)
                turn_leave(&more[i]);
        leave_all(&turns, all, ELEMENTSOF(all));
}

/* As many takers as places: one that comes with its first call leaves nothing behind. */
static void test_one_each(void **state)
{
        Turn all[WHOLE] = {}, more = {};
        Turns turns = new_turns();
        char name[2] = "a";

        for (size_t i = 0; i < WHOLE; i++, name[0]++)
                expect_ok(add(&turns, name, &all[i]));
        expect_errno(add(&turns, name, &more), -ENOBUFS);
        assert_int_equal(HASH_COUNT(turns.takers), WHOLE);
        leave_all(&turns, all, ELEMENTSOF(all));
}

static void test_line(void **state)
{
        Turn all[4] = {}, *first;
        Turns turns = new_turns();
        TurnTaker *a, *b;

        assert_null(turns_begin(&turns));
        expect_ok(add(&turns, "a", &all[0]));
        expect_ok(add(&turns, "b", &all[1]));
        expect_ok(add(&turns, "a", &all[2]));
        a = turns_begin(&turns);
        assert_string_equal(a->name, "a");
        b = turns_begin(&turns);
        assert_string_equal(b->name, "b");
        assert_null(turns_begin(&turns));
        assert_int_equal(turns.n_begun, 2);
        /* one that has begun does not stand in line once more for another call */
        expect_ok(add(&turns, "b", &all[3]));
        assert_null(turns_begin(&turns));
        turn_taker_again(b);
        assert_int_equal(turns.n_begun, 1);
        first = turn_taker_end(a);
        assert_ptr_equal(first, &all[0]);
        assert_ptr_equal(first->next, &all[2]);
        assert_null(first->taker);
        assert_ptr_equal(turns_begin(&turns), b);
        leave_all(&turns, all, ELEMENTSOF(all));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_share),
                cmocka_unit_test(test_whole),
                cmocka_unit_test(test_one_each),
                cmocka_unit_test(test_line),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
