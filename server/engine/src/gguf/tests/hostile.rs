//! Headers that were made to do harm: nothing panics, and no memory is taken for what isn't there.

use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::gguf::header::{Fault, read};

/// The bytes of a header, piece by piece.
#[derive(Clone)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn start(tensors: u64, values: u64) -> Self {
        Self(b"GGUF\x03\0\0\0".to_vec()).long(tensors).long(values)
    }

    fn word(mut self, number: u32) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn long(mut self, number: u64) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn text(self, text: &str) -> Self {
        let mut bytes = self.long(text.len() as u64);
        bytes.0.extend(text.as_bytes());
        bytes
    }

    /// A tensor of the given widths (columns first), type and offset.
    fn tensor(self, widths: &[u64], kind: u32, offset: u64) -> Self {
        let bytes = self.text("t").word(widths.len() as u32);
        widths.iter().fold(bytes, |bytes, width| bytes.long(*width)).word(kind).long(offset)
    }

    fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    fn space(mut self, count: usize) -> Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }
}

#[test]
fn a_sound_header_is_read() {
    let bytes = Bytes::start(1, 2).text("general.alignment").word(4).word(64);
    let bytes = bytes.text("list").word(9).word(8).long(2).text("a").text("bc");
    let header = read(&bytes.tensor(&[32, 2], 8, 64).space(300).0).unwrap();
    let info = &header.tensors["t"];
    assert_eq!((info.shape.as_slice(), info.dtype), ([2, 32].as_slice(), GgmlDType::Q8_0));
    assert_eq!((info.bytes.len(), info.bytes.start % 64), (68, 0));
    assert_eq!(header.values.len(), 2);
}

#[test]
fn every_lie_is_a_fault_of_the_file() {
    let one = || Bytes::start(1, 0);
    let value = || Bytes::start(0, 1).text("key");
    let huge = u64::MAX;
    for (bytes, said) in [
        (Bytes(vec![]), "it is cut off"),
        (Bytes(b"GGUF".to_vec()), "it is cut off"),
        (Bytes(b"GGML\x03\0\0\0".to_vec()), "it isn't a GGUF file"),
        (Bytes::start(0, huge), "it is cut off"),
        (Bytes::start(huge, 0), "it is cut off"),
        (Bytes::start(0, 1).long(huge), "it is cut off: its header needs 18446744073709551615"),
        (Bytes::start(0, 1).text(&"k".repeat(65_536)), "has 65536 bytes, and may have at most"),
        (Bytes::start(0, 1).long(1).byte(255), "isn't UTF-8"),
        (value().word(13), "`key` has a value of the unknown type 13"),
        (value().word(8).long(1 << 40), "needs 1099511627776 bytes"),
        (value().word(9).word(10).long(huge / 4), "`key` has 4611686018427387903 values"),
        (value().word(9).word(4).long(1 << 33).space(900), "needs 34359738368 bytes"),
        (value().word(9).word(8).long(1 << 33).space(900), "it is cut off"),
        (value().word(9).word(9).long(1).word(4).long(0), "`key` is an array of arrays"),
        (Bytes::start(0, 2).text("k").word(7).space(1).text("k").word(7).space(1), "`k` twice"),
        (one().tensor(&[], 0, 0), "must have 1 to 4 dimensions, not 0"),
        (one().tensor(&[1; 5], 0, 0), "must have 1 to 4 dimensions, not 5"),
        (one().text("t").word(u32::MAX), "not 4294967295"),
        (one().tensor(&[32, 0], 0, 0), "the impossible shape [0, 32]"),
        (one().tensor(&[1 << 40, 1 << 40], 0, 0), "the impossible shape"),
        (one().tensor(&[1 << 62], 0, 0), "the impossible shape"),
        (one().tensor(&[40, 2], 8, 0), "rows of 40 numbers, which must be a multiple of the 32"),
        (one().tensor(&[1 << 20, 2560], 0, 0).space(1000), "tensor `t` has 10737418240 bytes at 0"),
        (one().tensor(&[8], 0, huge - 31).space(100), "it is cut off: tensor `t`"),
        (one().tensor(&[8], 0, 4).space(100), "begins at 4, which must be a multiple of 32"),
        (
            Bytes::start(2, 0).tensor(&[8], 0, 0).tensor(&[8], 0, 0).space(99),
            "two tensors of the name `t`",
        ),
    ] {
        match read(&bytes.0) {
            Err(Fault::Broken(reason)) => assert!(reason.contains(said), "{said}: {reason}"),
            other => panic!("{said}: {other:?}"),
        }
    }
}

#[test]
fn alignments_that_numbers_could_not_be_read_at_are_refused() {
    for (kind, alignment) in [(4, 0), (4, 7), (4, 12), (4, 1 << 20), (6, 32)] {
        let bytes = Bytes::start(0, 1).text("general.alignment").word(kind).word(alignment);
        let fault = read(&bytes.0).unwrap_err();
        let said = "`general.alignment` must be a multiple of 8 up to 65536";
        assert!(matches!(&fault, Fault::Broken(reason) if reason.contains(said)), "{fault:?}");
    }
}

#[test]
fn what_is_not_supported_is_told_with_a_way_out() {
    let version = |number: u32| Bytes(b"GGUF".to_vec()).word(number).space(16);
    for (bytes, said) in [
        (version(1), "the version 1 of GGUF"),
        (version(0x0300_0000), "little-endian"),
        (
            Bytes::start(1, 0).tensor(&[256], 17, 0),
            "tensor `t` is stored as IQ2_XS, and must be F32",
        ),
        (Bytes::start(1, 0).tensor(&[256], 77, 0), "the unknown type 77"),
    ] {
        match read(&bytes.0) {
            Err(Fault::Unsupported(reason)) => {
                assert!(reason.contains(said) && reason.lines().count() == 2, "{reason}");
            }
            other => panic!("{said}: {other:?}"),
        }
    }
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let whole = fs::read(fixture("llama-3.gguf")).unwrap();
    let header = read(&whole).unwrap();
    let end = header.tensors.values().map(|info| info.bytes.end).max().unwrap();
    let first = header.tensors.values().map(|info| info.bytes.start).min().unwrap();
    assert!(read(&whole[..end]).is_ok());
    for length in (0..first).step_by(7).chain((first..end).step_by(1001)).chain([end - 1]) {
        let fault = read(&whole[..length]).unwrap_err();
        assert!(matches!(&fault, Fault::Broken(reason) if reason.contains("cut off")), "{fault:?}");
    }
}

proptest! {
    /// Changed bytes in the header make another model, or an error with a way out.
    #[test]
    fn changed_bytes_never_panic(
        changes in prop::collection::vec((0usize..9_000, any::<u8>()), 1..5),
        small in any::<bool>(),
    ) {
        let name = if small { "llama-3.gguf" } else { "mistral.gguf" };
        let mut bytes = fs::read(fixture(name)).unwrap();
        for (place, byte) in changes {
            // Counts and lengths are mostly zeros, so that small changes become large numbers.
            bytes[place] ^= byte;
        }
        let mut file = tempfile::Builder::new().suffix(".gguf").tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        if let Err(error) = load(file.path().to_owned()) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
