//! Several files as one zip file.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::unwritable;
use crate::annotation::RoomError;

/// The named files, not compressed: the same content gives the same bytes.
///
/// # Errors
/// [`RoomError::Refused`] where the format can't hold them.
pub fn zip(files: &[(&str, Vec<u8>)]) -> Result<Vec<u8>, RoomError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in files {
        zip.start_file(*name, options).map_err(unwritable)?;
        zip.write_all(content).map_err(unwritable)?;
    }
    Ok(zip.finish().map_err(unwritable)?.into_inner())
}
