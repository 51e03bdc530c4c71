//! The master key: 32 bytes in base64, from the environment or a file. It is never logged and never in a flag.
//!
//! `init` makes one where there is none, readable by its owner alone; a server never does, because a fresh key beside
//! an old store would open none of its secrets.

use crate::config::Config;
use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

const VARIABLE: &str = "HEADWATER_MASTER_KEY";

/// The key of a store that is there.
pub fn read(config: &Config) -> Result<[u8; 32]> {
    find(config)?.ok_or_else(|| {
        anyhow!(
            "there is no master key: neither {VARIABLE} nor the file {}; `headwater init` makes one with a new store",
            config.master_key_file.display()
        )
    })
}

/// The key of a store that is about to be made: the one that is there, or a new one in the data folder.
pub fn read_or_make(config: &Config) -> Result<[u8; 32]> {
    if let Some(key) = find(config)? {
        return Ok(key);
    }
    if config.data.join("money.sqlite").exists() {
        bail!(
            "the store in {} is there, but not its master key {}; bring it back, a new one would open nothing",
            config.data.display(),
            config.master_key_file.display()
        );
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|e| anyhow!("the operating system gives no random bytes: {e}"))?;
    write_new(&config.master_key_file, &key)
        .with_context(|| format!("cannot write the master key {}", config.master_key_file.display()))?;
    Ok(key)
}

fn find(config: &Config) -> Result<Option<[u8; 32]>> {
    if let Ok(text) = std::env::var(VARIABLE)
        && !text.trim().is_empty()
    {
        return parse(&text).context(VARIABLE).map(Some);
    }
    let path = &config.master_key_file;
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text).with_context(|| format!("the master key file {}", path.display())).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("the master key file {} cannot be read", path.display())),
    }
}

/// Says what is wrong without repeating any of it.
fn parse(text: &str) -> Result<[u8; 32]> {
    let bytes = BASE64.decode(text.trim()).map_err(|_| anyhow!("is not base64; it must be 32 bytes in base64"))?;
    let length = bytes.len();
    bytes.try_into().map_err(|_| anyhow!("has {length} bytes; it must be 32 bytes in base64"))
}

fn write_new(path: &Path, key: &[u8; 32]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(format!("{}\n", BASE64.encode(key)).as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_thirty_two_bytes_are_a_key() {
        let text = BASE64.encode([7; 32]);
        assert_eq!(parse(&format!(" {text}\n")).expect("a key"), [7; 32]);
        for wrong in ["", "secret words", &BASE64.encode([7; 31]), &BASE64.encode([7; 33])] {
            let error = format!("{:#}", parse(wrong).expect_err("no key"));
            assert!(error.contains("32 bytes") && !error.contains("secret"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_new_key_is_its_owners_alone_and_never_overwritten() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a/master.key");
        write_new(&path, &[7; 32]).expect("written");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert!(write_new(&path, &[8; 32]).is_err());
        assert_eq!(parse(&std::fs::read_to_string(&path).expect("readable")).expect("a key"), [7; 32]);
    }
}
