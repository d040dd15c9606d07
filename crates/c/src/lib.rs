//! The engine as a library for C: open a model, ask it, close it. `include/secateur.h` is the header.
//!
//! Every function that can fail says so by its return value, and [`secateur_error`] says why. No panic leaves the library.

use secateur_sparse::Trained;
use secateur_sparse::infer::Predictor;
use std::cell::RefCell;
use std::ffi::{CStr, CString, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// An opened model. Any number of threads may ask it at once.
pub struct SecateurModel(Predictor);

thread_local! {
    static ERROR: RefCell<CString> = RefCell::default();
}

/// Keeps what went wrong for [`secateur_error`].
fn failed(why: &str) {
    let text: Vec<u8> = why.bytes().filter(|byte| *byte != 0).collect();
    ERROR.with(|error| *error.borrow_mut() = CString::new(text).unwrap_or_default());
}

/// What `work` gives; `None` where it fails or panics, which is kept.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Option<T> {
    let found = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("a fault of the library".into()));
    found.map_err(|why| failed(&why)).ok()
}

/// Why the last call of this thread that failed did so: text in UTF-8, which stays until the next one that fails.
#[unsafe(no_mangle)]
pub extern "C" fn secateur_error() -> *const c_char {
    ERROR.with(|error| error.borrow().as_ptr())
}

/// Opens a `.secateur` or an `.onnx` file. `threads` is how many of them answer a call, 0 one for every core. NULL where it fails; what
/// it gives is freed by `secateur_close`.
///
/// # Safety
/// `path` is text that ends in a zero byte, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn secateur_open(path: *const c_char, threads: u32) -> *mut SecateurModel {
    let opened = guarded(|| {
        if path.is_null() {
            return Err("the path is NULL".into());
        }
        // SAFETY: the caller gives text that ends in a zero byte.
        let path = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()));
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let (network, info) = Trained::read(path, &bytes).map_err(|error| error.to_string())?;
        Ok(Box::new(SecateurModel(Predictor::new(network, info.ranges, threads as usize))))
    });
    opened.map_or(std::ptr::null_mut(), Box::into_raw)
}

/// Frees a model; NULL is nothing to free.
///
/// # Safety
/// `model` is what `secateur_open` gave, is not closed yet, and no call on it is going on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn secateur_close(model: *mut SecateurModel) {
    if !model.is_null() {
        // SAFETY: it was a box, and nobody else has it.
        drop(unsafe { Box::from_raw(model) });
    }
}

/// Numbers of an image: channels times rows times columns, or features. 0 for NULL.
///
/// # Safety
/// `model` is NULL, or was opened and not closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn secateur_image_size(model: *const SecateurModel) -> usize {
    // SAFETY: a model that is open, or NULL.
    unsafe { model.as_ref() }.map_or(0, |model| model.0.pixels())
}

/// Writes channels, rows and columns of an image, three numbers; features are `n, 1, 1`.
///
/// # Safety
/// `model` is NULL, or was opened and not closed; `shape` is NULL, or has room for three numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn secateur_input(model: *const SecateurModel, shape: *mut usize) {
    // SAFETY: a model that is open, or NULL.
    if let Some(model) = unsafe { model.as_ref() }
        && !shape.is_null()
    {
        // SAFETY: the caller has room for three numbers.
        unsafe { std::slice::from_raw_parts_mut(shape, 3) }.copy_from_slice(&model.0.network().input());
    }
}

/// Numbers of an answer. 0 for NULL.
///
/// # Safety
/// `model` is NULL, or was opened and not closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn secateur_classes(model: *const SecateurModel) -> usize {
    // SAFETY: a model that is open, or NULL.
    unsafe { model.as_ref() }.map_or(0, |model| model.0.network().classes())
}

/// Answers `count` images, one behind the other, each channel by channel and row by row: writes `count` times as many logits as there
/// are classes. 0 where it went well, and 1 where it failed.
///
/// # Safety
/// `model` is NULL, or was opened and not closed; `images` and `logits` are NULL, or have so many numbers, and do not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn secateur_predict(
    model: *const SecateurModel,
    images: *const f32,
    count: usize,
    logits: *mut f32,
) -> i32 {
    let done = guarded(|| {
        // SAFETY: a model that is open, or NULL.
        let model = unsafe { model.as_ref() }.ok_or("the model is NULL")?;
        if images.is_null() || logits.is_null() {
            return Err("images or logits are NULL".into());
        }
        let [pixels, classes] = [model.0.pixels(), model.0.network().classes()].map(|size| count.checked_mul(size));
        let most = isize::MAX as usize / size_of::<f32>();
        let (Some(pixels), Some(classes)) = (pixels.filter(|own| *own <= most), classes.filter(|own| *own <= most))
        else {
            return Err(format!("{count} images are more than fit into memory"));
        };
        if count == 0 {
            return Ok(());
        }
        // SAFETY: the caller gives so many numbers.
        let found =
            model.0.logits(unsafe { std::slice::from_raw_parts(images, pixels) }).map_err(|error| error.to_string())?;
        // SAFETY: and has room for so many.
        unsafe { std::slice::from_raw_parts_mut(logits, classes) }.copy_from_slice(&found);
        Ok(())
    });
    i32::from(done.is_none())
}
