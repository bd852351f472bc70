/* The pickle reader on hand-written pickles: values, refused names, damage, and attempts to exhaust it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/pickle.h"

static pickle p;
static pickle_value *root;

/* Reads a copy of exactly those bytes, so that AddressSanitizer sees a read behind them; the next call frees it. */
static clvgg_status read_bytes(const void *data, size_t bytes) {
  static unsigned char *copy;
  size_t used = 0;
  pickle_release(&p);
  free(copy);
  copy = NULL;
  if (data == NULL) return CLVGG_OK;
  copy = malloc(bytes);
  assert_non_null(copy);
  memcpy(copy, data, bytes);
  const clvgg_status status = pickle_read(&p, copy, bytes, &root, &used);
  assert_true(used <= bytes);
  return status;
}
#define READ(text) read_bytes(text, sizeof(text) - 1)

static int release(void **state) {
  (void)state;
  return read_bytes(NULL, 0) != CLVGG_OK;
}

static void assert_error_has(const char *part) {
  if (strstr(clvgg_last_error(), part) == NULL) fail_msg("'%s' is not in '%s'", part, clvgg_last_error());
}

static void numbers(void **state) {
  (void)state;
  const struct {
    const char *text;
    size_t bytes;
    int64_t value;
  } cases[] = {
      {"K\xff.", 3, 255},
      {"M\x01\x80.", 4, 0x8001},
      {"J\xfe\xff\xff\xff.", 6, -2},
      {"\x8a\x00.", 3, 0},
      {"\x8a\x01\xff.", 4, -1},
      {"\x8a\x02\xff\x00.", 5, 255},
      {"\x8b\x03\x00\x00\x00\x00\x00\x80.", 9, -8388608},
      {"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.", 11, INT64_MIN},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(read_bytes(cases[i].text, cases[i].bytes), CLVGG_OK);
    assert_int_equal(root->kind, PICKLE_INT);
    assert_true(root->as.integer == cases[i].value);
  }
  assert_int_equal(READ("G\x3f\xf8\x00\x00\x00\x00\x00\x00."), CLVGG_OK);
  assert_int_equal(root->kind, PICKLE_FLOAT);
  assert_true(root->as.real == 1.5);
  assert_int_equal(READ("\x8a\x09"
                        "123456789."),
                   CLVGG_OK);
  assert_int_equal(root->kind, PICKLE_LONG);
}

static void containers(void **state) {
  (void)state;
  /* {'a': [1, (2, True)], 'b': None}, by pickle.dumps(..., 2) without its memo */
  assert_int_equal(READ("\x80\x02}(X\x01\0\0\0a](K\x01K\x02\x88\x86"
                        "eX\x01\0\0\0bNu."),
                   CLVGG_OK);
  const pickle_value *a = pickle_get(root, "a"), *b = pickle_get(root, "b");
  assert_non_null(a);
  assert_int_equal(a->kind, PICKLE_LIST);
  assert_int_equal(a->as.items.count, 2);
  assert_int_equal(a->as.items.data[1]->kind, PICKLE_TUPLE);
  assert_int_equal(a->as.items.data[1]->as.items.data[0]->as.integer, 2);
  assert_int_equal(b->kind, PICKLE_NONE);
  assert_null(pickle_get(root, "c"));
  assert_null(pickle_get(a, "c"));
  /* the memo: x = 'k'; {x: x} */
  assert_int_equal(READ("\x80\x04}\x8c\x01k\x94h\x00s."), CLVGG_OK);
  assert_true(pickle_is_text(pickle_get(root, "k"), "k"));
  /* OrderedDict([['a', 1]]), with a state */
  assert_int_equal(READ("\x80\x02"
                        "ccollections\nOrderedDict\n]]U\x01"
                        "aaK\x01"
                        "aa\x85R}b."),
                   CLVGG_OK);
  assert_int_equal(pickle_get(root, "a")->as.integer, 1);
}

static void names_are_refused(void **state) {
  (void)state;
  const struct {
    const char *text;
    size_t bytes;
    const char *named;
  } cases[] = {
#define CASE(text, named) {text, sizeof(text) - 1, named}
      CASE("\x80\x02"
           "cos\nsystem\nX\x04\0\0\0true\x85R.",
           "os.system"),
      CASE("\x80\x04\x8c\x05posix\x8c\x06system\x93.", "posix.system"),
      CASE("\x80\x02"
           "cbuiltins\neval\nX\x01\0\0\0"
           "1\x85R.",
           "builtins.eval"),
      CASE("\x80\x02"
           "c__builtin__\ngetattr\n.",
           "__builtin__.getattr"),
      CASE("\x80\x02"
           "ctorch\nload\n.",
           "torch.load"),
      CASE("\x80\x02"
           "ctorch\ndevice float32\n.",
           "torch.device float32"),
      CASE("\x80\x02"
           "ctorch\n\n.",
           "torch."),
      CASE("\x80\x02"
           "ctorchvision.models.vgg\nVGG\n)\x81.",
           "expected a state dict"),
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(read_bytes(cases[i].text, cases[i].bytes), CLVGG_ERROR_FORMAT);
    assert_error_has("refers to");
    assert_error_has(cases[i].named);
  }
}

