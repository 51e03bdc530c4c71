//! Country (and, where the file knows it, region and city) of an address.
//!
//! A country table is part of the binary; an operator can name a file of their own in `MaxMind` format. Both flat files
//! (`country_code`) and `MaxMind`'s nested form are read. Nothing leaves the process.

use maxminddb::Reader;
use serde::Deserialize;
use std::net::IpAddr;
use std::path::Path;

/// The bundled table: `data/README.md` says where it is from.
static BUNDLED: &[u8] = include_bytes!("../../data/iptoasn-country.mmdb");

/// Where an address is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// ISO 3166-1 alpha-2, upper case.
    pub country: Option<String>,
    /// The first subdivision, in English.
    pub region: Option<String>,
    /// In English.
    pub city: Option<String>,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("HEADWATER_GEOIP: {path} is no MaxMind database: {reason}")]
pub struct BadGeoFile {
    path: String,
    reason: String,
}

/// The open table.
#[derive(Debug)]
pub enum Countries {
    /// In the binary.
    Bundled(Reader<&'static [u8]>),
    /// The operator's own.
    File(Reader<Vec<u8>>),
}

#[derive(Deserialize)]
struct Record<'a> {
    country_code: Option<&'a str>,
    #[serde(borrow)]
    country: Option<Country<'a>>,
    #[serde(borrow, default)]
    subdivisions: Vec<Named<'a>>,
    #[serde(borrow)]
    city: Option<Named<'a>>,
}

#[derive(Deserialize)]
struct Country<'a> {
    iso_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    names: Option<Names<'a>>,
}

#[derive(Deserialize)]
struct Names<'a> {
    en: Option<&'a str>,
}

impl Countries {
    /// The bundled table.
    ///
    /// # Panics
    /// Never: a test opens the same bytes.
    pub fn bundled() -> Self {
        Self::Bundled(Reader::from_source(BUNDLED).expect("the bundled table is a MaxMind database"))
    }

    /// The table of a file, read into memory once.
    pub fn open(path: &Path) -> Result<Self, BadGeoFile> {
        let bad = |reason: String| BadGeoFile { path: path.display().to_string(), reason };
        let reader = Reader::open_readfile(path).map_err(|e| bad(e.to_string()))?;
        Ok(Self::File(reader))
    }

    /// Where an address is; all `None` where the table does not know it.
    pub fn place_of(&self, address: IpAddr) -> Place {
        let address = address.to_canonical();
        let found = match self {
            Self::Bundled(reader) => reader.lookup(address).ok().and_then(|r| r.decode::<Record<'_>>().ok().flatten()),
            Self::File(reader) => reader.lookup(address).ok().and_then(|r| r.decode::<Record<'_>>().ok().flatten()),
        };
        let Some(record) = found else { return Place::default() };
        let english = |named: &Named<'_>| named.names.as_ref().and_then(|n| n.en).map(str::to_owned);
        let code = record.country.and_then(|c| c.iso_code).or(record.country_code);
        Place {
            // "None" and "ZZ" are how flat files say that they do not know.
            country: code.map(str::to_ascii_uppercase).filter(|c| c.len() == 2 && c != "ZZ"),
            region: record.subdivisions.first().and_then(english),
            city: record.city.as_ref().and_then(english),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_table_knows_both_kinds_of_address() {
        let countries = Countries::bundled();
        let country = |text: &str| countries.place_of(text.parse().expect("an address")).country;
        assert_eq!(country("8.8.8.8").as_deref(), Some("US"));
        assert_eq!(country("::ffff:8.8.8.8").as_deref(), Some("US"));
        assert_eq!(country("2001:4860:4860::8888").as_deref(), Some("US"));
        assert_eq!(country("193.136.128.1").as_deref(), Some("PT"));
        for private in ["127.0.0.1", "10.1.2.3", "::1", "fe80::1"] {
            assert_eq!(country(private), None, "{private}");
        }
    }

    #[test]
    fn a_file_that_is_no_table_says_so() {
        let error = Countries::open(Path::new("/nonexistent.mmdb")).expect_err("no such file");
        assert!(error.to_string().starts_with("HEADWATER_GEOIP: /nonexistent.mmdb"), "{error}");
    }
}
