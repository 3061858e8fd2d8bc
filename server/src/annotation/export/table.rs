//! Tables as Parquet files: named columns of a few types, written as one row group.

use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

/// The values of a column, one per row; `None` is null, an empty list is empty.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Texts.
    Text(Vec<Option<String>>),
    /// Whole numbers.
    Number(Vec<Option<i64>>),
    /// Milliseconds since 1970 (UTC).
    Time(Vec<Option<i64>>),
    /// Lists of texts.
    Texts(Vec<Vec<String>>),
    /// Lists of numbers.
    Shares(Vec<Vec<f64>>),
}

/// A named column with what it holds, in a sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub meaning: &'static str,
    /// Its values.
    pub values: Values,
}

impl Column {
    /// A column.
    pub fn new(name: &'static str, meaning: &'static str, values: Values) -> Self {
        Self { name, meaning, values }
    }

    /// The column as a line of a Parquet schema.
    fn schema(&self) -> String {
        let name = self.name;
        let list = |element: &str| {
            format!(
                "REQUIRED GROUP {name} (LIST) {{ REPEATED GROUP list {{ REQUIRED {element}; }} }}"
            )
        };
        match &self.values {
            Values::Text(_) => format!("OPTIONAL BINARY {name} (STRING);"),
            Values::Number(_) => format!("OPTIONAL INT64 {name};"),
            Values::Time(_) => format!("OPTIONAL INT64 {name} (TIMESTAMP(MILLIS,true));"),
            Values::Texts(_) => list("BINARY element (STRING)"),
            Values::Shares(_) => list("DOUBLE element"),
        }
    }

    fn write(&self, writer: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let text = |text: &String| ByteArray::from(text.as_str());
        match &self.values {
            Values::Text(values) => optional::<ByteArrayType, _>(writer, values, text),
            Values::Number(values) | Values::Time(values) => {
                optional::<Int64Type, _>(writer, values, |number| *number)
            }
            Values::Texts(lists) => repeated::<ByteArrayType, _>(writer, lists, text),
            Values::Shares(lists) => repeated::<DoubleType, _>(writer, lists, |share| *share),
        }
    }
}

/// Writes values of which some are null: a definition level of 1 stands for a value, 0 for none.
fn optional<T: DataType, V>(
    writer: &mut SerializedColumnWriter<'_>,
    values: &[Option<V>],
    as_stored: impl Fn(&V) -> T::T,
) -> Result<(), ParquetError> {
    let defined: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let stored: Vec<T::T> = values.iter().flatten().map(as_stored).collect();
    writer.typed::<T>().write_batch(&stored, Some(&defined), None).map(drop)
}

/// Writes lists: a repetition level of 0 begins a row, a definition level of 0 is an empty one.
fn repeated<T: DataType, V>(
    writer: &mut SerializedColumnWriter<'_>,
    lists: &[Vec<V>],
    as_stored: impl Fn(&V) -> T::T,
) -> Result<(), ParquetError> {
    let (mut defined, mut begun) = (Vec::new(), Vec::new());
    for list in lists {
        defined.extend(std::iter::repeat_n(i16::from(!list.is_empty()), list.len().max(1)));
        begun.extend((0..list.len().max(1)).map(|place| i16::from(place > 0)));
    }
    let stored: Vec<T::T> = lists.iter().flatten().map(as_stored).collect();
    writer.typed::<T>().write_batch(&stored, Some(&defined), Some(&begun)).map(drop)
}

/// The table as a Parquet file. All columns have the same length.
///
/// # Errors
/// What the format can't hold.
pub fn parquet(columns: &[Column]) -> Result<Vec<u8>, ParquetError> {
    let lines: Vec<String> = columns.iter().map(Column::schema).collect();
    let schema = Arc::new(parse_message_type(&format!("message table {{ {} }}", lines.join(" ")))?);
    let properties = WriterProperties::builder().set_created_by("polylogue".to_owned()).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut rows = writer.next_row_group()?;
    for column in columns {
        if let Some(mut writer) = rows.next_column()? {
            column.write(&mut writer)?;
            writer.close()?;
        }
    }
    rows.close()?;
    writer.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;

    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    fn columns() -> Vec<Column> {
        let text = |text: &str| Some(text.to_owned());
        vec![
            Column::new("text", "", Values::Text(vec![text("=1+1"), None, text("ไทย")])),
            Column::new("number", "", Values::Number(vec![None, Some(-7), Some(i64::MAX)])),
            Column::new("time", "", Values::Time(vec![Some(0), Some(1_700_000_000_123), None])),
            Column::new(
                "texts",
                "",
                Values::Texts(vec![
                    vec![],
                    vec!["a".to_owned(), String::new()],
                    vec!["b".to_owned()],
                ]),
            ),
            Column::new("shares", "", Values::Shares(vec![vec![0.25, 0.75], vec![], vec![1.0]])),
        ]
    }

    fn read(columns: &[Column]) -> SerializedFileReader<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&parquet(columns).unwrap()).unwrap();
        SerializedFileReader::new(file).unwrap()
    }

    #[test]
    fn a_table_is_read_back() {
        let rows = read(&columns());
        let rows: Vec<_> = rows.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        let shown: Vec<String> = rows.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        {text: "=1+1", number: null, time: 1970-01-01 00:00:00.000 +00:00, texts: [], shares: [0.25, 0.75]}
        {text: null, number: -7, time: 2023-11-14 22:13:20.123 +00:00, texts: ["a", ""], shares: []}
        {text: "ไทย", number: 9223372036854775807, time: null, texts: ["b"], shares: [1.0]}
        "#);
        let time = rows[1].get_column_iter().find(|(name, _)| *name == "time").unwrap().1;
        assert_eq!(*time, Field::TimestampMillis(1_700_000_000_123));
    }

    #[test]
    fn a_table_without_rows_has_its_columns() {
        let reader = read(&[Column::new("a", "", Values::Text(vec![]))]);
        let file = reader.metadata().file_metadata();
        assert_eq!((file.num_rows(), file.schema().get_fields()[0].name()), (0, "a"));
    }
}
