/* SPDX-License-Identifier: MIT */
/* test_yaml.c - text to nodes and back: places, limits, what is refused, what survives.
 */
#include "base/rng.h"
#include "config/yaml.h"
#include "unit/with_config.h"

/* What one reading gave. */
struct reading {
    struct arena *arena;
    struct mistakes mistakes;
    struct node *root;
    enum coney_rc rc;
};

static struct reading read_text(const char *text, size_t len)
{
    struct reading r = {.arena = arena_new(0)};
    assert_non_null(r.arena);
    r.rc = yaml_read((struct bytes){text, len}, "t.yaml", r.arena, &r.mistakes, &r.root);
    return r;
}

static void release(struct reading *r)
{
    mistakes_fini(&r->mistakes);
    arena_free(r->arena);
}

static struct reading read_well(const char *text)
{
    struct reading r = read_text(text, strlen(text));
    if (r.rc != CONEY_OK || r.mistakes.count > 0)
        fail_msg("%s: %s", text, r.mistakes.count ? r.mistakes.items[0].text : "failed");
    return r;
}

/* Reading @text gives @rc and just one mistake, at that place and with that part. */
static void assert_refused_bytes(const char *text, size_t len, enum coney_rc rc,
        const char *place, const char *part)
{
    struct reading r = read_text(text, len);
    char *found = text_of_mistakes(&r.mistakes);
    if (r.rc != rc || r.mistakes.count != 1 ||
            strncmp(found, place, strlen(place)) != 0 || !strstr(found, part))
        fail_msg("expected %s %s, found rc=%d: %s", place, part, (int)r.rc, found);
    assert_true((r.root == NULL) == (rc != CONEY_OK));
    free(found);
    release(&r);
}

static void assert_refused(
        const char *text, enum coney_rc rc, const char *place, const char *part)
{
    assert_refused_bytes(text, strlen(text), rc, place, part);
}

static char *flow_of(const struct node *n)
{
    struct buffer out;
    buffer_init(&out, 1 << 20);
    assert_int_equal(yaml_write_flow(&out, n), CONEY_OK);
    char *text = strndup((char *)buffer_data(&out), buffer_len(&out));
    buffer_fini(&out);
    return text;
}

static void every_value_remembers_where_it_was_written(void **state)
{
    (void)state;
    struct reading r = read_well("a: 1\nb:\n  c: [x, y]\n  \"d\": z\n");
    const struct member *c = node_member(node_get(r.root, "b"), "c");
    const struct node *y = c->value->members[1].value;
    const struct node *z = node_find(r.root, "b.d");

    assert_string_equal(c->at.file, "t.yaml");
    assert_int_equal(c->at.line, 3);
    assert_int_equal(c->at.column, 3);
    assert_string_equal(y->text, "y");
    assert_int_equal(y->at.line, 3);
    assert_int_equal(y->at.column, 10);
    assert_int_equal(z->at.line, 4);
    assert_int_equal(z->at.column, 8);
    release(&r);
}

static void nothing_at_all_is_an_empty_value(void **state)
{
    (void)state;
    struct reading r = read_well("");
    assert_true(node_is_null(r.root));
    release(&r);
    r = read_well("# only a remark\n");
    assert_true(node_is_null(r.root));
    release(&r);
}

static void a_syntax_error_stops_with_its_place(void **state)
{
    (void)state;
    assert_refused("a: [1, 2\nb: 3\n", CONEY_ESYNTAX, "2:2:", "no YAML");
    assert_refused("a: \"x\n", CONEY_ESYNTAX, "2:1:", "no YAML");
    assert_refused("a: *nobody\n", CONEY_ESYNTAX, "1:4:", "undefined alias");
    assert_refused("a:\n\tb: 1\n", CONEY_ESYNTAX, "2:1:", "indented with spaces");
    assert_refused("\xc3\xa9: 1\nb\xc3\xa9:\n\tb: 1\n", CONEY_ESYNTAX, "3:1:", "spaces");
    assert_refused("a: 1\nb: \xff\n", CONEY_ESYNTAX, "2:4:", "not UTF-8");
}