static void damage_is_an_error(void **state) {
  (void)state;
  const struct {
    const char *text;
    size_t bytes;
  } cases[] = {
#define BAD(text) {text, sizeof(text) - 1}
      BAD("."),
      BAD("N"),
      BAD("0."),
      BAD("1."),
      BAD("t."),
      BAD("(."),
      BAD("N(."),
      BAD("\x85."),
      BAD("N(\x85."),
      BAD("h\x00."),
      BAD("j\xff\xff\xff\xff."),
      BAD("Nr\xff\xff\xff\xff."),
      BAD("}NNNe."),
      BAD("]Nu."),
      BAD("}(Nu."),
      BAD("Na."),
      BAD("NNs."),
      BAD("K\x01Na."),
      BAD(")Na."),
      BAD("X\xff\xff\xff\xff."),
      BAD("\x8d\xff\xff\xff\xff\xff\xff\xff\xff."),
      BAD("\x8a\xff."),
      BAD("\x8b\xff\xff\xff\xff."),
      BAD("\x95\xff\xff\xff\xff\xff\xff\xff\xffN."),
      BAD("\x80\x06N."),
      BAD("NQ."),
      BAD(")Q."),
      BAD("NNR."),
      BAD("N)R."),
      BAD("NNb."),
      BAD("\x93."),
      BAD("NN\x93."),
      BAD("cos"),
      BAD("cos\n"),
      BAD("ctorch\nFloatStorage\n)R."),
      BAD("ctorch._utils\n_rebuild_tensor_v2\n)R."),
      BAD("ctorch._utils\n_rebuild_tensor_v2\n(NNNNtR."),
      BAD("ctorch._utils\n_rebuild_parameter\n)R."),
      BAD("ctorch\nSize\nN\x85R."),
      BAD("ccollections\nOrderedDict\nN\x85R."),
      BAD("ccollections\nOrderedDict\n]Na\x85R."),
      BAD("P1\n."),
      BAD("I1\n."),
      BAD("\xff."),
      BAD("\0"),
      BAD("(U\x07storagectorch\nFloatStorage\nU\x01"
          "0U\x03"
          "cpuJ\xff\xff\xff\xfftQ."),
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    if (read_bytes(cases[i].text, cases[i].bytes) == CLVGG_OK) fail_msg("damaged pickle %zu was accepted", i);
    assert_true(strlen(clvgg_last_error()) > 10);
  }
}

/* text, repeated count times, between before and after */
static clvgg_status read_repeated(const char *before, const char *text, size_t text_bytes, size_t count,
                                  const char *after) {
  const size_t head = strlen(before), tail = strlen(after), bytes = head + text_bytes * count + tail;
  unsigned char *all = malloc(bytes);
  assert_non_null(all);
  memcpy(all, before, head);
  for (size_t i = 0; i < count; i++) memcpy(all + head + i * text_bytes, text, text_bytes);
  memcpy(all + head + text_bytes * count, after, tail);
  const clvgg_status status = read_bytes(all, bytes);
  free(all);
  return status;
}

static void deep_nesting_does_not_overflow(void **state) {
  (void)state;
  /* a tuple in a tuple in ..., a million deep */
  assert_int_equal(read_repeated(")", "\x85", 1, 1000000, "."), CLVGG_OK);
  size_t depth = 0;
  for (const pickle_value *v = root; v->as.items.count == 1; v = v->as.items.data[0]) depth++;
  assert_int_equal(depth, 1000000);
  assert_int_equal(read_repeated("", "(", 1, 1000000, "."), CLVGG_ERROR_FORMAT);
  assert_int_equal(read_repeated("", "]", 1, 1000000, "."), CLVGG_OK);
}

static void limits_end_the_greedy(void **state) {
  (void)state;
  assert_int_equal(read_repeated("", "]", 1, 5000000, "."), CLVGG_ERROR_TOO_LARGE);
  assert_error_has("values");
  assert_int_equal(read_repeated("", "(", 1, 5000000, "."), CLVGG_ERROR_FORMAT);
  assert_int_equal(read_repeated("N", "2", 1, 5000000, "."), CLVGG_ERROR_FORMAT);
  /* A list of 1000 pairs in the memo, of which dicts are made again and again: 5 bytes cause 2000 items each time. */
  char pairs[5000];
  size_t n = (size_t)snprintf(pairs, sizeof pairs, "ccollections\nOrderedDict\nq\x01](");
  for (int i = 0; i < 1000; i++) n += (size_t)snprintf(pairs + n, sizeof pairs - n, "NN\x86");
  snprintf(pairs + n, sizeof pairs - n,
           "e\x85q\x02"
           "0");
  assert_int_equal(read_repeated(pairs, "h\x01h\x02R0", 6, 100, "N."), CLVGG_OK);
  assert_int_equal(read_repeated(pairs, "h\x01h\x02R0", 6, 100000, "N."), CLVGG_ERROR_TOO_LARGE);
}

static void cycles_are_harmless(void **state) {
  (void)state;
  /* l = []; l.append(l); d = {'a': d} */
  assert_int_equal(READ("\x80\x02]q\x00h\x00"
                        "a."),
                   CLVGG_OK);
  assert_ptr_equal(root->as.items.data[0], root);
  assert_int_equal(READ("\x80\x02}q\x00U\x01"
                        "ah\x00s."),
                   CLVGG_OK);
  assert_ptr_equal(pickle_get(root, "a"), root);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers),
      cmocka_unit_test(containers),
      cmocka_unit_test(names_are_refused),
      cmocka_unit_test(damage_is_an_error),
      cmocka_unit_test(deep_nesting_does_not_overflow),
      cmocka_unit_test(limits_end_the_greedy),
      cmocka_unit_test(cycles_are_harmless),
  };
  return cmocka_run_group_tests(tests, NULL, release);
}
