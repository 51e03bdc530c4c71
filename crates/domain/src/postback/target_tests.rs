//! Claims about [`super`]: every hostile form ends in a refusal, and only public addresses are reached.

use super::*;
use proptest::prelude::*;

/// The outbound forms that were collected for this check; each must end in a refusal.
const HOSTILE: &[&str] = &[
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://0x7f.1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://%31%32%37.0.0.1/",
    "http://0/",
    "http://169.254.169.254/",
    "http://[::]/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:0:7f00:1]/",
    "http://[::5efe:7f00:1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://foo.localhost/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1#@example.com/",
    "http://127.0.0.1\\@example.com/",
    "http:127.0.0.1/",
    "http:///127.0.0.1/",
    "gopher://127.0.0.1/",
    "file:///etc/passwd",
    "https://ex\tample.com/",
    "https://example.com:99999/",
];

/// More of the kind.
const HOSTILE_TOO: &[&str] = &[
    "https://@example.com/",
    "https://:@example.com/",
    "https://user:pass@example.com/",
    "https://example.com/#",
    "https://example.com/#part",
    "https://example.com:22/",
    "https://example.com:80/",
    "https://10.0.0.1/",
    "https://172.16.5.4/",
    "https://192.168.1.1:8443/",
    "https://100.64.0.1/",
    "https://100.100.100.200/",
    "https://168.63.129.16/",
    "https://192.0.0.192/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://[3fff::1]/",
    "https://[2a00:1450::5efe:7f00:1]/",
    "https://[2a00:1450:4001::200:5efe:10.0.0.1]/",
    "https://[100::1]/",
    "https://[5f00::1]/",
    "https://[fec0::1]/",
    "https://metadata.google.internal/",
    "https://printer.local/",
    "https://exa mple.com/",
    "https://example.com/\r\nX: y",
    "https:///",
    "https://",
    "example.com",
    "//example.com/",
    "javascript:alert(1)",
    "ws://example.com/",
    "",
];

fn ranges(text: &str) -> Vec<Cidr> {
    Cidr::parse_list(text).expect("ranges")
}

#[test]
fn every_hostile_form_is_refused() {
    for text in HOSTILE.iter().chain(HOSTILE_TOO) {
        assert!(check_url(text, &[]).is_err(), "{text} without an allow list");
    }
}

#[test]
fn https_does_not_make_a_hostile_host_better() {
    for text in HOSTILE.iter().filter(|text| text.starts_with("http:")) {
        let secure = text.replacen("http:", "https:", 1);
        let error = check_url(&secure, &[]).expect_err(&secure);
        assert_eq!(error.code(), "url_not_allowed", "{secure}");
    }
}

#[test]
fn an_allowed_range_opens_nothing_but_itself() {
    let allow = ranges("10.20.0.0/16");
    for text in HOSTILE {
        let refused = match check_url(text, &allow) {
            Err(_) => true,
            // A name is judged at the attempt, by what it resolves to.
            Ok(url) => matches!(url.host(), Some(Host::Domain(_))) && reach(&url) == Reach::AllowedOnly,
        };
        assert!(refused, "{text} beside an allow list");
    }
    assert!(check_url("http://10.20.1.1:9000/hook", &allow).is_ok());
    assert!(check_url("http://10.21.1.1:9000/hook", &allow).is_err());
    assert!(check_url("http://[::ffff:10.20.1.1]/", &allow).is_err());
}

#[test]
fn the_loopback_may_be_opened_for_a_receiver_on_the_same_machine() {
    let allow = ranges("127.0.0.0/8, ::1");
    for text in ["http://127.0.0.1:9000/", "http://[::1]:9000/", "http://localhost:9000/", "https://localhost/"] {
        let url = check_url(text, &allow).expect(text);
        assert_eq!(reach(&url), Reach::AllowedOnly, "{text}");
    }
}

#[test]
fn an_allowed_range_makes_no_public_name_plain() {
    let allow = ranges("10.0.0.0/8");
    for (text, code) in [
        ("http://example.com/", "url_not_https"),
        ("http://crm.broker.example:9000/", "url_not_https"),
        ("https://crm.broker.example:9000/", "url_not_allowed"),
        ("https://example.com:22/", "url_not_allowed"),
    ] {
        assert_eq!(check_url(text, &allow).expect_err(text).code(), code, "{text}");
    }
    for text in
        ["http://receiver:9000/", "http://crm.svc.cluster.local/", "http://crm.lan/", "https://crm.home.arpa:9/"]
    {
        assert_eq!(reach(&check_url(text, &allow).expect(text)), Reach::AllowedOnly, "{text}");
        assert!(check_url(text, &[]).is_err(), "{text} without a range");
    }
    assert!(check_url("https://crm.broker.example/", &allow).is_ok());
}

