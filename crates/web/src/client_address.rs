//! Which address a request came from, when proxies stand in front.
//!
//! `X-Forwarded-For` and `Forwarded` are believed only from the proxies that the operator named; anyone else could
//! write any address there, and with it dodge limits and forge evidence. Text that is no address is never taken for one.

use http::HeaderMap;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// The proxies whose headers are believed. By default none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// A part of the list is neither an address nor a CIDR range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a CIDR range or an address")]
pub struct NotARange(String);

impl TrustedProxies {
    /// Reads ranges and addresses divided by commas; an empty text is no proxy.
    pub fn parse(text: &str) -> Result<Self, NotARange> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let range = |part: &str| {
            part.parse().or_else(|_| part.parse::<IpAddr>().map(IpNet::from)).map_err(|_| NotARange(part.to_owned()))
        };
        parts.map(range).collect::<Result<_, _>>().map(Self)
    }

    /// Whether this address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|range| range.contains(&address))
    }

    /// The client's address: the peer's, or what the trusted proxies say.
    ///
    /// Hops are read from the nearest outwards, and the first that is no trusted proxy is the client. Where a hop is
    /// no address, the hop before it stands. Where both headers are there and disagree, one of them may come from the
    /// client himself, and the peer's address stands.
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.ip().to_canonical();
        if !self.contains(peer) {
            return peer;
        }
        let by_list = self.outermost(peer, &values(headers, "x-forwarded-for"), parse_node);
        let by_standard = self.outermost(peer, &values(headers, "forwarded"), |hop| parse_node(forwarded_for(hop)?));
        match (by_list, by_standard) {
            (Some(one), Some(other)) if one != other => peer,
            (Some(client), _) | (None, Some(client)) => client,
            (None, None) => peer,
        }
    }

    fn outermost(&self, peer: IpAddr, hops: &[&str], parse: impl Fn(&str) -> Option<IpAddr>) -> Option<IpAddr> {
        if hops.is_empty() {
            return None;
        }
        let mut nearest = peer;
        for hop in hops.iter().rev() {
            let Some(address) = parse(hop) else { break };
            nearest = address;
            if !self.contains(address) {
                break;
            }
        }
        Some(nearest)
    }
}

/// All elements of a list header, over all its lines. A line that is not ASCII counts as one unreadable hop.
fn values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|line| line.to_str().unwrap_or("unreadable").split(','))
        .map(str::trim)
        .collect()
}

/// The `for` parameter of one element of `Forwarded` (RFC 7239).
fn forwarded_for(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then(|| value.trim_matches('"'))
    })
}

/// An address with or without a port; IPv6 may stand in brackets.
fn parse_node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, lines: &[(&'static str, &str)]) -> String {
        let proxies = TrustedProxies::parse("10.0.0.0/8, 2001:db8::1").expect("valid");
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a header value"));
        }
        proxies.client(SocketAddr::new(peer.parse().expect("an address"), 1), &headers).to_string()
    }

    #[test]
    fn headers_of_strangers_are_not_believed() {
        assert_eq!(client("192.0.2.9", &[("x-forwarded-for", "198.51.100.7")]), "192.0.2.9");
        assert_eq!(client("192.0.2.9", &[("forwarded", "for=198.51.100.7")]), "192.0.2.9");
    }

    #[test]
    fn the_first_hop_that_is_no_proxy_is_the_client() {
        let xff = |value| client("10.0.0.1", &[("x-forwarded-for", value)]);
        assert_eq!(xff("198.51.100.7"), "198.51.100.7");
        assert_eq!(xff("1.1.1.1, 198.51.100.7, 10.2.3.4"), "198.51.100.7");
        assert_eq!(xff("198.51.100.7:4711"), "198.51.100.7");
        assert_eq!(xff("[2001:db8::7]:4711"), "2001:db8::7");
        assert_eq!(xff("::ffff:198.51.100.7"), "198.51.100.7");
        assert_eq!(xff("<script>"), "10.0.0.1");
        assert_eq!(xff("1.1.1.1, unknown, 10.2.3.4"), "10.2.3.4");
        assert_eq!(xff(""), "10.0.0.1");
        assert_eq!(client("::ffff:10.0.0.1", &[("x-forwarded-for", "198.51.100.7")]), "198.51.100.7");
        let two_lines = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "198.51.100.7")];
        assert_eq!(client("10.0.0.1", &two_lines), "198.51.100.7");
    }

    #[test]
    fn the_standard_header_says_the_same() {
        let forwarded = |value| client("2001:db8::1", &[("forwarded", value)]);
        assert_eq!(forwarded("for=198.51.100.7;proto=https"), "198.51.100.7");
        assert_eq!(forwarded("For=\"[2001:db8::7]:80\", for=10.0.0.3"), "2001:db8::7");
        assert_eq!(forwarded("for=_hidden"), "2001:db8::1");
    }

    #[test]
    fn headers_that_disagree_are_not_believed() {
        let both = [("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=198.51.100.7")];
        assert_eq!(client("10.0.0.1", &both), "10.0.0.1");
    }

    #[test]
    fn a_list_with_something_else_is_refused() {
        assert_eq!(TrustedProxies::parse(""), Ok(TrustedProxies::default()));
        assert_eq!(TrustedProxies::parse("10.0.0.0/8,proxy"), Err(NotARange("proxy".to_owned())));
    }
}
