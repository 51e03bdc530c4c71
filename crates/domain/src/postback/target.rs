//! Where we may connect (`postbacks.md` §8): which addresses, and which URLs may be saved.
//!
//! The name is resolved and the connection opened elsewhere (`headwater-outbound`), which asks [`judge`] about every
//! address again at each attempt. Invariant: whatever is not known to be a public unicast address is refused, so a
//! range that nobody thought of is closed. What an operator allows (`HEADWATER_EGRESS_ALLOW`) is a list of [`Cidr`];
//! inside it plain HTTP, any port and IP literals are allowed too.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// Longest URL that is saved.
const URL_BYTES_MAX: usize = 2048;
/// The ports of receivers outside the allowed ranges.
const PORTS: [u16; 2] = [443, 8443];

/// A range of addresses, `10.0.0.0/8`; an address alone is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    first: IpAddr,
    prefix_bits: u8,
}

/// The text is no range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a range such as 10.0.0.0/8, starting at its first address")]
pub struct NotACidr;

impl Cidr {
    /// Parses `address/bits` or `address`. A range that does not start at its first address is refused, because it
    /// is more likely a typing mistake than an intention.
    ///
    /// # Errors
    /// [`NotACidr`].
    pub fn parse(text: &str) -> Result<Self, NotACidr> {
        let (address, bits) = text.trim().split_once('/').map_or((text.trim(), None), |(a, b)| (a, Some(b)));
        let first: IpAddr = address.parse().map_err(|_| NotACidr)?;
        let width: u8 = if first.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits {
            None => width,
            Some(b) if b.is_empty() || !b.bytes().all(|c| c.is_ascii_digit()) => return Err(NotACidr),
            Some(b) => b.parse().map_err(|_| NotACidr)?,
        };
        if prefix_bits > width || bits_of(first) & !mask(width, prefix_bits) != 0 {
            return Err(NotACidr);
        }
        Ok(Self { first, prefix_bits })
    }

    /// A comma-separated list; empty text is an empty list.
    ///
    /// # Errors
    /// [`NotACidr`] for the first part that is none.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, NotACidr> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Self::parse).collect()
    }

    /// Whether the range holds `address`. The two families never hold each other: an IPv4-mapped address is not
    /// inside an IPv4 range.
    pub fn contains(&self, address: IpAddr) -> bool {
        if self.first.is_ipv4() != address.is_ipv4() {
            return false;
        }
        let width = if address.is_ipv4() { 32 } else { 128 };
        bits_of(address) & mask(width, self.prefix_bits) == bits_of(self.first)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix_bits)
    }
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The upper `prefix_bits` of `width` bits.
fn mask(width: u8, prefix_bits: u8) -> u128 {
    let all = if width == 32 { u128::from(u32::MAX) } else { u128::MAX };
    if prefix_bits == 0 { 0 } else { all & (all << (width - prefix_bits)) }
}

/// Why an address is never connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Forbidden(pub &'static str);

/// IPv4 ranges that are not public unicast: the IANA special-purpose registry, and known metadata addresses.
const FORBIDDEN_V4: &[(u32, u8, &str)] = &[
    (v4(0, 0, 0, 0), 8, "this network"),
    (v4(10, 0, 0, 0), 8, "private"),
    (v4(100, 64, 0, 0), 10, "shared address space"),
    (v4(127, 0, 0, 0), 8, "loopback"),
    // Azure's wire server has a public address, but answers every virtual machine with its host's secrets.
    (v4(168, 63, 129, 16), 32, "cloud metadata"),
    (v4(169, 254, 0, 0), 16, "link-local"),
    (v4(172, 16, 0, 0), 12, "private"),
    (v4(192, 0, 0, 0), 24, "protocol assignments"),
    (v4(192, 0, 2, 0), 24, "documentation"),
    (v4(192, 31, 196, 0), 24, "reserved"),
    (v4(192, 52, 193, 0), 24, "reserved"),
    (v4(192, 88, 99, 0), 24, "6to4 relay"),
    (v4(192, 168, 0, 0), 16, "private"),
    (v4(192, 175, 48, 0), 24, "reserved"),
    (v4(198, 18, 0, 0), 15, "benchmarking"),
    (v4(198, 51, 100, 0), 24, "documentation"),
    (v4(203, 0, 113, 0), 24, "documentation"),
    (v4(224, 0, 0, 0), 4, "multicast"),
    (v4(240, 0, 0, 0), 4, "reserved"),
];

