//! What a user agent says about the device, the browser and the system, and whether it is a crawler.
//!
//! The classes come from woothee, last released in 2021; the patterns below add what it does not know: link previews
//! of messengers, HTTP libraries, headless browsers and the crawlers of language models. A visitor without a user agent
//! is nobody's browser, so it counts as a bot.

use quick_cache::sync::Cache;
use std::sync::Arc;
use woothee::parser::Parser;

/// Longer texts are cut before they are read or kept.
pub const USER_AGENT_BYTES_MAX: usize = 1024;

/// Parts of user agents, in lower case, that belong to no person's browser.
const BOT_WORDS: &[&str] = &[
    "bot",
    "crawl",
    "spider",
    "slurp",
    "preview",
    "fetcher",
    "scraper",
    "headless",
    "phantomjs",
    "puppeteer",
    "playwright",
    "selenium",
    "lighthouse",
    "pagespeed",
    "pingdom",
    "uptime",
    "monitoring",
    "statuscake",
    "gtmetrix",
    "curl/",
    "wget/",
    "libwww",
    "python",
    "go-http-client",
    "java/",
    "okhttp",
    "apache-httpclient",
    "axios/",
    "node-fetch",
    "undici",
    "ruby",
    "perl",
    "php/",
    "guzzle",
    "httpie",
    "postmanruntime",
    "insomnia",
    "scrapy",
    "facebookexternalhit",
    "facebookcatalog",
    "meta-externalagent",
    "whatsapp/",
    "skypeuripreview",
    "slack-img",
    "embedly",
    "quora link",
    "bitlybot",
    "vkshare",
    "viber",
    "iframely",
    "google-read-aloud",
    "google-inspectiontool",
    "googleother",
    "mediapartners",
    "adsbot",
    "apis-google",
    "feedfetcher",
    "duckduckbot",
    "bingpreview",
    "yandex.com/bots",
    "baiduspider",
    "petalbot",
    "semrush",
    "ahrefs",
    "mj12",
    "dotbot",
    "gptbot",
    "chatgpt-user",
    "claude",
    "perplexity",
    "ccbot",
    "bytespider",
    "amazonbot",
    "archive.org",
    "wayback",
    "validator",
    "censys",
    "zgrab",
    "masscan",
    "nmap",
];

/// Browsers of people whose user agent holds one of the words by accident.
const PERSON_WORDS: &[&str] = &["cubot"];

/// The class of a device, as the referral dialect names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceType {
    /// A computer.
    Desktop,
    /// A telephone.
    Mobile,
    /// A tablet.
    Tablet,
    /// No person.
    Bot,
    /// A console, a television, or nothing we know.
    Other,
}

impl DeviceType {
    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Mobile => "mobile",
            Self::Tablet => "tablet",
            Self::Bot => "bot",
            Self::Other => "other",
        }
    }
}

/// What was read from a user agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its class.
    pub device_type: DeviceType,
    /// The browser, without its version.
    pub browser: Option<String>,
    /// The operating system.
    pub os: Option<String>,
}

/// Devices by their user agents: visitors share a few thousand of them, and reading one costs more than a redirect.
#[derive(Debug)]
pub struct Devices(Cache<Box<str>, Arc<Device>>);

/// User agents that are remembered; at most a KiB each.
const USER_AGENTS_MAX: usize = 4096;

impl Default for Devices {
    fn default() -> Self {
        Self(Cache::new(USER_AGENTS_MAX))
    }
}

impl Devices {
    /// As [`device_of`].
    pub fn of(&self, user_agent: &str) -> Arc<Device> {
        if let Some(known) = self.0.get(user_agent) {
            return known;
        }
        let device = Arc::new(device_of(user_agent));
        self.0.insert(user_agent.into(), Arc::clone(&device));
        device
    }
}

/// Reads a user agent; an empty one is a bot's.
pub fn device_of(user_agent: &str) -> Device {
    let parsed = Parser::new().parse(user_agent);
    let known = |text: &str| (!text.is_empty() && text != "UNKNOWN").then(|| text.to_owned());
    let (category, browser, os) =
        parsed.as_ref().map_or(("UNKNOWN", None, None), |p| (p.category, known(p.name), known(p.os)));
    let lower = user_agent.to_ascii_lowercase();
    let device_type = if category == "crawler" || is_bot(&lower) {
        DeviceType::Bot
    } else if is_tablet(&lower) {
        DeviceType::Tablet
    } else {
        match category {
            "pc" => DeviceType::Desktop,
            "smartphone" | "mobilephone" => DeviceType::Mobile,
            _ => DeviceType::Other,
        }
    };
    Device { device_type, browser, os }
}

fn is_bot(lower: &str) -> bool {
    lower.trim().is_empty()
        || (BOT_WORDS.iter().any(|word| lower.contains(word)) && !PERSON_WORDS.iter().any(|word| lower.contains(word)))
}

/// Android tablets leave out the word "Mobile" (Chrome's documented rule); iPads name themselves unless they pose as
/// desktops, which nothing in the text can tell.
fn is_tablet(lower: &str) -> bool {
    lower.contains("ipad")
        || lower.contains("tablet")
        || lower.contains("kindle")
        || lower.contains("silk/") && !lower.contains("mobile")
        || lower.contains("android") && !lower.contains("mobile") && !lower.contains("tv")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_agent_is_the_same_device_again() {
        let devices = Devices::default();
        for agent in ["", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "curl/8.5.0"] {
            assert_eq!(*devices.of(agent), device_of(agent));
            assert_eq!(*devices.of(agent), device_of(agent), "remembered");
        }
    }

    #[test]
    fn user_agents_of_people() {
        for (agent, device_type, browser) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
                DeviceType::Desktop,
                "Chrome",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
                DeviceType::Mobile,
                "Safari",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
                DeviceType::Mobile,
                "Chrome",
            ),
            (
                "Mozilla/5.0 (Linux; Android 13; SM-X906C) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
                DeviceType::Tablet,
                "Chrome",
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
                DeviceType::Tablet,
                "Safari",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", DeviceType::Desktop, "Firefox"),
            (
                "Mozilla/5.0 (Linux; Android 11; CUBOT NOTE 20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
                DeviceType::Mobile,
                "Chrome",
            ),
        ] {
            let device = device_of(agent);
            assert_eq!((device.device_type, device.browser.as_deref()), (device_type, Some(browser)), "{agent}");
            assert!(device.os.is_some(), "{agent}");
        }
    }

    #[test]
    fn user_agents_of_nobody() {
        for agent in [
            "",
            " ",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "WhatsApp/2.23.20.0",
            "TelegramBot (like TwitterBot)",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
            "curl/8.5.0",
            "python-requests/2.32.0",
            "Go-http-client/2.0",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/139.0.0.0 Safari/537.36",
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        ] {
            assert_eq!(device_of(agent).device_type, DeviceType::Bot, "{agent}");
        }
    }

    #[test]
    fn a_text_that_is_no_user_agent_is_other() {
        assert_eq!(device_of("something else").device_type, DeviceType::Other);
    }
}
