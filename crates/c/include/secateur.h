// Secateur's inference engine for C: trained and pruned networks on the CPU. Made by cbindgen from crates/c/src/lib.rs.

#ifndef SECATEUR_H
#define SECATEUR_H

#include <stddef.h>
#include <stdint.h>

// An opened model. Any number of threads may ask it at once.
typedef struct SecateurModel SecateurModel;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Why the last call of this thread that failed did so: text in UTF-8, which stays until the next one that fails.
const char *secateur_error(void);

// Opens a `.secateur` or an `.onnx` file. `threads` is how many of them answer a call, 0 one for every core. NULL where it fails; what
// it gives is freed by `secateur_close`.
//
// # Safety
// `path` is text that ends in a zero byte, or NULL.
SecateurModel *secateur_open(const char *path,
                             uint32_t threads);

// Frees a model; NULL is nothing to free.
//
// # Safety
// `model` is what `secateur_open` gave, is not closed yet, and no call on it is going on.
void secateur_close(SecateurModel *model);

// Numbers of an image: channels times rows times columns, or features. 0 for NULL.
//
// # Safety
// `model` is NULL, or was opened and not closed.
size_t secateur_image_size(const SecateurModel *model);

// Writes channels, rows and columns of an image, three numbers; features are `n, 1, 1`.
//
// # Safety
// `model` is NULL, or was opened and not closed; `shape` is NULL, or has room for three numbers.
void secateur_input(const SecateurModel *model, size_t *shape);

// Numbers of an answer. 0 for NULL.
//
// # Safety
// `model` is NULL, or was opened and not closed.
size_t secateur_classes(const SecateurModel *model);

// Answers `count` images, one behind the other, each channel by channel and row by row: writes `count` times as many logits as there
// are classes. 0 where it went well, and 1 where it failed.
//
// # Safety
// `model` is NULL, or was opened and not closed; `images` and `logits` are NULL, or have so many numbers, and do not overlap.
int32_t secateur_predict(const SecateurModel *model,
                         const float *images,
                         size_t count,
                         float *logits);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SECATEUR_H */