static void a_key_stands_once_in_a_map(void **state)
{
    (void)state;
    assert_refused("a: 1\nb: 2\na: 3\n", CONEY_OK, "3:1:", "already at line 1");
    assert_refused("m: {x: 1, x: 2}\n", CONEY_OK, "1:11:", "\"x\" is repeated");
}

static void what_would_be_misread_is_refused(void **state)
{
    (void)state;
    assert_refused("a: 1\n---\nb: 2\n", CONEY_ESYNTAX, "2:1:", "a second document");
    assert_refused("a: &x {b: 1}\nc: {<<: *x}\n", CONEY_OK, "2:5:", "merge keys");
    assert_refused("[a, b]: 1\n", CONEY_OK, "1:1:", "a key must be a single value");
    assert_refused("a: !secret b\n", CONEY_OK, "1:4:", "the tag \"!secret\"");
    assert_refused("a: \"x\\0y\"\n", CONEY_OK, "1:4:", "zero byte");
    assert_refused_bytes("a: x\0y\n", 7, CONEY_ESYNTAX, "1:5:", "not UTF-8");
}

static void an_alias_stands_for_its_anchor(void **state)
{
    (void)state;
    struct reading r = read_well("a: &x [1, 2]\nb: *x\nc: !!str 5\n");
    char *text = flow_of(r.root);
    assert_string_equal(text, "{a: [1, 2], b: [1, 2], c: 5}");
    free(text);
    release(&r);
}

static void a_billion_laughs_are_not_laughed(void **state)
{
    (void)state;
    char text[2048] = "a: &a [l, l, l, l, l, l, l, l, l, l]\n";
    for (int c = 'b'; c <= 'k'; c++) {
        char line[128];
        snprintf(line, sizeof(line), "%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n",
                c, c, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1);
        strcat(text, line);
    }
    assert_refused(text, CONEY_ESYNTAX, "1:", "more than 50000 values");
}

static void what_contains_itself_is_refused(void **state)
{
    (void)state;
    assert_refused("a: &a [*a]\n", CONEY_ESYNTAX, "1:4:", "deeper than 32");
}

static void depth_is_limited(void **state)
{
    (void)state;
    char text[128] = "a: ";
    size_t len = strlen(text);
    memset(text + len, '[', 40);
    memset(text + len + 40, ']', 40);
    assert_refused(text, CONEY_ESYNTAX, "1:36:", "deeper than 32 levels");
}

static void every_text_is_written_so_that_it_is_read_back(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a", "Z", "0", "-", ".", ":", " ", "#", "\"",
            "'", "\\", "\n", "\t", "\r", "{", "}", "[", "]", ",", "&", "*", "!", "|", ">",
            "%", "@", "`", "?", "~", "=", "<<", "\x01", "\x7f", "\xc2\x85", "\xc2\x9b",
            "\xc3\xa9", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xef\xbb\xbf", "\xef\xbf\xbe",
            "\xef\xbf\xbd", "\xf0\x9f\x90\x87", "null", "true", "1e3"};
    struct rng rng;
    rng_seed(&rng, 3);
    for (int i = 0; i < 5000; i++) {
        struct arena *a = arena_new(0);
        char text[64] = "";
        for (uint64_t n = rng_below(&rng, 7); n > 0; n--)
            strcat(text, pieces[rng_below(&rng, sizeof(pieces) / sizeof(pieces[0]))]);

        struct node *map = node_new(a, NODE_MAP, (struct place){0});
        struct node *value = node_new_text(a, text, (struct place){0});
        assert_int_equal(node_append(map, a, text, map->at, value), CONEY_OK);
        char *flow = flow_of(map);
        struct reading r = read_well(flow);
        assert_int_equal(r.root->count, 1);
        assert_string_equal(r.root->members[0].name, text);
        assert_string_equal(r.root->members[0].value->text, text);
        assert_false(r.root->members[0].value->plain);
        release(&r);
        free(flow);
        arena_free(a);
    }
}