/// IPv6 ranges inside the global unicast space `2000::/3` that are not public hosts. Everything outside that space is
/// refused anyway; it is named below for the sake of the message.
const FORBIDDEN_V6: &[(u128, u8, &str)] = &[
    (v6(0x2001, 0, 0), 32, "Teredo"),
    (v6(0x2001, 0, 0), 23, "protocol assignments"),
    (v6(0x2001, 0xdb8, 0), 32, "documentation"),
    (v6(0x2002, 0, 0), 16, "6to4"),
    (v6(0x2620, 0x4f, 0x8000), 48, "reserved"),
    (v6(0x3ffe, 0, 0), 16, "reserved"),
    (v6(0x3fff, 0, 0), 20, "documentation"),
];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> u32 {
    u32::from_be_bytes([a, b, c, d])
}

const fn v6(a: u16, b: u16, c: u16) -> u128 {
    Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).to_bits()
}

/// Whether `address` may be connected to: inside `allow`, or public unicast.
///
/// # Errors
/// [`Forbidden`] with the kind of address it is.
pub fn judge(address: IpAddr, allow: &[Cidr]) -> Result<(), Forbidden> {
    if is_allowed(address, allow) {
        return Ok(());
    }
    match address {
        IpAddr::V4(v4) => judge_v4(v4),
        IpAddr::V6(v6) => judge_v6(v6),
    }
}

/// Whether the operator has allowed `address` by name of its range.
pub fn is_allowed(address: IpAddr, allow: &[Cidr]) -> bool {
    allow.iter().any(|range| range.contains(address))
}

fn judge_v4(address: Ipv4Addr) -> Result<(), Forbidden> {
    let bits = u128::from(address.to_bits());
    let hit = FORBIDDEN_V4.iter().find(|(first, prefix, _)| bits & mask(32, *prefix) == u128::from(*first));
    hit.map_or(Ok(()), |(_, _, why)| Err(Forbidden(why)))
}

fn judge_v6(address: Ipv6Addr) -> Result<(), Forbidden> {
    let segments = address.segments();
    let bits = address.to_bits();
    // ISATAP interface ids carry an IPv4 address under any prefix.
    if matches!(segments[4], 0 | 0x0200) && segments[5] == 0x5efe {
        return Err(Forbidden("ISATAP"));
    }
    match segments {
        // The well-known NAT64 prefix is how a host without IPv4 reaches it: judged by the address inside.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            judge_v4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)))
                .map_err(|Forbidden(_)| Forbidden("NAT64 form of a forbidden address"))
        }
        [0x64, 0xff9b, 1, ..] => Err(Forbidden("local-use NAT64")),
        [0, 0, 0, 0, 0, 0, 0, 0] => Err(Forbidden("unspecified")),
        [0, 0, 0, 0, 0, 0, 0, 1] => Err(Forbidden("loopback")),
        [0, 0, 0, 0, 0, 0xffff, ..] => Err(Forbidden("IPv4-mapped")),
        [0, 0, 0, 0, 0xffff, 0, ..] => Err(Forbidden("IPv4-translated")),
        [0, 0, 0, 0, 0, 0, ..] => Err(Forbidden("IPv4-compatible")),
        [first, ..] if first & 0xff00 == 0 => Err(Forbidden("reserved")),
        [first, ..] if first & 0xff00 == 0xff00 => Err(Forbidden("multicast")),
        [first, ..] if first & 0xffc0 == 0xfe80 => Err(Forbidden("link-local")),
        [first, ..] if first & 0xffc0 == 0xfec0 => Err(Forbidden("site-local")),
        [first, ..] if first & 0xfe00 == 0xfc00 => Err(Forbidden("private")),
        [first, ..] if first & 0xe000 != 0x2000 => Err(Forbidden("reserved")),
        _ => {
            let hit = FORBIDDEN_V6.iter().find(|(first, prefix, _)| bits & mask(128, *prefix) == *first);
            hit.map_or(Ok(()), |(_, _, why)| Err(Forbidden(why)))
        }
    }
}

