/* Classifies one image with libclvgg: the smallest whole program. Build it with
 *
 *     cc classify.c -o classify $(pkg-config --cflags --libs clvgg)
 *
 * and run `./classify photo.jpg [MODEL]`. MODEL is a checkpoint; without it, the bundled CIFAR-10 model answers. */
#include <clvgg/clvgg.h>
#include <stdio.h>
#include <stdlib.h>

#define TOP 5

int main(int argc, char **argv) {
  if (argc < 2 || argc > 3) {
    fprintf(stderr, "usage: %s IMAGE [MODEL]\n", argv[0]);
    return 2;
  }
  clvgg_device *device = NULL;
  clvgg_model *model = NULL;
  clvgg_engine *engine = NULL;
  float *image = NULL, *logits = NULL;
  int code = 1;

  /* NULL: the environment's CLVGG_DEVICE, else the best device. */
  if (clvgg_device_open(NULL, &device)) goto fail;
  if (clvgg_model_open(argc > 2 ? argv[2] : NULL, NULL, &model)) goto fail;

  /* The engine compiles kernels and uploads weights; from then on it no longer needs our device and model. */
  if (clvgg_engine_open(device, model, NULL, &engine)) goto fail;

  /* The model knows how its images are to be resized, cropped and normalised. */
  clvgg_model_info info;
  clvgg_model_get_info(model, &info);
  image = calloc(info.channels * info.height * info.width, sizeof *image); /* (C, H, W) */
  logits = calloc(info.classes, sizeof *logits);
  if (!image || !logits) {
    fprintf(stderr, "out of memory\n");
    goto done;
  }
  if (clvgg_image_load(argv[1], &info.preprocess, image)) goto fail;
  if (clvgg_engine_run(engine, image, 1, logits)) goto fail;

  size_t index[TOP];
  float probability[TOP];
  size_t count = clvgg_top_k(logits, info.classes, TOP, index, probability);
  for (size_t i = 0; i < count; i++)
    printf("%6.2f %%  %s\n", 100.0 * (double)probability[i], clvgg_model_class_name(model, index[i]));
  code = 0;
  goto done;

fail:
  fprintf(stderr, "%s\n", clvgg_last_error());
done:
  free(logits);
  free(image);
  clvgg_engine_close(&engine);
  clvgg_model_close(&model);
  clvgg_device_close(&device);
  return code;
}
