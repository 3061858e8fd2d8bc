//! `--preset quick | paper | FILE.toml`: settings that are named together.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use domain::method::{MethodRequest, Preset, USUAL_SURVEY};

use crate::jobs::JobError;
use crate::store::Store;

/// Where settings come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PresetChoice {
    /// From Polylogue.
    BuiltIn(Preset),
    /// From a file of the user.
    File(PathBuf),
}

impl FromStr for PresetChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(preset) = Preset::ALL.into_iter().find(|preset| preset.as_str() == text) {
            return Ok(Self::BuiltIn(preset));
        }
        match text.ends_with(".toml") {
            true => Ok(Self::File(text.into())),
            false => Err(format!(
                "`{text}` is no preset: use `quick`, `paper`, or a file whose name ends in `.toml`"
            )),
        }
    }
}

impl PresetChoice {
    /// `own` settings, and the preset's where there are none.
    ///
    /// # Errors
    /// A file that can't be read or has a key that isn't a setting; an unknown survey.
    pub async fn complete(
        self,
        own: MethodRequest,
        store: &Store,
    ) -> Result<MethodRequest, Box<dyn Error>> {
        match self {
            Self::File(path) => Ok(own.or(read(&path)?)),
            Self::BuiltIn(preset) => {
                let survey = store.survey(own.survey.as_deref().unwrap_or(USUAL_SURVEY)).await?;
                let all: Vec<_> = survey.cultures.iter().map(|culture| culture.code).collect();
                let preset = preset.request(own.cultures.as_deref().unwrap_or(&all));
                Ok(own.or(preset))
            }
        }
    }
}

fn read(path: &Path) -> Result<MethodRequest, JobError> {
    let bad = |rule: String, hint: &str| JobError::BadFile {
        path: path.to_owned(),
        rule,
        hint: hint.to_owned(),
    };
    let text = fs::read_to_string(path)
        .map_err(|error| bad(error.to_string(), "Check that the file exists and may be read."))?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
        let place = line.map_or(String::new(), |line| format!("line {line}: "));
        let rule = format!("{place}{}", error.message().trim());
        bad(
            rule,
            "A preset has lines such as `per_topic = 16` and `cultures = [\"THA\", \"KEN\"]`.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_files_are_told_apart() {
        let choice = |text: &str| text.parse::<PresetChoice>();
        assert_eq!(choice("paper"), Ok(PresetChoice::BuiltIn(Preset::Paper)));
        assert_eq!(choice("my.toml"), Ok(PresetChoice::File("my.toml".into())));
        assert!(choice("fast").unwrap_err().contains("`fast`"));
    }

    #[test]
    fn a_file_is_read_and_its_faults_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        let parsed = |text: &str| {
            fs::write(&path, text).unwrap();
            read(&path).map_err(|error| error.to_string())
        };
        let text =
            "per_topic = 3\ncultures = [\"THA\"]\nadapters = [\"joint\"]\nlearning_rate = 1e-3\n";
        let mine = parsed(text).unwrap();
        assert_eq!((mine.per_topic, mine.learning_rate, mine.seed), (Some(3), Some(1e-3), None));
        assert_eq!(mine.adapters, Some(vec!["joint".parse().unwrap()]));
        for (text, names) in [
            ("per_topic = 3\nper_topics = 4\n", ["line 2", "`per_topics`"]),
            ("cultures = [\"tha\"]\n", ["line 1", "`tha`"]),
            ("epochs = \"many\"\n", ["line 1", "many"]),
            ("epochs = \n", ["line 1", "mine.toml"]),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(names.iter().all(|name| error.contains(name)), "{error}");
            assert!(error.contains('\n'), "{error} has no way out");
        }
        fs::remove_file(&path).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("mine.toml"));
    }
}
