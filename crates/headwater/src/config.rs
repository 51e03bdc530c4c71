//! The configuration: `headwater.toml`, then the environment, then flags. Read once, parsed whole, handed on.
//!
//! Whatever cannot be used is refused here, by its name, before anything on disk is touched. Leaves the master key to
//! `master_key.rs`: it is a secret and has no flag.

use anyhow::{Context as _, Result, anyhow, bail};
use headwater_domain::postback::Cidr;
use headwater_store::Place;
use headwater_web::client_address::TrustedProxies;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The file that is read where none is named and it is there.
const FILE: &str = "headwater.toml";

/// What the help says about settings that have no flag.
pub const AFTER_HELP: &str = "\
Secrets have no flag, because other users can read command lines:
  HEADWATER_MASTER_KEY       32 bytes in base64: encrypts signing secrets and partner tokens
  HEADWATER_MASTER_KEY_FILE  a file that holds it [default: master.key in the data folder, made by `headwater init`]

Each setting can also stand in headwater.toml, under its flag's name with _ for -. The environment goes before the
file, and a flag before both.";

/// Where the store and its keys are.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct StoreFlags {
    /// A configuration file [default: headwater.toml, where it is there]
    #[arg(long, env = "HEADWATER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder [default: ./headwater-data]
    #[arg(long, env = "HEADWATER_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// A PostgreSQL database, postgres://… [default: SQLite in the data folder]
    #[arg(long, env = "HEADWATER_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Which logs are written, as in info,headwater=debug [default: info]
    #[arg(long, env = "HEADWATER_LOG", value_name = "FILTER")]
    log: Option<String>,
}

/// How the server is reached, and what it may reach.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ServerFlags {
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, env = "HEADWATER_LISTEN", value_name = "ADDR")]
    listen: Option<String>,
    /// What links and the script are given [default: from the listener]
    #[arg(long, env = "HEADWATER_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Serve HTTPS with this certificate chain, PEM [default: HTTP, for a proxy in front]
    #[arg(long, env = "HEADWATER_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(long, env = "HEADWATER_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Private ranges that may be reached all the same, in plain HTTP and on any port: CIDRs, divided by commas
    /// [default: none]
    #[arg(long, env = "HEADWATER_EGRESS_ALLOW", value_name = "CIDRS")]
    egress_allow: Option<String>,
    /// Proxies whose X-Forwarded-For and Forwarded are believed: CIDRs, divided by commas [default: none]
    #[arg(long, env = "HEADWATER_TRUSTED_PROXIES", value_name = "CIDRS")]
    trusted_proxies: Option<String>,
    /// A country or city database in MaxMind's format [default: the bundled country table]
    #[arg(long, env = "HEADWATER_GEOIP", value_name = "FILE")]
    geoip: Option<PathBuf>,
}

/// `headwater.toml`. A key that is not known is a mistake.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the fields are the file's keys")]
struct File {
    data: Option<PathBuf>,
    database_url: Option<String>,
    log: Option<String>,
    listen: Option<String>,
    public_url: Option<String>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    egress_allow: Option<String>,
    trusted_proxies: Option<String>,
    geoip: Option<PathBuf>,
    master_key_file: Option<PathBuf>,
}

/// Everything that is configured.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data folder; beside PostgreSQL it holds the master key.
    pub data: PathBuf,
    /// Where the store is.
    pub place: Place,
    /// Which logs are written.
    pub log: String,
    /// Where to listen.
    pub listen: String,
    /// What links are given, where it is set.
    pub public_url: Option<String>,
    /// Certificate and key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Private ranges that may be reached.
    pub egress_allow: Vec<Cidr>,
    /// Proxies that are believed.
    pub trusted_proxies: TrustedProxies,
    /// A country database.
    pub geoip: Option<PathBuf>,
    /// Where the master key is, where it is not in the environment itself.
    pub master_key_file: PathBuf,
}

