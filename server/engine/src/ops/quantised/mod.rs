//! Frozen weights in blocks of few bits, multiplied with rows that are rounded to eight bits on the fly.
//!
//! The blocks are those of GGUF files. [`layout`] says how they lie in memory, which [`lines`] gets, [`read`]
//! takes them out of a file's bytes, [`activations`] rounds the rows, [`amx`], [`vnni`], [`avx2`] and
//! [`portable`] are the same product for processors with AMX, with AVX-512 VNNI, with AVX2 and for all others,
//! of which [`kernel`] takes one, and [`linear`] makes a tensor operation of it.
//!
//! **Invariant:** a row's result depends on nothing but the row: neither on its company nor on how many
//! threads compute. Sums over whole numbers are exact, and blocks are added in order.

mod activations;
#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
mod kernel;
mod layout;
mod linear;
mod lines;
mod portable;
mod read;
#[cfg(target_arch = "x86_64")]
mod vnni;

#[cfg(test)]
mod tests;

pub use self::{
    kernel::Kernel,
    layout::{Format, QuantisedMatrix},
    linear::{linear, linear_add, linear_by},
};
