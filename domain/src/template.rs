//! All prompt templates under the names of their files: what a run's manifest takes the hash of.
//! How they are filled in is in [`crate::prompt`] and [`crate::generation`].

/// File name and text of every template in `domain/prompts`, by name.
pub const TEMPLATES: [(&str, &str); 4] = [
    ("aware.txt", include_str!("../prompts/aware.txt")),
    ("generate.txt", include_str!("../prompts/generate.txt")),
    ("question.txt", include_str!("../prompts/question.txt")),
    ("unaware.txt", include_str!("../prompts/unaware.txt")),
];

#[cfg(test)]
mod tests {
    use super::TEMPLATES;

    #[test]
    fn no_template_is_left_out() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/prompts");
        let files = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, TEMPLATES.map(|(name, _)| name.to_owned()), "a manifest must hash it");
    }
}
