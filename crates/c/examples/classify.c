// Answers images of f32 numbers from a file with the class of each: classify MODEL IMAGES
#include <stdio.h>
#include <stdlib.h>

#include "secateur.h"

int main(int count, char **words) {
    if (count != 3) {
        fprintf(stderr, "usage: classify MODEL IMAGES\n");
        return 2;
    }
    SecateurModel *model = secateur_open(words[1], 0);
    if (!model) {
        fprintf(stderr, "error: %s\n", secateur_error());
        return 1;
    }
    size_t size = secateur_image_size(model), classes = secateur_classes(model), shape[3];
    secateur_input(model, shape);
    fprintf(stderr, "images of %zu x %zu x %zu, %zu classes\n", shape[0], shape[1], shape[2], classes);
    float *image = malloc(size * sizeof *image), *logits = malloc(classes * sizeof *logits);
    FILE *file = fopen(words[2], "rb");
    if (!image || !logits || !file) {
        fprintf(stderr, "error: %s: cannot be read\n", words[2]);
        return 1;
    }
    while (fread(image, sizeof *image, size, file) == size) {
        if (secateur_predict(model, image, 1, logits)) {
            fprintf(stderr, "error: %s\n", secateur_error());
            return 1;
        }
        size_t top = 0;
        for (size_t class = 1; class < classes; class++)
            if (logits[class] > logits[top]) top = class;
        printf("%zu %.6f\n", top, logits[top]);
    }
    fclose(file);
    free(image);
    free(logits);
    secateur_close(model);
    return 0;
}