/// Why a URL is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not parsed, too long, or with characters that parsers quietly drop.
    #[error("is not a URL")]
    NotAUrl,
    /// Neither HTTPS nor inside the allowed ranges.
    #[error("must be an https URL")]
    NotHttps,
    /// `user@host`: a trick, or a password that would be stored in clear.
    #[error("must not contain a user name or password")]
    UserInfo,
    /// Never sent, so a sign of a mistake or a trick.
    #[error("must not contain a fragment")]
    Fragment,
    /// Neither 443 nor 8443.
    #[error("must use port 443 or 8443")]
    Port,
    /// A name that means this machine.
    #[error("must not name this machine")]
    LocalName,
    /// An address that is never connected to.
    #[error("must not lead to this address ({0})")]
    Address(Forbidden),
}

impl TargetError {
    /// The code in an answer: `url_not_https` or `url_not_allowed`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotHttps => "url_not_https",
            _ => "url_not_allowed",
        }
    }
}

/// Where the addresses of an accepted URL must lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Each one is public, or allowed by the operator.
    PublicOrAllowed,
    /// Each one is allowed by the operator: the URL has plain HTTP, another port or a local name.
    AllowedOnly,
}

/// Checks a URL when it is saved and again at each attempt. What a name resolves to is judged at the attempt.
///
/// Outside the allowed ranges: HTTPS, port 443 or 8443, a name or a public address. Where the operator has allowed a
/// range, a name of the operator's own network may have plain HTTP and any port, too; then [`reach`] demands that range
/// at the attempt. A name that the public DNS could answer may not: a slip of the pen would send events in clear.
///
/// # Errors
/// [`TargetError`].
pub fn check_url(text: &str, allow: &[Cidr]) -> Result<Url, TargetError> {
    // Tabs and line ends vanish in parsing and a backslash becomes a slash: what was read is not what is meant.
    if text.len() > URL_BYTES_MAX || text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(TargetError::NotAUrl);
    }
    let url = Url::parse(text).map_err(|_| TargetError::NotAUrl)?;
    // The scheme first: in a foreign one, `url` does not tell an address from a name.
    let secure = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return Err(TargetError::NotHttps),
    };
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') && has_userinfo(text) {
        return Err(TargetError::UserInfo);
    }
    if url.fragment().is_some() {
        return Err(TargetError::Fragment);
    }
    let address = match url.host().ok_or(TargetError::NotAUrl)? {
        Host::Ipv4(v4) => Some(IpAddr::V4(v4)),
        Host::Ipv6(v6) => Some(IpAddr::V6(v6)),
        Host::Domain(_) => None,
    };
    let open = address.map_or(!allow.is_empty() && is_inner_name(&url), |address| is_allowed(address, allow));
    if open {
        return Ok(url);
    }
    if !secure {
        return Err(TargetError::NotHttps);
    }
    if let Some(address) = address {
        judge(address, allow).map_err(TargetError::Address)?;
    } else if is_local_name(&url) {
        return Err(TargetError::LocalName);
    }
    if !has_usual_port(&url) {
        return Err(TargetError::Port);
    }
    Ok(url)
}

/// Where the addresses of a URL that [`check_url`] accepted must lie.
pub fn reach(url: &Url) -> Reach {
    let usual = url.scheme() == "https" && has_usual_port(url) && !is_local_name(url);
    if usual { Reach::PublicOrAllowed } else { Reach::AllowedOnly }
}

fn has_usual_port(url: &Url) -> bool {
    url.port_or_known_default().is_some_and(|port| PORTS.contains(&port))
}

/// An empty `@` (`https://@host/`) leaves no trace in the parsed URL.
fn has_userinfo(text: &str) -> bool {
    let rest = text.split_once(':').map_or(text, |(_, rest)| rest).trim_start_matches('/');
    rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}

/// A name that the public DNS has no answer for: one label, or under a suffix that is kept for private networks.
fn is_inner_name(url: &Url) -> bool {
    let name = url.host_str().unwrap_or_default().trim_end_matches('.');
    let private = ["lan", "home.arpa", "test"];
    !name.contains('.')
        || is_local_name(url)
        || private.iter().any(|suffix| name.strip_suffix(suffix).is_some_and(|before| before.ends_with('.')))
}

/// `localhost` and the like, which resolvers answer with this machine whatever DNS says (RFC 6761).
fn is_local_name(url: &Url) -> bool {
    let name = url.host_str().unwrap_or_default().trim_end_matches('.');
    ["localhost", "localdomain", "local", "internal"]
        .iter()
        .any(|local| name == *local || name.strip_suffix(local).is_some_and(|before| before.ends_with('.')))
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