static void block_and_flow_mean_the_same(void **state)
{
    (void)state;
    struct reading r =
            read_well("a: {b: {c: 1, d: []}, e: {}}\nf: [1, {g: h}]\ni: ~\nj: \"~\"\n");
    struct buffer out;
    buffer_init(&out, 1 << 20);
    assert_int_equal(yaml_write_block(&out, r.root, 2), CONEY_OK);
    assert_int_equal(buffer_append(&out, "", 1), CONEY_OK);
    assert_string_equal((char *)buffer_data(&out),
            "  a:\n    b:\n      c: 1\n      d: []\n    e: {}\n"
            "  f: [1, {g: h}]\n  i: null\n  j: \"~\"\n");

    struct reading again = read_well((char *)buffer_data(&out));
    char *flow = flow_of(r.root);
    char *flow_again = flow_of(again.root);
    assert_string_equal(flow_again, flow);
    free(flow);
    free(flow_again);
    buffer_fini(&out);
    release(&again);
    release(&r);
}

static void plain_scalars_become_json_by_the_core_schema(void **state)
{
    (void)state;
    struct reading r = read_well(
            "[~, null, true, false, True, 0, -12, +3, 007, 1.5, .5, -1e3, 5., 1e, 0x1f, "
            "9223372036854775807, 1_000, yes, \"1\", 'true', \"\", {a: [b]}]");
    json_t *json = node_json(r.root);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text,
            "[null,null,true,false,\"True\",0,-12,3,7,1.5,0.5,-1000.0,5.0,\"1e\",\"0x1f\","
            "9223372036854775807,\"1_000\",\"yes\",\"1\",\"true\","
            "\"\",{\"a\":[\"b\"]}]");
    assert_null(node_too_large(r.root));
    free(text);
    json_decref(json);
    release(&r);
}

static void a_number_without_room_in_64_bits_is_found(void **state)
{
    (void)state;
    struct reading r = read_well("{a: [1, {b: 9223372036854775808}]}");
    assert_string_equal(node_too_large(r.root)->text, "9223372036854775808");
    release(&r);
    r = read_well("[\"1e999\", -1e999]");
    assert_string_equal(node_too_large(r.root)->text, "-1e999");
    release(&r);
}

static void a_later_map_is_merged_key_by_key(void **state)
{
    (void)state;
    struct reading base = read_well("a: {b: 1, c: {d: 2, e: 3}}\nf: [1, 2]\n");
    struct reading over = read_well("a: {c: {d: 4, g: 5}}\nf: [6]\nh: 7\n");
    assert_int_equal(node_merge(base.root, base.arena, over.root), CONEY_OK);
    char *text = flow_of(base.root);
    assert_string_equal(text, "{a: {b: 1, c: {d: 4, e: 3, g: 5}}, f: [6], h: 7}");
    free(text);
    release(&base);
    release(&over);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(every_value_remembers_where_it_was_written),
            cmocka_unit_test(nothing_at_all_is_an_empty_value),
            cmocka_unit_test(a_syntax_error_stops_with_its_place),
            cmocka_unit_test(a_key_stands_once_in_a_map),
            cmocka_unit_test(what_would_be_misread_is_refused),
            cmocka_unit_test(an_alias_stands_for_its_anchor),
            cmocka_unit_test(a_billion_laughs_are_not_laughed),
            cmocka_unit_test(what_contains_itself_is_refused),
            cmocka_unit_test(depth_is_limited),
            cmocka_unit_test(every_text_is_written_so_that_it_is_read_back),
            cmocka_unit_test(block_and_flow_mean_the_same),
            cmocka_unit_test(plain_scalars_become_json_by_the_core_schema),
            cmocka_unit_test(a_number_without_room_in_64_bits_is_found),
            cmocka_unit_test(a_later_map_is_merged_key_by_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
