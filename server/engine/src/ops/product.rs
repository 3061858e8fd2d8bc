//! Matrix products on slices: the one place that calls the GEMM library.

use gemm::Parallelism;

/// A matrix inside a slice. Element (i, j) is at `i * row_stride + j * column_stride`.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` values, `stride` apart.
    pub fn new(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        check(data.len(), rows, columns, stride);
        Self { data, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// The transposed matrix, without moving anything.
    pub fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// A writable matrix of adjacent values in rows `stride` apart.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    columns: usize,
    stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// Rows of `columns` values, `stride` apart.
    pub fn new(data: &'a mut [f32], rows: usize, columns: usize, stride: usize) -> Self {
        check(data.len(), rows, columns, stride);
        Self { data, rows, columns, stride }
    }
}

fn check(len: usize, rows: usize, columns: usize, stride: usize) {
    assert!(columns <= stride || rows <= 1, "rows of {columns} overlap at stride {stride}");
    let needed = if rows == 0 { 0 } else { (rows - 1) * stride + columns };
    assert!(needed <= len, "a {rows} x {columns} matrix needs {needed} values, got {len}");
}

/// Whether the product may use the thread pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// The calling thread only: for callers that are parallel themselves.
    One,
    /// The whole pool.
    Pool,
}

/// `dst = a · b`, or `dst += a · b` where `add` is set.
pub fn product(dst: MatrixMut<'_>, a: Matrix<'_>, b: Matrix<'_>, add: bool, threads: Threads) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    assert_eq!((dst.rows, dst.columns, b.rows), (m, n, k), "shapes of a product");
    let parallelism = match threads {
        Threads::One => Parallelism::None,
        Threads::Pool => Parallelism::Rayon(0),
    };
    #[expect(unsafe_code, reason = "the GEMM library takes pointers")]
    // SAFETY: the constructors checked that every element of the three matrices lies inside its
    // slice, the shapes agree, and `dst` is borrowed mutably, so it overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.data.as_mut_ptr(),
            1,
            dst.stride as isize,
            add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}
