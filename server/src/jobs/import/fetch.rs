//! A file from the web, for the command line only: a server that fetches what visitors name would
//! reach places that they can't.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::rules::slug;
use crate::jobs::JobError;

/// Largest file that is imported, in bytes.
pub const LARGEST: u64 = 256 * 1024 * 1024;

/// Longest wait for the whole file.
const PATIENCE: Duration = Duration::from_secs(600);

/// Whether `source` is an address rather than a path.
pub fn is_address(source: &str) -> bool {
    source.starts_with("https://") || source.starts_with("http://")
}

/// Fetches `address` into a folder of its own, which goes away with the returned guard.
///
/// # Errors
/// [`JobError::BadFile`] naming the address.
pub fn fetch(address: &str) -> Result<(TempDir, PathBuf), JobError> {
    let bad = |rule: String| JobError::BadFile {
        path: address.into(),
        rule,
        hint: "Open the address in a browser and import the saved file.".to_owned(),
    };
    let name = address.split(['?', '#']).next().unwrap_or_default().rsplit('/').next();
    let (stem, extension) = name.unwrap_or_default().rsplit_once('.').unwrap_or_default();
    if !["csv", "jsonl"].contains(&extension) {
        return Err(bad("must end in a file's name with `.csv` or `.jsonl`".to_owned()));
    }
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
    let mut response =
        agent.get(address).call().map_err(|error| bad(format!("can't be fetched: {error}")))?;
    let folder = tempfile::tempdir().map_err(|error| bad(format!("can't be kept: {error}")))?;
    let path = folder.path().join(format!("{}.{extension}", slug(stem)));
    let body = response.body_mut().with_config().limit(LARGEST + 1).reader();
    let copied =
        File::create(&path).and_then(|mut file| io::copy(&mut body.take(LARGEST + 1), &mut file));
    match copied {
        Ok(bytes) if bytes > LARGEST => {
            Err(bad(format!("is larger than {} MB", LARGEST / 1024 / 1024)))
        }
        Ok(_) => Ok((folder, path)),
        Err(error) => Err(bad(format!("broke off: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    /// An address that answers one request with `answer`, byte for byte.
    fn answering(answer: &'static str, path: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/{path}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn a_file_is_fetched_under_its_own_name() {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\na,b\n1\n";
        let address = answering(answer, "data/My%20Survey.csv?download=1#top");
        assert!(is_address(&address) && !is_address("survey.csv"));
        let (_folder, path) = fetch(&address).unwrap();
        assert_eq!(path.file_name().unwrap(), "my-20survey.csv");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "a,b\n1\n");
    }

    #[test]
    fn what_cannot_be_fetched_is_named() {
        let missing = answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "x.csv");
        let short = "HTTP/1.1 200 OK\r\nContent-Length: 60\r\nConnection: close\r\n\r\na,b\n";
        for (address, expect) in [
            (missing, "404"),
            (answering(short, "x.csv"), "broke off"),
            ("http://127.0.0.1:9/survey".to_owned(), "must end in a file's name"),
        ] {
            let error = fetch(&address).unwrap_err().to_string();
            assert!(error.contains(&address) && error.contains(expect), "{error}");
            assert!(error.contains("in a browser"), "{error}");
        }
    }
}
