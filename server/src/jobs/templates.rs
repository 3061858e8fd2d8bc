//! Sets of prompt templates that this process knows: the built-in one and those of a folder.

use std::fs;
use std::path::Path;

use app::api::TemplateInfo;
use domain::method::MethodRequest;
use domain::prompt::PromptTemplates;

use super::JobError;

/// All known sets; the built-in one is always there.
#[derive(Debug, Clone)]
pub struct TemplateSets(Vec<PromptTemplates>);

impl Default for TemplateSets {
    fn default() -> Self {
        Self(vec![PromptTemplates::builtin().clone()])
    }
}

impl TemplateSets {
    /// The built-in set and every `*.toml` of `folder`, if one is given.
    ///
    /// # Errors
    /// [`JobError::BadFile`] for a file that is no set, or that repeats another's id and version.
    pub fn read(folder: Option<&Path>) -> Result<Self, JobError> {
        let mut sets = Self::default();
        let Some(folder) = folder else { return Ok(sets) };
        let unreadable = |error: std::io::Error| JobError::BadFile {
            path: folder.to_owned(),
            rule: format!("can't be read: {error}"),
            hint: "Give a folder of template files with `--templates DIR`.".to_owned(),
        };
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            files.push(entry.map_err(unreadable)?.path());
        }
        files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
        for file in files {
            let bad = |text: String| {
                let (rule, hint) = text.split_once('\n').unwrap_or((&text, ""));
                let (rule, hint) = (rule.to_owned(), hint.to_owned());
                JobError::BadFile { path: file.clone(), rule, hint }
            };
            let text = fs::read_to_string(&file).map_err(|e| bad(format!("can't be read: {e}")))?;
            let set = PromptTemplates::parse(&text).map_err(|error| bad(error.to_string()))?;
            if sets.find(set.id(), Some(set.version())).is_some() {
                let (id, version) = (set.id(), set.version());
                return Err(bad(format!(
                    "the set `{id}` has version {version} already\nGive it another id or version."
                )));
            }
            sets.0.push(set);
        }
        Ok(sets)
    }

    /// All sets, the built-in one first.
    pub fn list(&self) -> Vec<TemplateInfo> {
        let info = |set: &PromptTemplates| TemplateInfo {
            id: set.id().to_owned(),
            version: set.version(),
            language: set.language().to_owned(),
            hash: set.hash().chars().take(12).collect(),
        };
        self.0.iter().map(info).collect()
    }

    /// The set that `name` means: an id, whose newest version is taken, or `id@version`. `None`
    /// means the built-in one.
    ///
    /// # Errors
    /// A refusal that lists the known sets.
    pub fn get(&self, name: Option<&str>) -> Result<&PromptTemplates, JobError> {
        let Some(name) = name else { return Ok(PromptTemplates::builtin()) };
        let found = match name.split_once('@') {
            Some((id, version)) => version.parse().ok().and_then(|v| self.find(id, Some(v))),
            None => self.find(name, None),
        };
        found.ok_or_else(|| {
            let known: Vec<String> =
                self.0.iter().map(|set| format!("`{}@{}`", set.id(), set.version())).collect();
            JobError::refused(
                format!("there is no set of prompt templates `{name}`"),
                format!("Known: {}. `--templates DIR` adds a folder.", known.join(", ")),
            )
        })
    }

    /// The request with the whole set that it names; one that names none stays as it is.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn resolve(&self, request: MethodRequest) -> Result<MethodRequest, JobError> {
        let Some(name) = request.prompts.as_deref() else { return Ok(request) };
        let templates = Some(self.get(Some(name))?.clone());
        Ok(MethodRequest { templates, prompts: None, ..request })
    }

    fn find(&self, id: &str, version: Option<u32>) -> Option<&PromptTemplates> {
        let fits = |set: &&PromptTemplates| {
            set.id() == id && version.is_none_or(|version| set.version() == version)
        };
        self.0.iter().filter(fits).max_by_key(|set| set.version())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str = include_str!("../../../domain/prompts/english.toml");

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_adds_sets_and_the_newest_version_is_meant() {
        let newer = ENGLISH.replace("version = 1", "version = 2");
        let thai = ENGLISH.replace("id = \"english\"", "id = \"thai\"").replace("eng\"", "tha\"");
        let folder = folder(&[("a.toml", &newer), ("b.toml", &thai), ("readme.txt", "no set")]);
        let sets = TemplateSets::read(Some(folder.path())).unwrap();
        assert_eq!(sets.get(None).unwrap(), PromptTemplates::builtin());
        assert_eq!(sets.get(Some("english")).unwrap().version(), 2);
        assert_eq!(sets.get(Some("english@1")).unwrap(), PromptTemplates::builtin());
        assert_eq!(sets.get(Some("thai")).unwrap().language(), "tha");
        let listed: Vec<_> = sets.list().into_iter().map(|set| (set.id, set.version)).collect();
        let expect = [("english", 1), ("english", 2), ("thai", 1)];
        assert_eq!(listed, expect.map(|(id, version)| (id.to_owned(), version)));
        for unknown in ["french", "english@3", "english@x"] {
            let error = sets.get(Some(unknown)).unwrap_err().to_string();
            assert!(error.contains(unknown) && error.contains("`thai@1`"), "{error}");
        }
    }

    #[test]
    fn a_bad_file_is_named_with_the_field() {
        let unknown = ENGLISH.replace("{{demonym}}", "{{nation}}");
        for (text, expect) in [
            (unknown.as_str(), "`{{nation}}`"),
            (ENGLISH, "version 1 already"),
            ("[", "can't be read"),
        ] {
            let folder = folder(&[("mine.toml", text)]);
            let error = TemplateSets::read(Some(folder.path())).unwrap_err().to_string();
            assert!(error.contains("mine.toml") && error.contains(expect), "{error}");
        }
        assert!(TemplateSets::read(Some(Path::new("/nowhere/at/all"))).is_err());
    }
}