#[test]
fn ordinary_receivers_are_accepted() {
    for text in [
        "https://crm.broker.example/hooks/fx",
        "https://crm.broker.example:8443/hooks/fx?key=a@b",
        "https://xn--bcher-kva.example/",
        "https://8.8.8.8/",
        "https://[2a00:1450:4001:80b::200e]/",
        "https://[64:ff9b::808:808]/",
    ] {
        let url = check_url(text, &[]).expect(text);
        assert_eq!(reach(&url), Reach::PublicOrAllowed, "{text}");
    }
}

#[test]
fn the_codes_are_those_of_the_contract() {
    assert_eq!(check_url("http://crm.broker.example/", &[]).expect_err("plain").code(), "url_not_https");
    assert_eq!(check_url("gopher://127.0.0.1/", &ranges("127.0.0.0/8")).expect_err("foreign").code(), "url_not_https");
    assert_eq!(check_url("https://127.0.0.1/", &[]).expect_err("local").code(), "url_not_allowed");
    assert_eq!(check_url("https://[fe80::1%25eth0]/", &[]).expect_err("zone").code(), "url_not_allowed");
}

#[test]
fn a_range_is_read_strictly() {
    assert_eq!(Cidr::parse("10.0.0.0/8").expect("valid").to_string(), "10.0.0.0/8");
    assert_eq!(Cidr::parse("127.0.0.1").expect("valid").to_string(), "127.0.0.1/32");
    assert!(Cidr::parse("0.0.0.0/0").expect("valid").contains(IpAddr::from([9, 9, 9, 9])));
    for text in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10/8", "::/129", "fd00::1/8", "x", ""] {
        assert_eq!(Cidr::parse(text), Err(NotACidr), "{text}");
    }
    assert_eq!(Cidr::parse_list("").expect("empty"), []);
}

/// An address with the upper `bits` of `first` and the rest of `noise`.
fn within(first: IpAddr, bits: u8, noise: u128) -> IpAddr {
    let width = if first.is_ipv4() { 32 } else { 128 };
    let value = bits_of(first) & mask(width, bits) | noise & !mask(width, bits);
    match first {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(value & 0xffff_ffff).expect("32 bits"))),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(value)),
    }
}

const INTERNAL: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/64",
    "::ffff:0:0/96",
    "::ffff:0:0:0/96",
    "64:ff9b:1::/48",
    "64:ff9b::7f00:0/104",
    "64:ff9b::a00:0/104",
    "64:ff9b::a9fe:0/112",
    "100::/64",
    "2001::/32",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

proptest! {
    #[test]
    fn no_internal_class_is_ever_reached(class in 0..INTERNAL.len(), noise: u128) {
        let range = Cidr::parse(INTERNAL[class]).expect("a range");
        let address = within(range.first, range.prefix_bits, noise);
        prop_assert!(range.contains(address));
        prop_assert!(judge(address, &[]).is_err(), "{} of {}", address, range);
        let host = match address { IpAddr::V4(v4) => v4.to_string(), IpAddr::V6(v6) => format!("[{v6}]") };
        prop_assert!(check_url(&format!("https://{host}/"), &[]).is_err(), "{}", host);
        prop_assert!(judge(address, &[range]).is_ok());
    }

    #[test]
    fn std_agrees_on_what_is_surely_not_public(bits: u32) {
        let address = Ipv4Addr::from_bits(bits);
        let local = address.is_private() || address.is_loopback() || address.is_link_local() || address.is_broadcast()
            || address.is_documentation() || address.is_unspecified() || address.is_multicast();
        prop_assert!(!local || judge(IpAddr::V4(address), &[]).is_err());
    }

    #[test]
    fn an_allow_list_is_exactly_its_ranges(noise: u128, bits in 0u8..=128) {
        let first = within(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0, noise);
        let range = Cidr { first: within(first, bits, 0), prefix_bits: bits };
        prop_assert!(range.contains(first));
        if bits > 0 {
            let outside = Ipv6Addr::from_bits(bits_of(first) ^ (1 << (128 - bits)));
            prop_assert!(!range.contains(IpAddr::V6(outside)));
        }
        prop_assert_eq!(Cidr::parse(&range.to_string()), Ok(range));
    }

    #[test]
    fn no_text_makes_the_check_panic(text in ".{0,80}") {
        let _ = check_url(&text, &ranges("127.0.0.0/8"));
        let _ = check_url(&format!("https://{text}"), &[]);
    }
}
