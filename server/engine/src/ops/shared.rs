//! A matrix that several tasks write at a time, each its own columns.

use std::marker::PhantomData;
use std::ops::Range;

/// Rows of a writable slice, lent column by column.
#[derive(Debug)]
pub struct Columns<'a> {
    data: *mut f32,
    rows: usize,
    width: usize,
    borrowed: PhantomData<&'a mut [f32]>,
}

#[expect(unsafe_code, reason = "the pointer goes to the tasks of one product")]
// SAFETY: nothing but `row` reaches the values, and who calls it keeps the tasks apart.
unsafe impl Sync for Columns<'_> {}

impl<'a> Columns<'a> {
    /// Rows of `width` values.
    pub fn new(data: &'a mut [f32], width: usize) -> Self {
        assert!(data.len().is_multiple_of(width), "whole rows of {width}");
        let rows = data.len() / width;
        Self { data: data.as_mut_ptr(), rows, width, borrowed: PhantomData }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Some columns of one row.
    ///
    /// # Safety
    /// Nobody else may have a slice of any of them.
    #[expect(unsafe_code, reason = "tasks write columns of the same rows")]
    #[expect(clippy::mut_from_ref, reason = "the caller keeps the slices apart")]
    pub unsafe fn row(&self, row: usize, columns: Range<usize>) -> &mut [f32] {
        assert!(
            row < self.rows && columns.start <= columns.end && columns.end <= self.width,
            "columns of the matrix"
        );
        // SAFETY: row and columns are inside of the slice, which is borrowed as long as `self`; that no
        // other slice reaches these values is the caller's promise.
        unsafe {
            let from = self.data.add(row * self.width + columns.start);
            std::slice::from_raw_parts_mut(from, columns.len())
        }
    }
}