impl Config {
    /// Reads the file and lays environment and flags over it.
    pub fn read(store: &StoreFlags, server: &ServerFlags) -> Result<Self> {
        let file = read_file(store.config.as_deref())?;
        let path = |flag: &Option<PathBuf>, file: Option<PathBuf>| {
            flag.clone().or(file).filter(|path| !path.as_os_str().is_empty())
        };
        let text =
            |flag: &Option<String>, file: Option<String>| flag.clone().or(file).filter(|text| !text.trim().is_empty());
        let data = path(&store.data, file.data).unwrap_or_else(|| PathBuf::from("headwater-data"));
        let tls = match (path(&server.tls_cert, file.tls_cert), path(&server.tls_key, file.tls_key)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => bail!("HEADWATER_TLS_CERT is set without HEADWATER_TLS_KEY; set both or neither"),
            (None, Some(_)) => bail!("HEADWATER_TLS_KEY is set without HEADWATER_TLS_CERT; set both or neither"),
        };
        let egress_allow = text(&server.egress_allow, file.egress_allow).unwrap_or_default();
        let trusted_proxies = text(&server.trusted_proxies, file.trusted_proxies).unwrap_or_default();
        let from_environment = std::env::var_os("HEADWATER_MASTER_KEY_FILE").map(PathBuf::from);
        Ok(Self {
            place: place(text(&store.database_url, file.database_url), &data)?,
            log: text(&store.log, file.log).unwrap_or_else(|| "info".to_owned()),
            listen: text(&server.listen, file.listen).unwrap_or_else(|| "127.0.0.1:8080".to_owned()),
            public_url: text(&server.public_url, file.public_url).map(|url| public_url(&url)).transpose()?,
            tls,
            egress_allow: Cidr::parse_list(&egress_allow).map_err(|e| anyhow!("HEADWATER_EGRESS_ALLOW: {e}"))?,
            trusted_proxies: TrustedProxies::parse(&trusted_proxies)
                .map_err(|e| anyhow!("HEADWATER_TRUSTED_PROXIES: {e}"))?,
            geoip: path(&server.geoip, file.geoip),
            master_key_file: path(&from_environment, file.master_key_file).unwrap_or_else(|| data.join("master.key")),
            data,
        })
    }
}

fn read_file(named: Option<&Path>) -> Result<File> {
    let path = named.unwrap_or(Path::new(FILE));
    match std::fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).with_context(|| format!("{} cannot be used", path.display())),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(File::default()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

fn place(database_url: Option<String>, data: &Path) -> Result<Place> {
    match database_url {
        None => Ok(Place::Folder(data.to_owned())),
        Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => Ok(Place::Postgres(url)),
        // Not repeated: it may hold a password.
        Some(_) => bail!("HEADWATER_DATABASE_URL must start with postgres://; leave it out for SQLite"),
    }
}

fn public_url(text: &str) -> Result<String> {
    let url = url::Url::parse(text).map_err(|e| anyhow!("HEADWATER_PUBLIC_URL `{text}` is no URL: {e}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
        bail!("HEADWATER_PUBLIC_URL `{text}` must be an http or https address without query, as https://go.example");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(text: &str, flags: StoreFlags, server: &ServerFlags) -> Result<Config> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("c.toml");
        std::fs::write(&path, text).expect("written");
        Config::read(&StoreFlags { config: Some(path), ..flags }, server)
    }

    #[test]
    fn a_flag_goes_before_the_file() {
        let file = "listen = '127.0.0.1:1'\ndata = '/srv/a'\negress_allow = '10.0.0.0/8'";
        let server = ServerFlags { listen: Some("127.0.0.1:2".to_owned()), ..ServerFlags::default() };
        let config = with_file(file, StoreFlags::default(), &server).expect("usable");
        assert_eq!(config.listen, "127.0.0.1:2");
        assert_eq!(config.place, Place::Folder("/srv/a".into()));
        assert_eq!(config.egress_allow.len(), 1);
        assert_eq!(config.log, "info");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (file, name) in [
            ("listne = 'x'", "listne"),
            ("egress_allow = 'x'", "HEADWATER_EGRESS_ALLOW"),
            ("trusted_proxies = '10.0.0.0/99'", "HEADWATER_TRUSTED_PROXIES"),
            ("tls_cert = 'a.pem'", "HEADWATER_TLS_KEY"),
            ("public_url = 'ftp://x'", "HEADWATER_PUBLIC_URL"),
            ("database_url = 'mysql://user:secret@x'", "HEADWATER_DATABASE_URL"),
        ] {
            let error = with_file(file, StoreFlags::default(), &ServerFlags::default()).expect_err(file);
            let text = format!("{error:#}");
            assert!(text.contains(name) && !text.contains("secret"), "{file}: {text}");
        }
    }
}
